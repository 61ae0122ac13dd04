"""Accounts over the management API."""

import secrets
from typing import Any

import pytest

from authserver.identity import second_factor, sessions
from authserver.identity.passwords import TooBusy
from authserver.records import Event, User
from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD
from tests.api.conftest import Manager
from tests.authenticator import enrol
from tests.world import assert_refused

ANOTHER = "a longer battery of horses, stapled"


@pytest.fixture
def carol(authserver: AuthServer) -> User:
    """An account of this test alone."""
    return authserver.user(f"carol-{secrets.token_hex(4)}")


def _signs_in(at: AuthServer, user: User, password: str) -> bool:
    client = at.client(trusted=True)
    page = at.browser().authorize(at.request(client, at.pkce()), username=user.username, password=password)
    return page.location is not None and "code" in page.callback


def test_an_account_is_added_and_can_sign_in(authserver: AuthServer, manager: Manager):
    sent = {"username": "dora", "email": "dora@people.test", "password": PASSWORD, "claims": {"name": "Dora"}}
    answer = manager("POST", "/users", **sent)
    shown = answer.json()
    assert answer.status_code == 201
    assert PASSWORD not in answer.text
    assert shown["claims"] == {"name": "Dora"}
    assert shown["created_at"] > 0
    for query in ({"sub": shown["sub"]}, {"login": "DORA"}, {"login": "dora@people.test"}):
        assert manager.good("GET", "/user", query) == shown
    assert _signs_in(authserver, User(shown["sub"], "dora"), PASSWORD)
    assert_refused(manager("POST", "/users", username="Dora"), "conflict", 409)
    assert_refused(manager("POST", "/users", username="other", email="DORA@people.test"), "conflict", 409)


def test_an_address_from_the_sign_up_page_is_confirmed(authserver: AuthServer, manager: Manager):
    name = f"erin-{secrets.token_hex(4)}"
    users = authserver.store.users
    users.add(User(f"sub-{name}", name, unconfirmed_email=f"{name}@people.test"), None, Event("user.signed_up"))
    shown = manager.good("GET", "/user", {"login": name})
    assert (shown["email"], shown["unconfirmed_email"]) == (None, f"{name}@people.test")
    answer = manager("POST", "/user/confirm-email", sub=shown["sub"])
    assert answer.status_code == 200
    assert answer.json() == manager.good("GET", "/user", {"login": f"{name}@people.test"})
    assert answer.json()["email_verified"] is True
    assert_refused(manager("POST", "/user/confirm-email", sub=shown["sub"]), "invalid_request")


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"username": ""},
        {"username": "a\0b"},
        {"username": "\ud800"},
        {"username": ["a"]},
        {"username": "x" * 5000},
        {"username": "erna", "email": "no address"},
        {"username": "erna", "email": {}},
        {"username": "erna", "password": "short"},
        {"username": "erna", "password": "ernaernaernaerna\0"},
        {"username": "erna", "claims": []},
        {"username": "erna", "claims": {"sub": "x"}},
        {"username": "erna", "email": "erna@people.test", "claims": {"email": "other@people.test"}},
        {"username": "erna", "claims": {"number": 10**40}},
        {"username": "erna", "administrator": True},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(manager: Manager, members: dict[str, Any]):
    assert_refused(manager("POST", "/users", json=members), "invalid_request")
    assert_refused(manager("GET", "/user", {"login": "erna"}), "not_found", 404)


def test_an_account_is_asked_for_in_one_way(manager: Manager, carol: User):
    for query in ({}, {"sub": carol.sub, "login": carol.username}):
        assert_refused(manager("GET", "/user", query), "invalid_request")
    for query in ({"sub": "nobody"}, {"login": "no\0body"}):
        assert_refused(manager("GET", "/user", query), "not_found", 404)


def test_switching_off_closes_every_door_on_every_node(
    authserver: AuthServer, node: AuthServer, manager: Manager, carol: User
):
    client = authserver.client(trusted=True)
    token = authserver.tokens(client, carol)["access_token"]
    assert node.get("/userinfo", token).status_code == 200
    assert manager.good("POST", "/user/disable", sub=carol.sub)["disabled"] is True
    assert node.get("/userinfo", token).status_code == 401
    assert not _signs_in(authserver, carol, PASSWORD)
    assert manager.good("POST", "/user/enable", sub=carol.sub)["disabled"] is False
    assert _signs_in(node, carol, PASSWORD)


def test_a_password_is_written_and_never_read(authserver: AuthServer, manager: Manager, carol: User):
    token = authserver.tokens(authserver.client(trusted=True), carol)["access_token"]
    answer = manager("POST", "/user/set-password", sub=carol.sub, password=ANOTHER)
    assert (answer.status_code, answer.content) == (204, b"")
    assert authserver.get("/userinfo", token).status_code == 401
    assert not _signs_in(authserver, carol, PASSWORD)
    assert _signs_in(authserver, carol, ANOTHER)
    for weak in ("short", carol.username * 3, "a\ud800" * 20, "x" * 5000):
        assert_refused(
            manager("POST", "/user/set-password", sub=carol.sub, password=weak),
            "invalid_request",
        )
    assert ANOTHER not in manager("GET", "/audit", {"limit": 200, "name": "password.changed"}).text


def test_when_too_many_hashes_wait_the_caller_is_told_to_come_back(
    authserver: AuthServer, manager: Manager, carol: User, monkeypatch: pytest.MonkeyPatch
):
    def busy(_password: str) -> str:
        raise TooBusy

    monkeypatch.setattr(authserver.server.passwords, "hash", busy)
    answer = manager("POST", "/user/set-password", sub=carol.sub, password=ANOTHER)
    assert_refused(answer, "temporarily_unavailable", 503)
    assert int(answer.headers["retry-after"]) > 0


def test_a_second_factor_that_was_lost_is_taken_away(authserver: AuthServer, manager: Manager, carol: User):
    assert_refused(manager("POST", "/user/reset-second-factor", sub=carol.sub), "invalid_request")
    enrol(authserver, authserver.browser(carol))
    assert second_factor.is_enrolled(authserver.server, carol.sub)
    assert manager("POST", "/user/reset-second-factor", sub=carol.sub).status_code == 204
    assert not second_factor.is_enrolled(authserver.server, carol.sub)
    assert sessions.sessions_of(authserver.server, carol.sub) == ()
    assert_refused(manager("POST", "/user/reset-second-factor", sub="nobody"), "not_found", 404)
