"""Userinfo as a JWT, signed and encrypted as each client registered (OpenID Connect Core 1.0, 5.3.2)."""

import json
from typing import Any

import httpx2
import pytest

from authserver.manage import clients
from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests import encrypted, verified
from tests.assertions import jwk
from tests.signing import claims_of
from tests.world import JWT_API, SCOPE, ask, assert_refused, assert_sent_back, is_alive

PROFILE = "openid profile email"
OF_THE_PROTOCOL = {"nonce", "exp", "iat", "auth_time", "acr", "amr", "sid", "at_hash", "jti", "client_id", "scope"}


def userinfo(authserver: AuthServer, client: RegisteredClient, user: User, **parameters: Any) -> httpx2.Response:
    """Return the answer of the endpoint for a fresh token."""
    token = authserver.tokens(client, user, **{"scope": PROFILE, **parameters})["access_token"]
    return authserver.get("/userinfo", token)


def jwt_of(answer: httpx2.Response) -> str:
    """Return the JWT of a good answer."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/jwt"
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.text)


# Signed.


@pytest.mark.parametrize("algorithm", verified.ALGORITHMS)
def test_it_is_signed_by_the_algorithm_that_the_client_registered(authserver: AuthServer, alice: User, algorithm: str):
    client = authserver.client(userinfo_signed_response_alg=algorithm)
    plain = userinfo(authserver, authserver.client(), alice).json()
    told = verified.read(authserver, jwt_of(userinfo(authserver, client, alice)), algorithm)
    # 5.3.2: "If signed, the UserInfo Response MUST contain the Claims iss (issuer) and aud (audience)".
    assert told == {**plain, "iss": authserver.issuer, "aud": client.client_id}
    assert (told["sub"], told["name"]) == (alice.sub, "Alice Adams")
    assert not OF_THE_PROTOCOL & told.keys()


def test_without_a_word_it_is_json(authserver: AuthServer, client: RegisteredClient, alice: User):
    answer = userinfo(authserver, client, alice)
    assert answer.headers["content-type"] == "application/json"
    assert not {"iss", "aud"} & answer.json().keys()


def test_every_way_to_ask_gets_it(authserver: AuthServer, alice: User):
    client = authserver.client(userinfo_signed_response_alg="ES256", scope=SCOPE)
    for resource in (None, JWT_API):
        token = authserver.tokens(client, alice, scope=f"{PROFILE} jwt:read", resource=resource)["access_token"]
        with authserver.http() as http:
            answers = [
                http.get("/userinfo", headers={"Authorization": f"Bearer {token}"}),
                http.post("/userinfo", headers={"Authorization": f"Bearer {token}"}),
                http.post("/userinfo", data={"access_token": token}),
                http.get("/userinfo", headers={"Authorization": f"Bearer {token}", "Accept": "application/json"}),
            ]
        for answer in answers:
            assert verified.read(authserver, jwt_of(answer), "ES256")["sub"] == alice.sub


def test_the_subject_is_the_one_of_the_id_token(authserver: AuthServer, alice: User):
    client = authserver.client(subject_type="pairwise", userinfo_signed_response_alg="RS256")
    tokens = authserver.tokens(client, alice)
    told = verified.read(authserver, jwt_of(authserver.get("/userinfo", tokens["access_token"])), "RS256")
    assert told["sub"] == claims_of(tokens["id_token"])["sub"] != alice.sub


def test_claims_that_were_asked_for_are_in_it(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True, userinfo_signed_response_alg="RS256")
    wanted = json.dumps({"userinfo": {"name": {"essential": True}, "iss": None, "aud": {"value": "x"}}})
    told = claims_of(jwt_of(userinfo(authserver, client, alice, scope="openid", claims=wanted)))
    assert told == {"sub": alice.sub, "name": "Alice Adams", "iss": authserver.issuer, "aud": client.client_id}


def test_errors_are_what_they_are_for_everybody(authserver: AuthServer, alice: User):
    client = authserver.client(userinfo_signed_response_alg="RS256")
    token = authserver.tokens(client, alice, scope="profile")["access_token"]
    assert_refused(authserver.get("/userinfo", token), "insufficient_scope", 403)
    assert_refused(authserver.get("/userinfo", "x"), "invalid_token", 401)


def test_a_changed_registration_counts_for_tokens_that_are_there(authserver: AuthServer, alice: User):
    client = authserver.client()
    token = authserver.tokens(client, alice)["access_token"]
    assert authserver.get("/userinfo", token).headers["content-type"] == "application/json"
    changed = {
        "redirect_uris": [client.redirect_uri],
        "userinfo_signed_response_alg": "PS256",
        "scope": PROFILE,
    }
    members = authserver.server.registry.CLIENT_METADATA
    clients.update(authserver.store, authserver.sealer, client.client_id, changed, actor="test", members=members)
    with authserver.later(2):
        assert verified.read(authserver, jwt_of(authserver.get("/userinfo", token)), "PS256")["sub"] == alice.sub


# The answer is nothing else (RFC 8725 3.11, 3.12).


def test_it_is_no_id_token_and_no_access_token(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True, userinfo_signed_response_alg="RS256")
    answer = jwt_of(userinfo(authserver, client, alice))
    assert_sent_back(ask(authserver, client, alice, id_token_hint=answer), "invalid_request", client)
    assert_refused(authserver.get("/userinfo", answer), "invalid_token", 401)
    assert not is_alive(authserver, client, answer)


# Encrypted.


@pytest.mark.parametrize(
    ("name", "alg", "enc"), [("rsa", "RSA-OAEP-256", "A256GCM"), ("p256", "ECDH-ES", None), ("p384", "ECDH-ES", None)]
)
def test_signed_and_encrypted_it_is_a_nested_jwt(
    authserver: AuthServer, alice: User, name: str, alg: str, enc: str | None
):
    client = authserver.client(
        jwks={"keys": [encrypted.jwk(name)]},
        userinfo_signed_response_alg="ES384",
        userinfo_encrypted_response_alg=alg,
        userinfo_encrypted_response_enc=enc,
    )
    answer = jwt_of(userinfo(authserver, client, alice))
    header = encrypted.head(answer)
    assert (header["alg"], header["enc"], header["cty"]) == (alg, enc or "A128CBC-HS256", "JWT")
    told = verified.read(authserver, encrypted.opened(answer, name), "ES384")
    assert (told["sub"], told["aud"]) == (alice.sub, client.client_id)


def test_encrypted_only_it_holds_the_claims_themselves(authserver: AuthServer, alice: User):
    client = authserver.client(jwks={"keys": [encrypted.jwk("p256")]}, userinfo_encrypted_response_alg="ECDH-ES")
    answer = jwt_of(userinfo(authserver, client, alice))
    # RFC 7519 5.2: ``cty`` is for what is nested.
    assert encrypted.head(answer).keys() == {"alg", "enc", "kid", "epk"}
    told = json.loads(encrypted.opened(answer, "p256"))
    assert (told["sub"], told["iss"], told["aud"]) == (alice.sub, authserver.issuer, client.client_id)
    assert told["name"] == "Alice Adams"


@pytest.mark.parametrize("signed", ["RS256", None])
def test_what_cannot_be_encrypted_is_not_told(authserver: AuthServer, alice: User, signed: str | None):
    client = authserver.client(
        jwks={"keys": [jwk()]},
        userinfo_signed_response_alg=signed,
        userinfo_encrypted_response_alg="RSA-OAEP-256",
    )
    answer = userinfo(authserver, client, alice)
    assert_refused(answer, "invalid_request")
    assert "encrypted" in answer.json()["error_description"]
    assert alice.sub not in answer.text


# Registration 2, Discovery 3.


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS384", "ES512", "Ed448", "", 1, ["RS256"]])
def test_no_other_algorithm_can_be_registered(authserver: AuthServer, algorithm: Any):
    with pytest.raises(InvalidMetadata):
        authserver.client(userinfo_signed_response_alg=algorithm)


def test_the_algorithms_are_announced(authserver: AuthServer):
    document = authserver.get("/.well-known/openid-configuration").json()
    assert sorted(document["userinfo_signing_alg_values_supported"]) == sorted(verified.ALGORITHMS)
    assert document["userinfo_encryption_alg_values_supported"] == ["RSA-OAEP-256", "ECDH-ES"]
    assert document["userinfo_encryption_enc_values_supported"] == ["A128CBC-HS256", "A256GCM"]
