"""Rotation of refresh tokens, the window for repetitions, and reuse (RFC 9700 4.14.2)."""

from typing import Any

import pytest

from authserver.clock import DAY, SECOND
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import JWT_API, SCOPE, assert_refused, is_alive

CONFIDENTIAL_WINDOW, PUBLIC_WINDOW = 60, 10


def _refresh(authserver: AuthServer, client: RegisteredClient, token: str, **parameters: Any) -> dict[str, Any]:
    answer = authserver.refresh(client, token, **parameters)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def _events(authserver: AuthServer, name: str, client: RegisteredClient) -> int:
    lines = authserver.store.audit.list(0, 1_000_000, name)
    return sum(line.event.client_id == client.client_id for line in lines)


def test_a_token_is_replaced_at_every_use(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens, seen = authserver.tokens(client, alice), set()
    for _ in range(5):
        seen.add(tokens["refresh_token"])
        tokens = _refresh(authserver, client, tokens["refresh_token"])
    assert tokens["refresh_token"] not in seen
    assert len(seen) == 5


@pytest.mark.parametrize("after", [0, CONFIDENTIAL_WINDOW - 2])
def test_inside_the_window_the_same_successor_is_answered_with_a_new_access_token(
    authserver: AuthServer, client: RegisteredClient, alice: User, after: int
):
    token = authserver.tokens(client, alice)["refresh_token"]
    before = _events(authserver, "refresh.repeated", client)
    first = _refresh(authserver, client, token)
    with authserver.later(after):
        second = _refresh(authserver, client, token)
        third = _refresh(authserver, client, token)
    assert first["refresh_token"] == second["refresh_token"] == third["refresh_token"]
    assert len({first["access_token"], second["access_token"], third["access_token"]}) == 3
    assert is_alive(authserver, client, second["access_token"])
    assert _events(authserver, "refresh.repeated", client) == before + 2
    _refresh(authserver, client, first["refresh_token"])


def test_after_the_window_a_replaced_token_revokes_everything_4_14_2(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    first = authserver.tokens(client, alice, scope=SCOPE)
    second = _refresh(authserver, client, first["refresh_token"])
    third = _refresh(authserver, client, second["refresh_token"])
    before = _events(authserver, "refresh.reused", client)
    with authserver.later(CONFIDENTIAL_WINDOW + 1):
        assert_refused(authserver.refresh(client, first["refresh_token"]), "invalid_grant")
    for tokens in (first, second, third):
        assert not is_alive(authserver, client, tokens["access_token"])
        assert authserver.get("/userinfo", tokens["access_token"]).status_code == 401
        assert_refused(authserver.refresh(client, tokens["refresh_token"]), "invalid_grant")
    assert _events(authserver, "refresh.reused", client) == before + 1


def test_reuse_reaches_jwt_access_tokens_too(authserver: AuthServer, client: RegisteredClient, alice: User):
    first = authserver.tokens(client, alice, scope="openid jwt:read", resource=JWT_API)
    second = _refresh(authserver, client, first["refresh_token"])
    assert second["access_token"].count(".") == 2
    assert is_alive(authserver, client, second["access_token"])
    with authserver.later(CONFIDENTIAL_WINDOW + 1):
        authserver.refresh(client, first["refresh_token"])
    assert not is_alive(authserver, client, second["access_token"])
    assert authserver.get("/userinfo", second["access_token"]).status_code == 401


def test_reuse_leaves_other_grants_alone(authserver: AuthServer, client: RegisteredClient, alice: User):
    other, tokens = authserver.tokens(client, alice), authserver.tokens(client, alice)
    _refresh(authserver, client, tokens["refresh_token"])
    with authserver.later(CONFIDENTIAL_WINDOW + 1):
        authserver.refresh(client, tokens["refresh_token"])
    assert is_alive(authserver, client, other["access_token"])
    _refresh(authserver, client, other["refresh_token"])


def test_the_window_of_a_public_client_is_shorter(authserver: AuthServer, public: RegisteredClient, alice: User):
    first = authserver.tokens(public, alice)
    second = _refresh(authserver, public, first["refresh_token"])
    with authserver.later(PUBLIC_WINDOW - 2):
        assert _refresh(authserver, public, first["refresh_token"])["refresh_token"] == second["refresh_token"]
    with authserver.later(PUBLIC_WINDOW + 1):
        assert_refused(authserver.refresh(public, first["refresh_token"]), "invalid_grant")
    assert_refused(authserver.refresh(public, second["refresh_token"]), "invalid_grant")


def test_no_retry_extends_the_window(authserver: AuthServer, client: RegisteredClient, alice: User):
    token = authserver.tokens(client, alice)["refresh_token"]
    _refresh(authserver, client, token)
    for after in (20, 40, 58):
        with authserver.later(after):
            _refresh(authserver, client, token)
    with authserver.later(CONFIDENTIAL_WINDOW + 1):
        assert_refused(authserver.refresh(client, token), "invalid_grant")


def test_once_the_successor_was_used_the_window_is_over_and_nothing_is_revoked(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    first = authserver.tokens(client, alice)
    second = _refresh(authserver, client, first["refresh_token"])
    third = _refresh(authserver, client, second["refresh_token"])
    assert_refused(authserver.refresh(client, first["refresh_token"]), "invalid_grant")
    assert is_alive(authserver, client, third["access_token"])
    _refresh(authserver, client, third["refresh_token"])


def test_a_window_of_nothing_makes_every_repetition_reuse(authserver: AuthServer, alice: User):
    client = authserver.client(grace_seconds=0)
    first = authserver.tokens(client, alice)
    second = _refresh(authserver, client, first["refresh_token"])
    assert_refused(authserver.refresh(client, first["refresh_token"]), "invalid_grant")
    assert_refused(authserver.refresh(client, second["refresh_token"]), "invalid_grant")


def test_a_client_without_rotation_keeps_its_token_and_its_end_slides(authserver: AuthServer, alice: User):
    client = authserver.client(refresh_rotation=False)
    token = authserver.tokens(client, alice)["refresh_token"]
    with authserver.later(20 * DAY // SECOND):
        assert _refresh(authserver, client, token)["refresh_token"] == token
    with authserver.later(45 * DAY // SECOND):
        assert _refresh(authserver, client, token)["refresh_token"] == token
    with authserver.later(76 * DAY // SECOND):
        assert_refused(authserver.refresh(client, token), "invalid_grant")
