"""What a client registers about its ID tokens and userinfo is what it gets ("Dynamic OP"), over HTTP alone."""

import time
from typing import Any

import pytest

from pytest_authserver import AuthServer, RegisteredClient
from tests import encrypted, verified
from tests.registering import CB, refusal, register


@pytest.fixture(scope="session")
def op(provider: AuthServer) -> AuthServer:
    """The provider, with somebody who can sign in."""
    provider.user("alice", name="Alice Adams")
    return provider


def sign_in(op: AuthServer, **metadata: Any) -> tuple[str, dict[str, Any]]:
    """Register a client, sign in at it page by page with a nonce; return its identifier and the token response."""
    made = register(op, **metadata)
    assert made.items() >= metadata.items()
    client = RegisteredClient(made["client_id"], made["client_secret"], CB, made)
    return client.client_id, op.sign_in(client, nonce="n-0S6_WzA2Mj")


def discovered(op: AuthServer) -> dict[str, Any]:
    document: dict[str, Any] = op.get("/.well-known/openid-configuration").json()
    return document


def assert_good(op: AuthServer, client_id: str, claims: dict[str, Any]) -> None:
    """Check what the suite checks of every ID token."""
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (discovered(op)["issuer"], client_id, "n-0S6_WzA2Mj")
    assert 0 < len(claims["sub"]) <= 255
    assert claims["sub"].isascii()
    assert claims["iat"] - 1 <= time.time() < claims["exp"]
    assert claims["auth_time"] <= claims["iat"]
    assert claims["acr"]
    assert "azp" not in claims


# OIDCCIdTokenRS256, and the same for the others of the list.
@pytest.mark.parametrize("algorithm", verified.ALGORITHMS)
def test_an_id_token_is_signed_as_the_client_registered(op: AuthServer, algorithm: str):
    assert algorithm in discovered(op)["id_token_signing_alg_values_supported"]
    client_id, tokens = sign_in(op, id_token_signed_response_alg=algorithm)
    assert_good(op, client_id, verified.read(op, tokens["id_token"], algorithm))


# OIDCCIdTokenUnsigned is skipped where "none" is not announced.
def test_no_unsigned_token_is_offered_or_given(op: AuthServer):
    document = discovered(op)
    for name in ("id_token_signing_alg_values_supported", "userinfo_signing_alg_values_supported"):
        assert "none" not in document[name]
    assert refusal(op, id_token_signed_response_alg="none") == "invalid_client_metadata"
    assert refusal(op, userinfo_signed_response_alg="none") == "invalid_client_metadata"


# OIDCCUserInfoRS256, and the same for the others of the list.
@pytest.mark.parametrize("algorithm", verified.ALGORITHMS)
def test_userinfo_is_signed_as_the_client_registered(op: AuthServer, algorithm: str):
    assert algorithm in discovered(op)["userinfo_signing_alg_values_supported"]
    client_id, tokens = sign_in(op, userinfo_signed_response_alg=algorithm)
    answer = op.get("/userinfo", tokens["access_token"])
    assert answer.headers["content-type"] == "application/jwt"
    told = verified.read(op, answer.text, algorithm)
    assert (told["iss"], told["aud"]) == (discovered(op)["issuer"], client_id)
    assert told["sub"] == verified.read(op, tokens["id_token"], "RS256")["sub"]
    assert told["name"] == "Alice Adams"
    assert "nonce" not in told


def test_both_are_encrypted_as_the_client_registered(op: AuthServer):
    client_id, tokens = sign_in(
        op,
        jwks={"keys": [encrypted.jwk("rsa")]},
        id_token_encrypted_response_alg="RSA-OAEP-256",
        userinfo_signed_response_alg="RS256",
        userinfo_encrypted_response_alg="RSA-OAEP-256",
        userinfo_encrypted_response_enc="A256GCM",
    )
    claims = verified.read(op, encrypted.opened(tokens["id_token"], "rsa"), "RS256")
    assert_good(op, client_id, claims)
    answer = op.get("/userinfo", tokens["access_token"])
    assert answer.headers["content-type"] == "application/jwt"
    assert verified.read(op, encrypted.opened(answer.text, "rsa"), "RS256")["sub"] == claims["sub"]
