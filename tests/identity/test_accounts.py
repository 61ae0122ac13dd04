"""What people do with their own account: make one, change its password, withdraw what they allowed."""

import pytest

from authserver import clock
from authserver.identity import accounts, sessions, totp
from authserver.identity.accounts import Form, Refused, new_form_id, sign_up
from authserver.identity.login import SignIn, sign_in
from authserver.identity.sessions import Browser, Visit, live_sessions, new_browser
from authserver.records import Credential, Event, Session, User
from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD
from tests.store.at_once import at_once

NEW = "a quokka under my piano"


def _form(username: str = "zoe", **changes: str) -> Form:
    return Form(username, "zoe@people.test", "", NEW, new_form_id())._replace(**changes)


def _fields(outcome: SignIn | tuple[Refused, ...]) -> list[str]:
    return [] if isinstance(outcome, SignIn) else [refused.field for refused in outcome]


# Making one.


def test_a_new_account_is_signed_in_and_can_sign_in_again(authserver: AuthServer, visit: Visit) -> None:
    outcome = sign_up(authserver.server, visit, _form("Zoe", name="Zo\N{LATIN SMALL LETTER E}\N{COMBINING DIAERESIS}"))
    assert isinstance(outcome, SignIn)
    assert outcome.browser is not None
    (session,) = live_sessions(authserver.server, outcome.browser)
    assert (session.username, session.acr, session.amr) == ("Zoe", "urn:authserver:pwd", "pwd")
    user = authserver.store.users.get(session.sub)
    assert user is not None
    assert user.claims == {"name": "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"}
    assert sign_in(authserver.server, visit, "ZOE", NEW).sid is not None


def test_the_address_is_kept_and_opens_nothing(authserver: AuthServer, visit: Visit) -> None:
    assert isinstance(sign_up(authserver.server, visit, _form()), SignIn)
    user = authserver.store.users.by_login("zoe")
    assert user is not None
    assert (user.email, user.email_verified, user.unconfirmed_email) == (None, False, "zoe@people.test")
    assert sign_in(authserver.server, visit, "zoe@people.test", NEW).sid is None


def test_whether_an_address_is_known_here_makes_no_difference(
    authserver: AuthServer, alice: User, visit: Visit
) -> None:
    assert alice.email is not None
    for name, address in (("known", alice.email.upper()), ("strange", "nobody@people.test"), ("again", alice.email)):
        assert isinstance(sign_up(authserver.server, visit, _form(name, email=address)), SignIn)
    assert sign_in(authserver.server, visit, alice.email, PASSWORD).sid is not None


def test_it_is_in_the_audit_trail_without_name_and_address(authserver: AuthServer, visit: Visit) -> None:
    sign_up(authserver.server, visit, _form(name="Zoe"), client_id="photos")
    (line,) = authserver.store.audit.list(0, 100, "user.signed_up")
    user = authserver.store.users.by_login("zoe")
    assert user is not None
    assert (line.event.actor, line.event.sub, line.event.client_id) == (user.sub, user.sub, "photos")
    assert line.event.facts == {}


def _each(at: AuthServer, visit: Visit, forms: list[Form]) -> list[list[str]]:
    """Return what is refused of each form, each from another network: so many are too many from one."""
    visits = [visit._replace(address=f"192.0.2.{number}") for number in range(len(forms))]
    return [_fields(sign_up(at.server, here, form)) for here, form in zip(visits, forms, strict=True)]


NO_NAMES = [
    "",
    "zo",
    "z" * 41,
    "zoe jones",
    "zoe@people.test",
    ".zoe",
    "zoe_",
    "zo\0e",
    "zo\ne",
    "zoe\n",
    "zo\u202ee",
    "zo\u200be",
    "zo\N{COMBINING ACUTE ACCENT}e",
    "z\N{CYRILLIC SMALL LETTER O}e",
    "\N{FULLWIDTH LATIN SMALL LETTER Z}oe",
    "zo\N{LATIN SMALL LETTER LONG S}",
    "\N{KELVIN SIGN}oala",
    "\N{ARABIC-INDIC DIGIT ONE}23",
    "\ud800zoe",
    "<b>zoe</b>",
    "' OR 1=1 --",
    "x" * 100_000,
]


