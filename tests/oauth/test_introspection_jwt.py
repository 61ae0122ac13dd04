"""JSON Web Token (JWT) Response for OAuth Token Introspection (RFC 9701)."""

import time
from typing import Any

import httpx2
import jwt
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet

from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests import encrypted
from tests.assertions import TYPE, jwk, keyed_client
from tests.world import API, JWT_API, OTHER_API, ask, assert_refused, assert_sent_back, is_alive

MEDIA_TYPE = "application/token-introspection+jwt"


@pytest.fixture(scope="module")
def everything(authserver: AuthServer) -> RegisteredClient:
    """A resource server that may see every token."""
    return authserver.client(introspects_all=True, grant_types=["client_credentials"], redirect_uris=None)


@pytest.fixture
def token(authserver: AuthServer, client: RegisteredClient, alice: User) -> str:
    """An opaque access token for the first API."""
    made: str = authserver.tokens(client, alice, scope="openid api:read", resource=API)["access_token"]
    return made


def _ask(
    authserver: AuthServer, caller: RegisteredClient, token: str, accept: str | None = MEDIA_TYPE
) -> httpx2.Response:
    headers = {} if accept is None else {"Accept": accept}
    with authserver.http(auth=caller.basic, headers=headers) as http:
        return http.post("/introspect", data={"token": token})


def _read(authserver: AuthServer, caller: RegisteredClient, text: str, algorithm: str = "RS256") -> dict[str, Any]:
    """Verify an answer as a resource server would (8.1), with both libraries."""
    published = authserver.get("/jwks").json()
    header = jwt.get_unverified_header(text)
    assert header == {"alg": algorithm, "kid": header["kid"], "typ": "token-introspection+jwt"}
    read: dict[str, Any] = jwt.decode(
        text,
        jwt.PyJWKSet.from_dict(published)[header["kid"]],
        algorithms=[algorithm],
        audience=caller.client_id,
        issuer=authserver.issuer,
        options={"require": ["iss", "aud", "iat"], "strict_aud": True},
    )
    known = {"keys": [each for each in published["keys"] if each["use"] == "sig"]}
    assert joserfc_jwt.decode(text, KeySet.import_key_set(known), algorithms=[algorithm]).claims == read
    return read


def _told(authserver: AuthServer, caller: RegisteredClient, token: str) -> dict[str, Any]:
    told: dict[str, Any] = _read(authserver, caller, _ask(authserver, caller, token).text)["token_introspection"]
    return told


# 4: asking for it.


@pytest.mark.parametrize(
    "accept",
    [
        MEDIA_TYPE,
        MEDIA_TYPE.upper(),
        f"{MEDIA_TYPE};q=0.001",
        f"{MEDIA_TYPE} ; q=1.000 ",
        f"{MEDIA_TYPE}, application/json;q=0.9, */*;q=0.1",
        f"application/json;q=0.5,{MEDIA_TYPE};q=0.5",
        f"application/json, {MEDIA_TYPE}",
        f"application/json;q=0, */*, {MEDIA_TYPE};q=0.2",
        f"text/html,,{MEDIA_TYPE};charset=utf-8;q=0.8",
    ],
)
def test_a_caller_that_names_the_jwt_gets_it_4(
    authserver: AuthServer, service: RegisteredClient, token: str, accept: str
):
    answer = _ask(authserver, service, token, accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["cache-control"] == "no-store"
    assert _read(authserver, service, answer.text)["token_introspection"]["active"] is True


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/*",
        "application/json",
        "application/jwt",
        f"{MEDIA_TYPE};q=0",
        f"{MEDIA_TYPE};q=0.000",
        f"{MEDIA_TYPE};q=0.5, application/json",
        f"{MEDIA_TYPE};q=0.5, application/*;q=0.6",
        f"{MEDIA_TYPE};q=0.5, */*",
        f"{MEDIA_TYPE};q=2",
        f"{MEDIA_TYPE};q=-1",
        f"{MEDIA_TYPE};q=nan",
        f"{MEDIA_TYPE};q=1e0",
        f"{MEDIA_TYPE};q=",
        f"x{MEDIA_TYPE}",
        f"{MEDIA_TYPE}x",
        f'text/html;x="{MEDIA_TYPE}"',
        ";",
        ",",
        f"{MEDIA_TYPE}=;=;=q=1",
    ],
)
def test_every_other_caller_gets_json_as_before(
    authserver: AuthServer, service: RegisteredClient, token: str, accept: str | None
):
    answer = _ask(authserver, service, token, accept)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == authserver.introspect(service, token)


