"""Token revocation (RFC 7009)."""

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API, JWT_API, SCOPE, assert_refused, is_alive


def _assert_done(answer: httpx2.Response) -> None:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {}


def test_an_access_token_ends_alone_2_1(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice)
    _assert_done(authserver.post("/revoke", client, token=tokens["access_token"]))
    assert not is_alive(authserver, client, tokens["access_token"])
    assert authserver.get("/userinfo", tokens["access_token"]).status_code == 401
    refreshed = authserver.refresh(client, tokens["refresh_token"]).json()
    assert is_alive(authserver, client, refreshed["access_token"])


def test_a_jwt_access_token_ends_alone_too(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice, scope="openid jwt:read", resource=JWT_API)
    other = authserver.refresh(client, tokens["refresh_token"]).json()["access_token"]
    _assert_done(authserver.post("/revoke", client, token=tokens["access_token"]))
    assert not is_alive(authserver, client, tokens["access_token"])
    assert authserver.get("/userinfo", tokens["access_token"]).status_code == 401
    assert is_alive(authserver, client, other)


def test_a_refresh_token_ends_its_grant_with_everything_issued_2_1(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    tokens = authserver.tokens(client, alice, scope=SCOPE, resource=[API, JWT_API][:1])
    refreshed = authserver.refresh(client, tokens["refresh_token"]).json()
    _assert_done(authserver.post("/revoke", client, token=refreshed["refresh_token"]))
    for token in (tokens["access_token"], refreshed["access_token"], refreshed["refresh_token"]):
        assert not is_alive(authserver, client, token)
    assert_refused(authserver.refresh(client, refreshed["refresh_token"]), "invalid_grant")


def test_a_replaced_refresh_token_ends_its_grant_as_well(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice)
    refreshed = authserver.refresh(client, tokens["refresh_token"]).json()
    _assert_done(authserver.post("/revoke", client, token=tokens["refresh_token"]))
    assert not is_alive(authserver, client, refreshed["access_token"])


def test_the_other_grants_of_the_same_user_and_client_live_on(
    authserver: AuthServer, client: RegisteredClient, stranger: RegisteredClient, alice: User
):
    scope = "openid offline_access"
    ended, same_client = authserver.tokens(client, alice, scope=scope), authserver.tokens(client, alice, scope=scope)
    other_client = authserver.tokens(stranger, alice, scope=scope)
    _assert_done(authserver.post("/revoke", client, token=ended["refresh_token"]))
    assert authserver.refresh(client, same_client["refresh_token"]).status_code == 200
    assert authserver.refresh(stranger, other_client["refresh_token"]).status_code == 200


def test_an_unknown_or_revoked_token_is_answered_like_a_revoked_one_2_2(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    tokens = authserver.tokens(client, alice)
    for token in (tokens["access_token"], tokens["access_token"], tokens["refresh_token"], tokens["refresh_token"]):
        _assert_done(authserver.post("/revoke", client, token=token))
    unknown = ["x", "a.b.c", "asa_x", "asr_x", "\N{SNOWMAN}", "a\0b", "x" * 60_000, tokens["access_token"][:-1]]
    for token in unknown:
        _assert_done(authserver.post("/revoke", client, token=token))


def test_an_expired_token_is_answered_like_a_revoked_one(authserver: AuthServer, client: RegisteredClient, alice: User):
    for resource, scope in ((API, "api:read"), (JWT_API, "jwt:read")):
        tokens = authserver.tokens(client, alice, scope=scope, resource=resource)
        with authserver.later(601):
            _assert_done(authserver.post("/revoke", client, token=tokens["access_token"]))


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "unheard-of", "\N{SNOWMAN}"])
def test_a_hint_is_only_a_hint_2_1(authserver: AuthServer, client: RegisteredClient, alice: User, hint: str):
    tokens = authserver.tokens(client, alice)
    for token in (tokens["access_token"], tokens["refresh_token"]):
        _assert_done(authserver.post("/revoke", client, token=token, token_type_hint=hint))
        assert not is_alive(authserver, client, token)


def test_the_token_of_another_client_is_refused_and_lives_2_1(
    authserver: AuthServer,
    client: RegisteredClient,
    stranger: RegisteredClient,
    public: RegisteredClient,
    service: RegisteredClient,
    alice: User,
):
    opaque = authserver.tokens(client, alice, scope="openid api:read", resource=API)
    signed = authserver.tokens(client, alice, scope="openid jwt:read", resource=JWT_API)
    for token in (opaque["access_token"], opaque["refresh_token"], signed["access_token"]):
        for other in (stranger, public, service):
            assert_refused(authserver.post("/revoke", other, token=token), "invalid_grant")
        assert is_alive(authserver, client, token)


def test_a_public_client_revokes_its_own_tokens_by_its_name_2_1_5(
    authserver: AuthServer, public: RegisteredClient, alice: User
):
    tokens = authserver.tokens(public, alice)
    assert authserver.get("/userinfo", tokens["access_token"]).status_code == 200
    _assert_done(authserver.post("/revoke", public, token=tokens["access_token"]))
    assert authserver.get("/userinfo", tokens["access_token"]).status_code == 401
    _assert_done(authserver.post("/revoke", public, token=tokens["refresh_token"]))
    assert_refused(authserver.refresh(public, tokens["refresh_token"]), "invalid_grant")


def test_a_confidential_client_has_to_prove_who_it_is(authserver: AuthServer, client: RegisteredClient, alice: User):
    token = authserver.tokens(client, alice)["access_token"]
    answer = authserver.post("/revoke", token=token, client_id=client.client_id)
    assert_refused(answer, "invalid_client", 401)
    assert_refused(authserver.post("/revoke", token=token), "invalid_client", 401)
    assert is_alive(authserver, client, token)


def test_the_secret_may_be_in_the_body(authserver: AuthServer, client: RegisteredClient, alice: User):
    token = authserver.tokens(client, alice)["access_token"]
    in_body = {"client_id": client.client_id, "client_secret": client.client_secret}
    _assert_done(authserver.post("/revoke", token=token, **in_body))
    assert not is_alive(authserver, client, token)


def test_a_missing_or_repeated_token_is_an_invalid_request(authserver: AuthServer, client: RegisteredClient):
    for token in (None, "", ["a", "b"]):
        assert_refused(authserver.post("/revoke", client, token=token), "invalid_request")


def test_an_id_token_is_no_access_token_to_revoke(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice)
    _assert_done(authserver.post("/revoke", client, token=tokens["id_token"]))
    assert is_alive(authserver, client, tokens["access_token"])


def test_revocation_is_written_to_the_audit_trail(authserver: AuthServer, alice: User):
    client = authserver.client()
    tokens = authserver.tokens(client, alice)
    authserver.post("/revoke", client, token=tokens["refresh_token"])
    lines = authserver.store.audit.list(0, 1_000_000, "grant.revoked")
    assert [line.event.sub for line in lines if line.event.client_id == client.client_id] == [alice.sub]
