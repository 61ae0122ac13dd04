"""Staying signed in: who asked for it, for how long, and what becomes of everybody else (OWASP ASVS 7.3, 7.4)."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from authserver.clock import DAY, HOUR, SECOND
from authserver.identity import login, second_factor, sessions
from authserver.identity.sessions import Browser, Visit, live_sessions, read_browser
from authserver.manage.sessions import describe, of_user
from authserver.records import Event, Session, User
from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD
from tests.identity.test_second_factor import _code, _enrol

LIMITS = {"remember_seconds": 60 * 86400, "remember_idle_seconds": 20 * 86400}


class Entered(NamedTuple):
    """Somebody who has signed in."""

    sid: str
    visit: Visit

    @property
    def browser(self) -> Browser:
        return self.visit.browser


@pytest.fixture
def authserver_settings(database_url: str) -> dict[str, Any]:
    return {"database_url": database_url, "sessions": LIMITS}


@pytest.fixture
def bob(authserver: AuthServer) -> User:
    return authserver.user("bob")


def _enter(at: AuthServer, visit: Visit, user: User, *, remember: bool | None = None) -> Entered:
    sid, browser = sessions.sign_in(at.server, visit, user.sub, acr="urn:authserver:pwd", amr="pwd", remember=remember)
    return Entered(sid, visit._replace(browser=browser))


def _closed(entered: Entered) -> Visit:
    """Return a visit of the browser after it was closed and opened: what lasts is there, what does not is gone."""
    browser = read_browser(entered.browser.cookie)
    assert browser is not None
    return entered.visit._replace(browser=browser)


def _names(at: AuthServer, browser: Browser) -> list[str]:
    return [session.username for session in live_sessions(at.server, browser)]


def _node(at: AuthServer, folder: Path, **limits: int) -> AuthServer:
    """Return the server after it was restarted with other limits."""
    return AuthServer(folder, database_url=at.settings.database_url, sessions=limits)


def test_who_did_not_ask_is_signed_in_as_ever(authserver: AuthServer, alice: User, visit: Visit):
    entered = _enter(authserver, visit, alice, remember=False)
    assert (entered.browser.kept, entered.browser.seconds) == (False, 0)
    (session,) = live_sessions(authserver.server, entered.browser)
    assert session.remembered_at == 0
    stored = authserver.store.sessions.get(entered.sid)
    assert stored is not None
    for one in (session, stored):
        assert one.expires_at <= one.created_at + 30 * DAY + SECOND
    assert sessions.idle_end(authserver.settings, session) == session.seen_at + 12 * HOUR
    with authserver.later(12 * 3600 + 1):
        assert _names(authserver, entered.browser) == []


def test_who_asked_stays_for_the_longer_idle_time(authserver: AuthServer, alice: User, visit: Visit):
    entered = _enter(authserver, visit, alice, remember=True)
    assert (entered.browser.kept, entered.browser.seconds) == (True, LIMITS["remember_seconds"])
    with authserver.later(20 * 86400 - 5):
        (session,) = live_sessions(authserver.server, _closed(entered).browser)
        assert sessions.idle_end(authserver.settings, session) == session.seen_at + 20 * DAY
    with authserver.later(40 * 86400 + 5):
        assert _names(authserver, entered.browser) == []


def test_use_keeps_them_until_the_longer_absolute_end(authserver: AuthServer, alice: User, visit: Visit):
    entered = _enter(authserver, visit, alice, remember=True)
    for days in range(0, 60, 15):
        with authserver.later(days * 86400):
            assert _names(authserver, entered.browser) == ["alice"], days
    with authserver.later(45 * 86400 + 1):
        (session,) = live_sessions(authserver.server, entered.browser)
        assert sessions.idle_end(authserver.settings, session) == session.expires_at, "it does not go past that"
    with authserver.later(60 * 86400 + 1):
        assert _names(authserver, entered.browser) == []


def test_the_longer_life_ends_when_it_is_offered_no_more(
    authserver: AuthServer, alice: User, visit: Visit, tmp_path: Path
):
    """A session must not outlive the switch that made it long (compare GHSA-64w3-5q9m-68xf of Keycloak)."""
    entered = _enter(authserver, visit, alice, remember=True)
    restarted = _node(authserver, tmp_path, remember_seconds=0)
    with restarted.later(3600):
        # A closed browser has to sign in; an open one goes on like any other.
        assert _names(restarted, _closed(entered).browser) == []
        (session,) = live_sessions(restarted.server, entered.browser)
        assert (session.remembered_at, session.expires_at) == (0, session.created_at + 30 * DAY)
        (listed,) = of_user(restarted.store, restarted.settings, alice.sub)
        assert describe(listed)["remembered"] is False
    with restarted.later(14 * 3600):
        assert _names(restarted, entered.browser) == []
    restarted.close()


def test_nor_does_the_next_sign_in_bring_back_whom_the_closed_browser_forgot_then(
    authserver: AuthServer, alice: User, bob: User, visit: Visit, tmp_path: Path
):
    entered = _enter(authserver, visit, alice, remember=True)
    restarted = _node(authserver, tmp_path, remember_seconds=0)
    with restarted.later(3600):
        both = _enter(restarted, _closed(entered), bob)
        assert _names(restarted, both.browser) == ["bob"]
        assert sessions.idle_sessions(restarted.server, both.browser) == ()
    restarted.close()


def test_without_the_offer_the_ordinary_absolute_end_counts_for_them_however_busy(
    authserver: AuthServer, alice: User, visit: Visit, tmp_path: Path
):
    entered = _enter(authserver, visit, alice, remember=True)
    with authserver.later(31 * 86400):
        live_sessions(authserver.server, entered.browser)
        restarted = _node(authserver, tmp_path, remember_seconds=0)
        assert restarted.store.sessions.get(entered.sid) is not None
        assert _names(restarted, entered.browser) == []
    restarted.close()


def test_nor_is_their_name_shown_after_it(authserver: AuthServer, alice: User, visit: Visit, tmp_path: Path):
    entered = _enter(authserver, visit, alice, remember=True)
    restarted = _node(authserver, tmp_path, remember_seconds=0)
    for days, names in ((29, ["alice"]), (31, [])):
        with restarted.later(days * 86400):
            found = sessions.idle_sessions(restarted.server, entered.browser)
            assert [session.username for session in found] == names
    restarted.close()


def test_shorter_limits_count_for_sessions_from_before(
    authserver: AuthServer, alice: User, bob: User, visit: Visit, tmp_path: Path
):
    entered = _enter(authserver, _enter(authserver, visit, bob).visit, alice, remember=True)
    restarted = _node(authserver, tmp_path, remember_seconds=5 * 86400, absolute_seconds=3600)
    with restarted.later(2 * 3600):
        assert _names(restarted, entered.browser) == ["alice"]
    with restarted.later(5 * 86400 + 1):
        assert _names(restarted, entered.browser) == []
    restarted.close()


def test_the_choice_counts_for_nothing_where_it_is_not_offered(alice: User, visit: Visit, authserver: AuthServer):
    unoffered = _node(authserver, Path(), remember_seconds=0)
    entered = _enter(unoffered, visit, alice, remember=True)
    assert not entered.browser.kept
    assert unoffered.store.sessions.of_user(alice.sub, 0)[0].remembered_at == 0
    unoffered.close()


# Two accounts in one browser


def test_closing_the_browser_signs_out_whoever_did_not_ask(
    authserver: AuthServer, alice: User, bob: User, visit: Visit
):
    entered = _enter(authserver, _enter(authserver, visit, alice, remember=True).visit, bob, remember=False)
    assert _names(authserver, entered.browser) == ["bob", "alice"]
    assert entered.browser.seconds > LIMITS["remember_seconds"] - 60, "the cookie lasts for alice"
    assert _names(authserver, _closed(entered).browser) == ["alice"]
    assert sessions.idle_sessions(authserver.server, _closed(entered).browser) == ()


@pytest.mark.parametrize("what", ["sign-in", "step-up", "sign-out"])
def test_nothing_that_happens_afterwards_brings_them_back(
    authserver: AuthServer, alice: User, bob: User, visit: Visit, what: str
):
    both = _enter(authserver, _enter(authserver, visit, alice, remember=True).visit, bob)
    visit = _closed(both)
    if what == "sign-in":
        browser: Browser | None = _enter(authserver, visit, authserver.user("carol")).browser
    elif what == "step-up":
        (session,) = live_sessions(authserver.server, visit.browser)
        browser = sessions.upgrade(authserver.server, visit, session, acr="urn:authserver:mfa", amr="pwd otp mfa")
    else:
        (session,) = live_sessions(authserver.server, visit.browser)
        sessions.sign_out(authserver.server, visit.browser, (session,), "logout")
        browser = sessions.renew_cookie(authserver.server, visit.browser)
    assert browser is not None
    left = {"sign-in": ["carol", "alice"], "step-up": ["alice"], "sign-out": []}[what]
    assert _names(authserver, browser) == left
    assert browser.kept is ("alice" in left)


def test_each_keeps_its_own_idle_time(authserver: AuthServer, alice: User, bob: User, visit: Visit):
    both = _enter(authserver, _enter(authserver, visit, alice, remember=True).visit, bob)
    with authserver.later(13 * 3600):
        assert _names(authserver, both.browser) == ["alice"]
        assert [session.username for session in sessions.idle_sessions(authserver.server, both.browser)] == ["bob"]


def test_the_cookie_goes_with_the_browser_once_nobody_is_left_who_asked(
    authserver: AuthServer, alice: User, bob: User, visit: Visit
):
    both = _enter(authserver, _enter(authserver, visit, alice, remember=True).visit, bob)
    sessions.end_by_id(authserver.server, alice.sub, live_sessions(authserver.server, both.browser)[1].sid, "user")
    assert not sessions.renew_cookie(authserver.server, both.browser).kept


# The same account again


def test_who_signs_in_again_may_ask_for_it_then(authserver: AuthServer, alice: User, visit: Visit):
    first = _enter(authserver, visit, alice)
    again = _enter(authserver, first.visit, alice, remember=True)
    assert again.sid == first.sid
    with authserver.later(31 * 86400 - 12 * 86400):
        assert _names(authserver, _closed(again).browser) == ["alice"]
        # Use goes on past the end that the session was begun with.
    with authserver.later(38 * 86400):
        assert _names(authserver, _closed(again).browser) == ["alice"]


def test_who_signs_in_again_without_asking_takes_it_back(authserver: AuthServer, alice: User, visit: Visit):
    first = _enter(authserver, visit, alice, remember=True)
    again = _enter(authserver, first.visit, alice, remember=False)
    assert (again.sid, again.browser.kept) == (first.sid, False)
    (session,) = live_sessions(authserver.server, again.browser)
    assert (session.remembered_at, session.expires_at) == (0, session.created_at + 30 * DAY)


def test_taking_it_back_past_the_ordinary_end_begins_anew(authserver: AuthServer, alice: User, visit: Visit):
    first = _enter(authserver, visit, alice, remember=True)
    for days in (15, 31):
        with authserver.later(days * 86400):
            assert _names(authserver, first.browser) == ["alice"]
    with authserver.later(31 * 86400):
        again = _enter(authserver, first.visit, alice, remember=False)
        assert again.sid != first.sid
        assert authserver.store.sessions.get(first.sid) is None
        assert [session.sid for session in live_sessions(authserver.server, again.browser)] == [again.sid]


def test_where_nobody_asked_a_new_proof_leaves_it_as_it_was(authserver: AuthServer, alice: User, visit: Visit):
    first = _enter(authserver, visit, alice, remember=True)
    for days in (15, 31):
        with authserver.later(days * 86400):
            before = live_sessions(authserver.server, first.browser)[0]
    with authserver.later(31 * 86400):
        again = _enter(authserver, first.visit, alice)
        assert (again.sid, again.browser.kept) == (first.sid, True)
        assert live_sessions(authserver.server, again.browser)[0].expires_at == before.expires_at
        assert again.browser.seconds <= 29 * 86400


# The second factor in between


@pytest.mark.parametrize("remember", [True, False, None])
def test_the_choice_beside_the_password_waits_for_the_second_factor(
    *, authserver: AuthServer, alice: User, visit: Visit, remember: bool | None
):
    secret, _ = _enrol(authserver, authserver._session(alice)[1])
    half = login.sign_in(authserver.server, visit, "alice", PASSWORD, remember=remember)
    assert half.half
    assert half.browser is not None
    assert not half.browser.kept, "nobody is signed in yet"
    visit = visit._replace(browser=half.browser)
    waiting = login.half_of(authserver.server, half.browser, "")
    assert waiting is not None
    done = login.complete(authserver.server, visit, waiting, _code(secret))
    assert done.browser is not None
    assert done.browser.kept is bool(remember)
    (session,) = live_sessions(authserver.server, done.browser)
    assert (session.remembered_at > 0, session.acr) == (bool(remember), second_factor.ACR)


def test_the_choice_of_one_account_is_not_that_of_another(authserver: AuthServer, alice: User, bob: User, visit: Visit):
    _enrol(authserver, authserver._session(alice)[1])
    half = login.sign_in(authserver.server, visit, "alice", PASSWORD, remember=True)
    assert half.browser is not None
    other = login.sign_in(authserver.server, visit._replace(browser=half.browser), "bob", PASSWORD, remember=False)
    assert other.browser is not None
    assert not other.browser.kept
    assert login.half_of(authserver.server, other.browser, "") is None


def test_a_step_up_leaves_the_choice_as_it_was(authserver: AuthServer, alice: User, visit: Visit):
    entered = _enter(authserver, visit, alice, remember=True)
    before = live_sessions(authserver.server, entered.browser)[0]
    browser = sessions.upgrade(authserver.server, entered.visit, before, acr="urn:authserver:mfa", amr="pwd otp mfa")
    assert browser is not None
    after = live_sessions(authserver.server, browser)[0]
    assert (after.remembered_at, after.expires_at, browser.kept) == (before.remembered_at, before.expires_at, True)


# Whom the pages of ours are about


def test_the_account_that_was_chosen_counts_until_it_signs_out(
    authserver: AuthServer, alice: User, bob: User, visit: Visit
):
    first = _enter(authserver, visit, alice)
    both = _enter(authserver, first.visit, bob)
    live = live_sessions(authserver.server, both.browser)

    def shown(found: tuple[Session, ...] = live) -> str | None:
        account = sessions.account_of(authserver.server, both.browser, found)
        return account.username if account else None

    assert shown() == "bob", "the latest to sign in"
    for sid, name in ((first.sid, "alice"), (both.sid, "bob"), (first.sid, "alice")):
        sessions.choose_account(authserver.server, both.browser, sid)
        assert shown() == name
    assert shown(tuple(session for session in live if session.sub == bob.sub)) == "bob"
    assert shown(()) is None


def test_who_signs_out_is_forgotten_with_what_was_left_of_them(authserver: AuthServer, alice: User, visit: Visit):
    first = _enter(authserver, visit, alice)
    with authserver.later(13 * 3600):
        (idle,) = sessions.idle_sessions(authserver.server, first.browser)
        assert (idle.sid, idle.username) == (first.sid, "alice")
        again = _enter(authserver, first.visit, alice)
        live = live_sessions(authserver.server, again.browser)
        assert sessions.idle_sessions(authserver.server, again.browser) == ()
        sessions.sign_out(authserver.server, again.browser, live, "logout")
        assert sessions.idle_sessions(authserver.server, again.browser) == ()


@pytest.mark.parametrize("change", ["disabled", "absolute end"])
def test_an_account_is_not_offered_again_that_cannot_come_back_so(
    authserver: AuthServer, alice: User, visit: Visit, change: str
):
    entered = _enter(authserver, visit, alice)
    if change == "disabled":
        authserver.store.users.set_disabled(alice.sub, True, Event("user.disabled", "test", sub=alice.sub))
    with authserver.later(31 * 86400 if change == "absolute end" else 13 * 3600):
        assert sessions.idle_sessions(authserver.server, entered.browser) == ()