def test_what_could_be_taken_for_another_name_is_no_name(authserver: AuthServer, visit: Visit) -> None:
    outcomes = _each(authserver, visit, [_form(username) for username in NO_NAMES])
    assert [name for name, fields in zip(NO_NAMES, outcomes, strict=True) if fields != ["username"]] == []


WRONG = [
    ({"email": ""}, "email"),
    ({"email": "zoe"}, "email"),
    ({"email": "zoe@"}, "email"),
    ({"email": "zoe@people.test\r\nBcc: all@people.test"}, "email"),
    ({"email": "zoe\u202e@people.test"}, "email"),
    ({"email": "z" * 65 + "@people.test"}, "email"),
    ({"email": "z@" + "x" * 100_000}, "email"),
    ({"name": "x" * 129}, "name"),
    ({"name": "Zoe\u202enoitartsinimda"}, "name"),
    ({"name": "Zoe\0"}, "name"),
    ({"name": "\u200d \u200c"}, "name"),
    ({"name": "\N{HANGUL FILLER}\N{BRAILLE PATTERN BLANK} \u200d\N{HALFWIDTH HANGUL FILLER}"}, "name"),
    ({"name": "\ud800"}, "name"),
    ({"password": ""}, "password"),
    ({"password": "short"}, "password"),
    ({"password": "password12345"}, "password"),
    ({"password": "zoe@people.test"}, "password"),
    ({"password": "Zoe Elisabeth Jones", "name": "zoe elisabeth jones"}, "password"),
    ({"password": "x" * 100_000}, "password"),
]


def test_each_field_has_its_rules(authserver: AuthServer, visit: Visit) -> None:
    outcomes = _each(authserver, visit, [_form(**changes) for changes, _ in WRONG])
    assert outcomes == [[field] for _, field in WRONG]
    assert authserver.store.users.count() == 0


def test_everything_that_is_wrong_is_said_at_once(authserver: AuthServer, visit: Visit) -> None:
    outcome = sign_up(authserver.server, visit, Form("", "", "\0", "", ""))
    assert _fields(outcome) == ["username", "email", "name", "password"]


def test_names_in_scripts_that_join_unseen_are_good(authserver: AuthServer, visit: Visit) -> None:
    outcome = sign_up(authserver.server, visit, _form(name="\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"))
    assert isinstance(outcome, SignIn)


def test_a_name_that_is_somebodys_or_speaks_for_the_place_is_taken(
    authserver: AuthServer, alice: User, visit: Visit
) -> None:
    for username in ("alice", "ALICE", "admin", "Ad.Min", "root", "no-reply", "post_master"):
        assert sign_up(authserver.server, visit, _form(username)) == (Refused("username", accounts.TAKEN),)
    assert authserver.store.users.count() == 1


def test_the_name_of_a_client_or_the_id_of_an_account_is_taken(authserver: AuthServer, visit: Visit) -> None:
    authserver.client(client_id="photos")
    authserver.store.users.add(User("Sub0123456789", "bob"), None, Event("user.added"))
    for username in ("photos", "Sub0123456789"):
        assert _fields(sign_up(authserver.server, visit, _form(username))) == ["username"]


