"""Refreshing an access token (RFC 6749 6), without its rotation, which is in test_refresh_rotation.py."""

from collections.abc import Callable
from typing import Any

import jwt
import pytest

from authserver.clock import DAY, SECOND
from authserver.identity import accounts, passwords
from authserver.manage import clients, grants, resources, users
from authserver.records import Event, User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API, JWT_API, assert_refused, is_alive

WINDOW = 60


def _refresh(authserver: AuthServer, client: RegisteredClient, token: str, **parameters: Any) -> dict[str, Any]:
    answer = authserver.refresh(client, token, **parameters)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def _end_session(authserver: AuthServer, user: User) -> None:
    sids = [session.sid for session in authserver.store.sessions.of_user(user.sub, 0)]
    authserver.store.sessions.end(sids, "logout", Event("session.ended", user.sub, sub=user.sub))


def _update(authserver: AuthServer, client: RegisteredClient, **changes: Any) -> None:
    registered = authserver.store.clients.get(client.client_id)
    assert registered is not None
    metadata = {**registered.metadata, **changes}
    clients.update(authserver.store, authserver.sealer, client.client_id, metadata, actor="test")
    authserver.server.forget()


# 6: the request and its answer.


def test_the_answer_has_a_new_access_token_and_a_new_refresh_token(
    authserver: AuthServer, client: RegisteredClient, public: RegisteredClient, alice: User
):
    for asking in (client, public):
        first = authserver.tokens(asking, alice)
        answer = authserver.refresh(asking, first["refresh_token"])
        assert answer.headers["cache-control"] == "no-store"
        second = answer.json()
        assert second.keys() == first.keys()
        assert second["token_type"] == "Bearer"
        assert second["expires_in"] == 600
        assert second["scope"] == first["scope"]
        for name in ("access_token", "refresh_token", "id_token"):
            assert second[name] != first[name]


def test_a_missing_refresh_token_is_an_invalid_request(authserver: AuthServer, client: RegisteredClient):
    assert_refused(authserver.token(client, grant_type="refresh_token"), "invalid_request")
    assert_refused(authserver.token(client, grant_type="refresh_token", refresh_token=""), "invalid_request")


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token + "\0",
        lambda token: " " + token,
        lambda token: token + "\n",
        lambda token: token.swapcase(),
        lambda token: token.replace("asr_", "asc_"),
        lambda token: token.replace("asr_", "asa_"),
        lambda token: "\N{SNOWMAN}",
        lambda token: "x" * 60_000,
    ],
)
def test_a_token_that_was_tampered_with_opens_nothing_and_stays_good(
    authserver: AuthServer, client: RegisteredClient, alice: User, change: Callable[[str], str]
):
    token = authserver.tokens(client, alice)["refresh_token"]
    assert_refused(authserver.refresh(client, change(token)), "invalid_grant")
    _refresh(authserver, client, token)


def test_other_tokens_are_no_refresh_tokens(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice)
    for other in (tokens["access_token"], tokens["id_token"], authserver.allow(client, alice).code):
        assert_refused(authserver.refresh(client, other), "invalid_grant")


def test_the_access_tokens_from_before_live_on(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice)
    _refresh(authserver, client, tokens["refresh_token"])
    assert is_alive(authserver, client, tokens["access_token"])


# A wrong attempt is inert.