def test_the_caller_has_to_prove_who_it_is_4(authserver: AuthServer, service: RegisteredClient, token: str):
    wrong = RegisteredClient(service.client_id, "x" * 43, "", {})
    assert_refused(_ask(authserver, wrong, token), "invalid_client", 401)
    with authserver.http(headers={"Accept": MEDIA_TYPE}) as http:
        assert_refused(http.post("/introspect", data={"token": token}), "invalid_client", 401)


def test_errors_are_json_whatever_is_asked_for(authserver: AuthServer, service: RegisteredClient):
    assert_refused(_ask(authserver, service, ""), "invalid_request")


# 5: the answer.


def test_the_jwt_names_who_answers_whom_and_when_and_holds_the_answer_5(
    authserver: AuthServer, service: RegisteredClient, token: str
):
    read = _read(authserver, service, _ask(authserver, service, token).text)
    assert read.keys() == {"iss", "aud", "iat", "token_introspection"}
    assert (read["iss"], read["aud"]) == (authserver.issuer, service.client_id)
    assert abs(read["iat"] - time.time()) < 60
    assert read["token_introspection"] == authserver.introspect(service, token)


def test_it_has_neither_subject_nor_end_5(authserver: AuthServer, service: RegisteredClient, token: str):
    assert (
        not {"sub", "exp", "scope", "client_id"}
        & _read(authserver, service, _ask(authserver, service, token).text).keys()
    )


def test_all_kinds_of_tokens_are_told_alike(
    authserver: AuthServer, client: RegisteredClient, everything: RegisteredClient, alice: User
):
    opaque = authserver.tokens(client, alice, scope="openid api:read", resource=API)
    signed = authserver.tokens(client, alice, scope="openid jwt:read", resource=JWT_API)
    itself = authserver.token(client, grant_type="client_credentials", scope="api:read").json()
    for tokens in (opaque, signed, itself):
        token = tokens["access_token"]
        assert _told(authserver, everything, token) == authserver.introspect(everything, token)
    refresh = opaque["refresh_token"]
    assert _told(authserver, client, refresh) == authserver.introspect(client, refresh)
    assert _told(authserver, everything, refresh) == {"active": False}


def test_a_dead_token_is_told_with_one_member_5(
    authserver: AuthServer, client: RegisteredClient, service: RegisteredClient, token: str
):
    authserver.post("/revoke", client, token=token)
    for dead in (token, "x", "a.b.c", "\N{SNOWMAN}", "asa_", "x" * 60_000):
        read = _read(authserver, service, _ask(authserver, service, dead).text)
        assert read["token_introspection"] == {"active": False}


def test_a_token_for_somebody_else_is_told_as_dead_5(
    authserver: AuthServer, client: RegisteredClient, service: RegisteredClient, stranger: RegisteredClient, alice: User
):
    other = authserver.tokens(client, alice, scope="openid other:read", resource=OTHER_API)["access_token"]
    for caller in (service, stranger):
        assert _told(authserver, caller, other) == {"active": False}


# 5, 6: signed and encrypted as the caller is registered.


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "ES384"])
def test_the_caller_chooses_the_algorithm_6(authserver: AuthServer, token: str, algorithm: str):
    caller = authserver.client(introspects_all=True, introspection_signed_response_alg=algorithm)
    assert _read(authserver, caller, _ask(authserver, caller, token).text, algorithm)


