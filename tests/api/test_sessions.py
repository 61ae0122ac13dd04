"""Browser sessions over the management API."""

import secrets

import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.api.conftest import Manager
from tests.world import assert_refused


@pytest.fixture
def frank(authserver: AuthServer) -> User:
    """An account of this test alone."""
    return authserver.user(f"frank-{secrets.token_hex(4)}")


def _sids(manager: Manager, user: User) -> list[str]:
    return [session["sid"] for session in manager.good("GET", "/sessions", {"sub": user.sub})["sessions"]]


def test_where_an_account_is_signed_in_is_listed(authserver: AuthServer, manager: Manager, frank: User):
    assert _sids(manager, frank) == []
    authserver.browser(frank)
    (session,) = manager.good("GET", "/sessions", {"sub": frank.sub})["sessions"]
    assert session["sub"] == frank.sub
    assert session["user_agent"] == "pytest"
    assert session["amr"] == ["pwd"]


def test_one_session_is_ended_and_the_other_lives(
    authserver: AuthServer, node: AuthServer, manager: Manager, frank: User
):
    first, second = authserver.browser(frank), authserver.browser(frank)
    ended, kept = _sids(manager, frank)
    assert manager("POST", "/session/end", sid=ended).status_code == 204
    assert _sids(manager, frank) == [kept]
    seen = [browser.http.get("/account").status_code for browser in (first, second)]
    assert sorted(seen) == [200, 303]
    assert_refused(manager("POST", "/session/end", sid=ended), "not_found", 404)
    assert_refused(manager("POST", "/session/end", sid="nothing"), "not_found", 404)
    assert node.store.audit.list(0, 100_000, "session.ended")[-1].event.actor == manager.actor


def test_all_sessions_are_ended_with_what_hangs_on_them(
    authserver: AuthServer, node: AuthServer, manager: Manager, frank: User
):
    client = authserver.client(trusted=True)
    tokens = authserver.tokens(client, frank)
    authserver.browser(frank)
    assert manager.good("POST", "/sessions/end", sub=frank.sub) == {"ended": 2}
    assert _sids(manager, frank) == []
    assert node.get("/userinfo", tokens["access_token"]).status_code == 401
    assert_refused(node.refresh(client, tokens["refresh_token"]), "invalid_grant")
    assert manager.good("POST", "/sessions/end", sub=frank.sub) == {"ended": 0}
    assert_refused(manager("POST", "/sessions/end", sub="nobody"), "not_found", 404)