def test_another_client_is_refused_and_the_owner_goes_on(
    authserver: AuthServer, client: RegisteredClient, stranger: RegisteredClient, public: RegisteredClient, alice: User
):
    token = authserver.tokens(client, alice)["refresh_token"]
    for other in (stranger, public):
        assert_refused(authserver.refresh(other, token), "invalid_grant")
    for client_id in (None, client.client_id):
        answer = authserver.post("/token", grant_type="refresh_token", refresh_token=token, client_id=client_id)
        assert_refused(answer, "invalid_client", 401)
    wrong = RegisteredClient(client.client_id, "wrong", client.redirect_uri, {})
    assert_refused(authserver.refresh(wrong, token), "invalid_client", 401)
    rotated = _refresh(authserver, client, token)
    with authserver.later(WINDOW + 1):
        for other in (stranger, public):
            assert_refused(authserver.refresh(other, token), "invalid_grant")
        _refresh(authserver, client, rotated["refresh_token"])


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"scope": "openid profile email"}, "invalid_scope"),
        ({"scope": "openid offline_access"}, "invalid_scope"),
        ({"scope": "openid unheard-of"}, "invalid_scope"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"resource": API}, "invalid_target"),
        ({"resource": "x"}, "invalid_target"),
    ],
)
def test_wider_scope_or_another_resource_is_refused_and_takes_nothing_6(
    authserver: AuthServer, client: RegisteredClient, alice: User, parameters: dict[str, str], error: str
):
    token = authserver.tokens(client, alice, scope="openid profile")["refresh_token"]
    assert_refused(authserver.refresh(client, token, **parameters), error)
    with authserver.later(WINDOW + 1):
        _refresh(authserver, client, token)


