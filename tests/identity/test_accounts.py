import pytest

from authserver.identity import accounts, sessions
from authserver.identity.accounts import Refused
from authserver.identity.login import sign_in
from authserver.identity.sessions import Browser, Visit, live_sessions, new_browser
from authserver.records import Session, User
from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD

NEW = "a quokka under my piano"


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
