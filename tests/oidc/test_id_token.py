"""ID token (OpenID Connect Core 1.0, 2, 3.1.3.3, 12.2)."""

import base64
import hashlib
import json
import time
from typing import Any

import jwt
import pytest
from jwt import PyJWK

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API

CLAIMS = {"iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "at_hash", "sid"}


def _read(authserver: AuthServer, client: RegisteredClient, token: str) -> dict[str, Any]:
    """Verify an ID token as PyJWT does with the published keys."""
    header = jwt.get_unverified_header(token)
    key = next(key for key in authserver.get("/jwks").json()["keys"] if key["kid"] == header["kid"])
    claims: dict[str, Any] = jwt.decode(
        token,
        PyJWK(key),
        [key["alg"]],
        audience=client.client_id,
        issuer=authserver.issuer,
        options={"require": ["iss", "sub", "aud", "exp", "iat"]},
    )
    return claims


def test_another_library_verifies_it_with_the_published_key(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    token = authserver.tokens(client, alice, nonce="n")["id_token"]
    assert jwt.get_unverified_header(token).keys() == {"alg", "kid", "typ"}
    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    claims = _read(authserver, client, token)
    assert claims.keys() == CLAIMS | {"nonce"}
    assert claims["sub"] == alice.sub
    assert claims["aud"] == client.client_id
    assert (claims["acr"], claims["amr"]) == ("urn:authserver:pwd", ["pwd"])
    assert claims["exp"] - claims["iat"] == 600
    assert abs(claims["iat"] - time.time()) < 60
    assert claims["auth_time"] <= claims["iat"]
    for name in ("exp", "iat", "auth_time"):
        assert type(claims[name]) is int


def test_the_subject_is_short_ascii_and_not_a_user_name_2(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    subject = _read(authserver, client, authserver.tokens(client, alice)["id_token"])["sub"]
    assert len(subject) <= 255
    assert subject.isascii()
    assert "alice" not in subject


@pytest.mark.parametrize("nonce", ["n", "n-0S6_WzA2Mj", "a b+c/=&%", "\N{SNOWMAN}", "x" * 2000])
def test_the_nonce_is_returned_unchanged_2(authserver: AuthServer, client: RegisteredClient, alice: User, nonce: str):
    assert _read(authserver, client, authserver.tokens(client, alice, nonce=nonce)["id_token"])["nonce"] == nonce


def test_without_a_nonce_there_is_none(authserver: AuthServer, client: RegisteredClient, alice: User):
    assert "nonce" not in _read(authserver, client, authserver.tokens(client, alice)["id_token"])


def test_at_hash_is_of_the_access_token_beside_it_3_1_3_6(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    for parameters in ({}, {"scope": "openid jwt:read", "resource": "https://jwt.test/"}):
        tokens = authserver.tokens(client, alice, **parameters)
        half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
        expected = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
        assert _read(authserver, client, tokens["id_token"])["at_hash"] == expected


def test_auth_time_is_when_the_user_signed_in(authserver: AuthServer, client: RegisteredClient, alice: User):
    allowed = authserver.allow(client, alice)
    with authserver.later(30):
        claims = _read_later(authserver, client, authserver.redeem(client, allowed).json()["id_token"])
    assert claims["auth_time"] == allowed.session.auth_time // 1_000_000
    assert claims["iat"] - claims["auth_time"] >= 29


def _read_later(authserver: AuthServer, client: RegisteredClient, token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == client.client_id
    assert claims["iss"] == authserver.issuer
    return claims


def test_each_session_has_its_own_sid(authserver: AuthServer, client: RegisteredClient, alice: User):
    first, second = authserver.allow(client, alice), authserver.allow(client, alice)
    sids = [
        _read(authserver, client, authserver.redeem(client, each).json()["id_token"])["sid"] for each in (first, second)
    ]
    assert sids == [first.session.sid, second.session.sid]
    assert sids[0] != sids[1]


def test_claims_of_the_profile_are_not_in_it_by_default_5_4(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    token = authserver.tokens(client, alice, scope="openid profile email address phone")["id_token"]
    assert _read(authserver, client, token).keys() == CLAIMS


def test_a_client_may_have_them_put_in(authserver: AuthServer, alice: User):
    client = authserver.client(id_token_claims=True)
    claims = _read(authserver, client, authserver.tokens(client, alice, scope="openid profile email")["id_token"])
    assert claims["name"] == "Alice Adams"
    assert claims["email"] == "alice@example.test"
    assert "phone_number" not in claims
    assert claims.keys() >= CLAIMS
    assert claims["sub"] == alice.sub


def test_a_client_may_ask_for_es256(authserver: AuthServer, alice: User):
    client = authserver.client(id_token_signed_response_alg="ES256")
    token = authserver.tokens(client, alice)["id_token"]
    assert jwt.get_unverified_header(token)["alg"] == "ES256"
    assert _read(authserver, client, token)["sub"] == alice.sub


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS384", ""])
def test_no_weaker_algorithm_can_be_registered(authserver: AuthServer, algorithm: str):
    with pytest.raises(Exception, match="id_token_signed_response_alg"):
        authserver.client(id_token_signed_response_alg=algorithm)


def test_only_the_scope_openid_brings_one(authserver: AuthServer, client: RegisteredClient, alice: User):
    assert "id_token" not in authserver.tokens(client, alice, scope="profile api:read", resource=API)
    answer = authserver.token(client, grant_type="client_credentials", scope="api:read")
    assert "id_token" not in answer.json()


def test_a_refresh_brings_a_new_one_without_a_nonce_12_2(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice, nonce="n")
    refreshed = authserver.refresh(client, tokens["refresh_token"]).json()
    before, after = (_read(authserver, client, each["id_token"]) for each in (tokens, refreshed))
    for name in ("iss", "sub", "aud", "auth_time", "sid", "acr", "amr"):
        assert before[name] == after[name]
    assert "nonce" not in after
    assert after["at_hash"] != before["at_hash"]


def test_its_parts_are_base64url_without_padding(authserver: AuthServer, client: RegisteredClient, alice: User):
    head, body, signature = authserver.tokens(client, alice)["id_token"].split(".")
    assert "=" not in head + body + signature
    assert json.loads(base64.urlsafe_b64decode(head + "=="))["typ"] == "JWT"