def test_the_scope_may_be_narrowed_and_the_grant_does_not_shrink_6(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    tokens = authserver.tokens(client, alice, scope="openid profile api:read")
    narrow = _refresh(authserver, client, tokens["refresh_token"], scope="api:read")
    assert narrow["scope"] == "api:read"
    assert "id_token" not in narrow
    assert authserver.introspect(client, narrow["access_token"])["scope"] == "api:read"
    wide = _refresh(authserver, client, narrow["refresh_token"], scope="profile openid")
    assert wide["scope"] == "profile openid"
    whole = _refresh(authserver, client, wide["refresh_token"])
    assert whole["scope"] == "openid profile api:read"


def test_what_the_client_may_no_longer_have_is_not_refreshed(authserver: AuthServer, alice: User):
    client = authserver.client(scope="openid profile offline_access")
    online = authserver.tokens(client, alice, scope="openid profile")["refresh_token"]
    offline = authserver.tokens(client, alice, scope="openid profile offline_access")["refresh_token"]
    _update(authserver, client, scope="openid offline_access")
    assert _refresh(authserver, client, online)["scope"] == "openid"
    offline = _refresh(authserver, client, offline)["refresh_token"]
    _update(authserver, client, scope="openid profile")
    assert_refused(authserver.refresh(client, offline), "invalid_grant")


def test_a_resource_that_the_client_may_no_longer_name_is_not_refreshed(authserver: AuthServer, alice: User):
    client = authserver.client(scope="openid api:read")
    token = authserver.tokens(client, alice, scope="openid api:read", resource=API)["refresh_token"]
    _update(authserver, client, resources=[JWT_API])
    assert_refused(authserver.refresh(client, token), "invalid_target")


def test_a_resource_that_was_removed_is_not_refreshed(authserver: AuthServer, client: RegisteredClient, alice: User):
    removed = "https://removed.test/"
    authserver.resource(removed, "removed:read")
    token = authserver.tokens(client, alice, resource=removed)["refresh_token"]
    resources.remove(authserver.store, removed, actor="test")
    authserver.server.forget()
    assert_refused(authserver.refresh(client, token), "invalid_target")


# How long it lives.


def test_a_token_that_is_not_used_is_over_after_thirty_days(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    token = authserver.tokens(client, alice, scope="openid offline_access")["refresh_token"]
    with authserver.later(30 * DAY // SECOND + 1):
        assert_refused(authserver.refresh(client, token), "invalid_grant")
    with authserver.later(30 * DAY // SECOND - 10):
        _refresh(authserver, client, token)


def test_a_chain_ends_a_year_after_its_first_token_however_often_it_is_used(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    token = authserver.tokens(client, alice, scope="openid offline_access")["refresh_token"]
    for day in (*range(25, 365, 25), 364):
        with authserver.later(day * DAY // SECOND):
            token = _refresh(authserver, client, token)["refresh_token"]
    with authserver.later(364 * DAY // SECOND):
        left = authserver.introspect(client, token)
        assert left["exp"] - left["iat"] <= DAY // SECOND, "the last one is shortened"
    with authserver.later(365 * DAY // SECOND + 1):
        assert_refused(authserver.refresh(client, token), "invalid_grant")


def _disable_user(authserver: AuthServer, user: User, client: RegisteredClient) -> None:
    users.set_disabled(authserver.store, user, disabled=True, actor="test")


def _change_password(authserver: AuthServer, user: User, client: RegisteredClient) -> None:
    event = Event("password.changed", user.sub, sub=user.sub)
    authserver.store.credentials.replace(user.sub, passwords.KIND, "hash", event)


def _withdraw_consent(authserver: AuthServer, user: User, client: RegisteredClient) -> None:
    accounts.withdraw(authserver.server, user.sub, client.client_id)


def _revoke_grants(authserver: AuthServer, user: User, client: RegisteredClient) -> None:
    grants.revoke_all(authserver.store, sub=user.sub, client_id=client.client_id, actor="test")


@pytest.mark.parametrize("happens", [_disable_user, _change_password, _withdraw_consent, _revoke_grants])
@pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
def test_a_chain_ends_when_what_it_stands_on_is_gone(
    authserver: AuthServer, client: RegisteredClient, happens: Callable[..., None], scope: str
):
    user = authserver.user(f"refresh{happens.__name__}{len(scope)}")
    tokens = authserver.tokens(client, user, scope=scope)
    happens(authserver, user, client)
    assert_refused(authserver.refresh(client, tokens["refresh_token"]), "invalid_grant")
    assert not is_alive(authserver, client, tokens["access_token"])


def test_without_offline_access_a_chain_ends_with_its_session_and_no_other(
    authserver: AuthServer, client: RegisteredClient
):
    user = authserver.user("refresh-logout")
    first, second = authserver.allow(client, user), authserver.allow(client, user)
    ended, kept = authserver.redeem(client, first).json(), authserver.redeem(client, second).json()
    event = Event("session.ended", user.sub, sub=user.sub)
    authserver.store.sessions.end([first.session.sid], "logout", event)
    assert_refused(authserver.refresh(client, ended["refresh_token"]), "invalid_grant")
    assert not is_alive(authserver, client, ended["access_token"])
    _refresh(authserver, client, kept["refresh_token"])


def test_with_offline_access_a_chain_outlives_its_session(authserver: AuthServer, client: RegisteredClient):
    user = authserver.user("refresh-offline")
    tokens = authserver.tokens(client, user, scope="openid offline_access")
    _end_session(authserver, user)
    assert is_alive(authserver, client, _refresh(authserver, client, tokens["refresh_token"])["access_token"])


def test_a_session_that_only_idles_out_ends_no_chain(authserver: AuthServer, client: RegisteredClient, alice: User):
    token = authserver.tokens(client, alice)["refresh_token"]
    with authserver.later(13 * 3600):
        _refresh(authserver, client, token)


def test_a_disabled_client_cannot_refresh(authserver: AuthServer, alice: User):
    client = authserver.client()
    token = authserver.tokens(client, alice)["refresh_token"]
    clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
    # The client itself may be remembered for a second; the statement that finds the token joins its state.
    assert authserver.refresh(client, token).json()["error"] in {"invalid_client", "invalid_grant"}
    with authserver.later(2):
        assert_refused(authserver.refresh(client, token), "invalid_client", 401)
    clients.set_disabled(authserver.store, client.client_id, disabled=False, actor="test")
    with authserver.later(4):
        assert_refused(authserver.refresh(client, token), "invalid_grant")


# OpenID Connect Core 12.2.


def test_a_refreshed_id_token_has_the_same_subject_and_sign_in_and_no_nonce(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    tokens = authserver.tokens(client, alice, nonce="n-0S6_WzA2Mj")
    with authserver.later(100):
        refreshed = _refresh(authserver, client, tokens["refresh_token"])
    first, second = (
        jwt.decode(token, options={"verify_signature": False}) for token in (tokens["id_token"], refreshed["id_token"])
    )
    for name in ("iss", "sub", "aud", "auth_time", "sid", "acr", "amr"):
        assert first[name] == second[name]
    assert first["nonce"] == "n-0S6_WzA2Mj"
    assert "nonce" not in second
    assert second["iat"] >= first["iat"] + 100
    assert second["at_hash"] != first["at_hash"]