@pytest.mark.parametrize(
    ("name", "alg", "enc"), [("rsa", "RSA-OAEP-256", "A256GCM"), ("p256", "ECDH-ES", None), ("p384", "ECDH-ES", None)]
)
def test_an_encrypted_answer_holds_the_signed_one_5(
    authserver: AuthServer, token: str, name: str, alg: str, enc: str | None
):
    caller = authserver.client(
        introspects_all=True,
        jwks={"keys": [encrypted.jwk(name)]},
        introspection_encrypted_response_alg=alg,
        introspection_encrypted_response_enc=enc,
    )
    for asked, active in ((token, True), ("x", False)):
        answer = _ask(authserver, caller, asked)
        assert answer.headers["content-type"] == MEDIA_TYPE
        assert encrypted.head(answer.text)["enc"] == (enc or "A128CBC-HS256")
        inside = _read(authserver, caller, encrypted.opened(answer.text, name))
        assert inside["token_introspection"]["active"] is active


def test_an_answer_that_cannot_be_encrypted_is_not_given(authserver: AuthServer, token: str):
    caller = authserver.client(
        introspects_all=True, jwks={"keys": [jwk()]}, introspection_encrypted_response_alg="RSA-OAEP-256"
    )
    for asked in (token, "x"):
        assert_refused(_ask(authserver, caller, asked), "invalid_request")


@pytest.mark.parametrize(
    "members",
    [
        {"introspection_signed_response_alg": "none"},
        {"introspection_signed_response_alg": "HS256"},
        {"introspection_encrypted_response_alg": "RSA1_5"},
        {"introspection_encrypted_response_alg": "A256KW"},
        {"introspection_encrypted_response_alg": "ECDH-ES", "introspection_encrypted_response_enc": "A256"},
        {"introspection_encrypted_response_enc": "A256GCM"},
        {"introspection_encrypted_response_alg": "ECDH-ES", "jwks": None},
    ],
)
def test_what_cannot_be_done_is_not_registered_6(authserver: AuthServer, members: dict[str, Any]):
    with pytest.raises(InvalidMetadata):
        authserver.client(**{"jwks": {"keys": [encrypted.jwk("p256")]}, **members})


def test_the_algorithms_are_announced_7(authserver: AuthServer):
    document = authserver.get("/.well-known/oauth-authorization-server").json()
    assert document["introspection_signing_alg_values_supported"] == document["id_token_signing_alg_values_supported"]
    assert document["introspection_encryption_alg_values_supported"] == ["RSA-OAEP-256", "ECDH-ES"]
    assert document["introspection_encryption_enc_values_supported"] == ["A128CBC-HS256", "A256GCM"]


# 8.1: the answer is nothing else.


def test_an_answer_is_no_access_token_8_1(
    authserver: AuthServer, client: RegisteredClient, service: RegisteredClient, token: str
):
    answer = _ask(authserver, service, token).text
    assert_refused(authserver.get("/userinfo", answer), "invalid_token", 401)
    for caller in (client, service):
        assert not is_alive(authserver, caller, answer)


def test_an_answer_is_no_id_token_8_1(authserver: AuthServer, client: RegisteredClient, alice: User):
    own = authserver.tokens(client, alice)["access_token"]
    answer = _ask(authserver, client, own).text
    assert _read(authserver, client, answer)["aud"] == client.client_id
    assert_sent_back(ask(authserver, client, alice, id_token_hint=answer), "invalid_request", client)
    page = authserver.browser(alice).visit(f"/logout?id_token_hint={answer}")
    assert "logout-confirm" in page.text, "the person is asked, as without a hint"


def test_an_answer_is_no_assertion_8_1(authserver: AuthServer, token: str):
    caller = keyed_client(authserver, introspects_all=True)
    answer = _ask(authserver, authserver.client(introspects_all=True), token).text
    parameters = {"client_assertion_type": TYPE, "client_assertion": answer, "client_id": caller.client_id}
    assert_refused(authserver.post("/introspect", token=token, **parameters), "invalid_client", 401)


# Switched off.


def test_switched_off_every_caller_gets_json(tmp_path_factory: pytest.TempPathFactory):
    server = AuthServer(tmp_path_factory.mktemp("without"), features={"introspection_jwt": False})
    client = server.client(introspection_signed_response_alg="ES256")
    token = server.token(client, grant_type="client_credentials", scope="api:read").json()["access_token"]
    answer = _ask(server, client, token)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["active"] is True
    assert "introspection_signing_alg_values_supported" not in server.get("/.well-known/openid-configuration").json()
    server.close()