def test_a_name_that_is_taken_costs_a_password_hash_as_a_free_one_does(
    authserver: AuthServer, alice: User, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    real = authserver.server.passwords.hash
    monkeypatch.setattr(authserver.server.passwords, "hash", lambda text: hashed.append(text) or real(text))
    for username in ("alice", "admin", "zoe"):
        sign_up(authserver.server, visit, _form(username))
    assert hashed == [NEW] * 3


def test_the_same_form_again_is_the_same_account(authserver: AuthServer, visit: Visit) -> None:
    form = _form()
    first, second = (sign_up(authserver.server, visit, form) for _ in range(2))
    assert isinstance(first, SignIn)
    assert isinstance(second, SignIn)
    assert second.sid is not None
    assert authserver.store.users.count() == 1
    (user,) = authserver.store.users.all(None, 10)
    assert len(authserver.store.audit.list(0, 100, "user.signed_up")) == 1
    assert {session.sid for session in sessions.sessions_of(authserver.server, user.sub)} == {first.sid, second.sid}


def test_the_same_form_with_another_name_is_another_account(authserver: AuthServer, visit: Visit) -> None:
    form = _form()
    for name in ("zoe", "zoe-jones", "ZOE"):
        assert isinstance(sign_up(authserver.server, visit, form._replace(username=name)), SignIn)
    assert {user.username for user in authserver.store.users.all(None, 10)} == {"zoe", "zoe-jones"}


def test_no_account_has_a_name_that_a_command_takes_for_an_option(
    authserver: AuthServer, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(("-one", "--two", "three"))
    monkeypatch.setattr(accounts, "b64", lambda _: next(drawn))
    sign_up(authserver.server, visit, _form())
    assert [user.sub for user in authserver.store.users.all(None, 10)] == ["three"]


@pytest.mark.parametrize("change", [{"password": "another quokka, another piano"}, {"form_id": "x"}])
def test_the_same_name_in_another_form_or_with_another_password_is_taken(
    authserver: AuthServer, visit: Visit, change: dict[str, str]
) -> None:
    form = _form()
    assert isinstance(sign_up(authserver.server, visit, form), SignIn)
    assert _fields(sign_up(authserver.server, visit, form._replace(**change))) == ["username"]
    elsewhere = visit._replace(browser=new_browser())
    assert _fields(sign_up(authserver.server, elsewhere, form)) == ["username"]


def test_the_same_form_again_is_no_way_around_the_second_factor_or_the_lock(
    authserver: AuthServer, visit: Visit
) -> None:
    form = _form()
    sign_up(authserver.server, visit, form)
    (user,) = authserver.store.users.all(None, 10)
    for n in range(6):
        sign_up(authserver.server, visit, form._replace(password=f"guess number {n} of the piano"))
    assert _fields(sign_up(authserver.server, visit, form)) == ["username"]
    with authserver.later(3700):
        again = sign_up(authserver.server, visit, form)
        assert isinstance(again, SignIn)
        assert again.browser is not None
        moment = clock.now()
        app = Credential("app", user.sub, totp.KIND, "sealed", moment, moment)
        authserver.store.credentials.add(app, Event("second_factor.added"))
        assert _fields(sign_up(authserver.server, visit._replace(browser=again.browser), form)) == ["username"]
        # Half a sign-in would be a new cookie, which this page does not give.
        assert [session.sid for session in live_sessions(authserver.server, again.browser)] == [again.sid]


def test_of_two_who_want_one_name_at_the_same_moment_one_gets_it(authserver: AuthServer, visit: Visit) -> None:
    def act() -> list[str]:
        return _fields(sign_up(authserver.server, visit._replace(browser=new_browser()), _form()))

    assert sorted(at_once(act, 4)) == [[], ["username"], ["username"], ["username"]]
    assert authserver.store.users.count() == 1


def test_two_clicks_at_the_same_moment_make_one_account(authserver: AuthServer, visit: Visit) -> None:
    form = _form()
    outcomes = at_once(lambda: sign_up(authserver.server, visit, form), 3)
    assert all(isinstance(outcome, SignIn) and outcome.sid for outcome in outcomes)
    assert authserver.store.users.count() == 1


def test_a_network_has_so_many_forms_an_hour_right_or_wrong(authserver: AuthServer, visit: Visit) -> None:
    for number in range(30):
        sign_up(authserver.server, visit._replace(address=f"2001:db8:0:1::{number:x}"), _form("alice@people.test"))
    outcome = sign_up(authserver.server, visit._replace(address="2001:db8:0:1::ffff"), _form())
    assert outcome == (Refused("form", accounts.FULL, 3600),)
    assert isinstance(sign_up(authserver.server, visit, _form()), SignIn)
    with authserver.later(3601):
        again = sign_up(authserver.server, visit._replace(address="2001:db8:0:1::1"), _form("later"))
    assert isinstance(again, SignIn)


# Changing the password.


@pytest.fixture
def here(authserver: AuthServer, alice: User, visit: Visit) -> tuple[Session, Browser]:
    """Alice's session and browser."""
    browser = sign_in(authserver.server, visit, "alice", PASSWORD).browser
    assert browser is not None
    return live_sessions(authserver.server, browser)[0], browser


def _change(
    at: AuthServer, here: tuple[Session, Browser], current: str = PASSWORD, new: str = NEW, repeat: str | None = None
) -> Refused | None:
    return accounts.change_password(
        at.server, *here, current=current, new=new, repeat=new if repeat is None else repeat
    )


def test_the_new_password_opens_and_the_old_one_does_not(
    authserver: AuthServer, here: tuple[Session, Browser], visit: Visit
) -> None:
    assert _change(authserver, here) is None
    assert sign_in(authserver.server, visit, "alice", PASSWORD).sid is None
    assert sign_in(authserver.server, visit, "alice", NEW).sid is not None


def test_other_sessions_end_and_this_one_stays(
    authserver: AuthServer, alice: User, here: tuple[Session, Browser], visit: Visit
) -> None:
    elsewhere = sign_in(authserver.server, visit._replace(browser=new_browser()), "alice", PASSWORD).browser
    assert elsewhere is not None
    assert _change(authserver, here) is None
    assert live_sessions(authserver.server, elsewhere) == ()
    assert [session.sid for session in live_sessions(authserver.server, here[1])] == [here[0].sid]
    assert len(sessions.sessions_of(authserver.server, alice.sub)) == 1


def test_tokens_of_the_account_die_with_the_old_password(
    authserver: AuthServer, alice: User, here: tuple[Session, Browser]
) -> None:
    client = authserver.client()
    tokens = authserver.tokens(client, alice, scope="openid offline_access", prompt="consent")
    assert _change(authserver, here) is None
    assert authserver.refresh(client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert authserver.introspect(client, tokens["access_token"]) == {"active": False}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"current": "wrong"}, "current"),
        ({"current": ""}, "current"),
        ({"repeat": "something else"}, "repeat"),
        ({"new": PASSWORD}, "new"),
        ({"new": "short"}, "new"),
        ({"new": "alice@example.test"}, "new"),
        ({"new": "\ud800" * 20}, "new"),
        ({"new": "x" * 100_000}, "new"),
    ],
)
def test_what_is_refused_changes_nothing(
    authserver: AuthServer, alice: User, here: tuple[Session, Browser], changes: dict[str, str], field: str
) -> None:
    before = authserver.store.credentials.of_user(alice.sub, "password")
    refused = _change(authserver, here, **changes)
    assert refused is not None
    assert refused.field == field
    assert authserver.store.credentials.of_user(alice.sub, "password") == before


def test_the_current_password_cannot_be_guessed_here_either(
    authserver: AuthServer, here: tuple[Session, Browser]
) -> None:
    refusals = [_change(authserver, here, current=f"guess {n}") for n in range(7)]
    assert [refused.wait > 0 for refused in refusals if refused] == [False] * 5 + [True] * 2
    right = _change(authserver, here)
    assert right is not None
    assert right.wait > 0


def test_the_change_is_in_the_audit_trail(authserver: AuthServer, alice: User, here: tuple[Session, Browser]) -> None:
    _change(authserver, here)
    assert [line.event.sub for line in authserver.store.audit.list(0, 100, "password.changed")] == [alice.sub]


# Withdrawing.


def test_withdrawing_ends_tokens_and_remembered_consent(authserver: AuthServer, alice: User) -> None:
    client, other = authserver.client(), authserver.client()
    tokens = authserver.tokens(client, alice, scope="openid offline_access", prompt="consent")
    kept = authserver.tokens(other, alice)
    assert accounts.withdraw(authserver.server, alice.sub, client.client_id)
    assert authserver.refresh(client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert authserver.introspect(client, tokens["access_token"]) == {"active": False}
    assert authserver.introspect(other, kept["access_token"])["active"]
    (line,) = authserver.store.audit.list(0, 100, "consent.withdrawn")
    assert (line.event.sub, line.event.client_id) == (alice.sub, client.client_id)
    assert not accounts.withdraw(authserver.server, alice.sub, client.client_id)
