"""What a request object says of itself (RFC 9101 4, 10.8), where one is required (10.5), and switching it all off."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests import assertions, request_objects, signing
from tests.request_objects import assert_not_taken, claims, encrypt, sign, signed, signing_client, visit
from tests.world import JWT_API, SCOPE, ask, assert_refused, assert_sent_back, assert_shown, code_of

MINUTE = timedelta(minutes=1)


@pytest.fixture
def signer(authserver: AuthServer) -> RegisteredClient:
    """A client that signs its requests; each test has its own, because pushed requests are counted."""
    return signing_client(authserver)


# 4: what is there has to be right.


@pytest.mark.parametrize(
    "changes",
    [
        *[{"iss": value} for value in ("another", "", ["x"], 5, {"a": 1}, "http://localhost:9000")],
        *[
            {"aud": value}
            for value in (
                "https://as.example",
                "http://localhost:9000/",
                "HTTP://LOCALHOST:9000",
                "http://localhost:9000/token",
                "http://localhost:900",
                "http://localhost:90000",
                ["http://localhost:9000", 5],
                ["https://as.example"],
                [],
                {"http://localhost:9000": True},
                5,
                "",
            )
        ],
        {"exp": -5 * MINUTE},
        {"nbf": 3 * MINUTE},
        {"iat": 3 * MINUTE},
        *[{name: value} for name in ("exp", "nbf", "iat") for value in ("2000000000", -1, True, 1e400, [5], {}, 2**80)],
        {"request": "x"},
        {"request_uri": "https://client.test/request"},
        {"request": None, "request_uri": ""},
    ],
)
def test_a_claim_that_is_there_and_wrong_refuses_the_object_4(
    authserver: AuthServer, signer: RegisteredClient, changes: dict[str, Any]
):
    assert_not_taken(authserver, signer, signed(authserver, signer, **changes))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "aud", "iss"])
def test_a_claim_without_a_value_is_no_missing_claim(authserver: AuthServer, signer: RegisteredClient, name: str):
    assert_not_taken(authserver, signer, sign({**claims(authserver, signer), name: None}))


def test_an_object_ends_a_minute_after_its_time(authserver: AuthServer, signer: RegisteredClient, alice: User):
    token = signed(authserver, signer, exp=10 * MINUTE)
    with authserver.later(630):
        assert code_of(visit(authserver, signer, token, alice))
    with authserver.later(670):
        assert_not_taken(authserver, signer, token)


# 10.8: one kind of token in the place of another.


def test_an_assertion_is_not_a_request_object_10_8(authserver: AuthServer, signer: RegisteredClient):
    assert_not_taken(authserver, signer, signed(authserver, signer, sub=signer.client_id))
    key = assertions.keyed_client(authserver, trusted=True)
    assertion = assertions.signed(assertions.claims(authserver, key))["client_assertion"]
    assert_shown(visit(authserver, key, assertion), "invalid_request_object")


def test_a_request_object_is_not_an_assertion_10_8(authserver: AuthServer):
    client = signing_client(authserver, token_endpoint_auth_method="private_key_jwt")
    body = {"grant_type": "client_credentials", "client_assertion_type": assertions.TYPE}
    good = {"jti": "1", "sub": client.client_id}
    typed, plain = (sign(claims(authserver, client, **good), typ=typ) for typ in (request_objects.TYPE, None))
    # Without its type and with a subject it would be one: that is why such a thing is no request object.
    assert_refused(authserver.post("/token", **body, client_assertion=typed), "invalid_client", 401)
    assert authserver.post("/token", **body, scope="api:read", client_assertion=plain).status_code == 200
    assert_shown(visit(authserver, client, plain), "invalid_request_object")
    untyped = sign(claims(authserver, client, jti="2"), typ=None)
    assert_refused(authserver.post("/token", **body, client_assertion=untyped), "invalid_client", 401)


def test_what_this_server_signs_is_not_a_request_object(authserver: AuthServer, alice: User):
    client = signing_client(authserver, scope=SCOPE)
    tokens = authserver.tokens(client, alice, resource=JWT_API, scope="openid jwt:read")
    for name in ("id_token", "access_token"):
        assert_not_taken(authserver, client, tokens[name])


# 10.5: where nothing else is taken.


def test_a_client_registered_for_it_has_to_sign_10_5(authserver: AuthServer, alice: User):
    client = signing_client(authserver, require_signed_request_object=True)
    assert_sent_back(ask(authserver, client, alice, state="s"), "invalid_request", client, state="s")
    assert_refused(authserver.push(client, authserver.pkce()), "invalid_request")
    assert code_of(visit(authserver, client, signed(authserver, client), alice))
    # What was signed and pushed is still signed when the browser brings its reference.
    pushed = authserver.post("/par", client, request=signed(authserver, client)).json()["request_uri"]
    query = {"client_id": client.client_id, "request_uri": pushed}
    assert code_of(authserver.browser(alice).visit_request(query))


def test_the_server_may_require_it_of_all_10_5(tmp_path: Path):
    server = AuthServer(tmp_path, require_signed_request_object=True)
    try:
        user, client = server.user(), signing_client(server)
        assert server.get("/.well-known/openid-configuration").json()["require_signed_request_object"] is True
        assert_sent_back(ask(server, client, user), "invalid_request", client)
        assert_refused(server.push(client, server.pkce()), "invalid_request")
        assert code_of(visit(server, client, signed(server, client), user))
        assert server.token(client, grant_type="client_credentials", scope="api:read").status_code == 200
    finally:
        server.close()


# 4, 10.5: what is announced and registered.


def test_the_metadata_says_what_is_taken_4(authserver: AuthServer):
    document = authserver.get("/.well-known/openid-configuration").json()
    for name in ("request_parameter_supported", "request_uri_parameter_supported", "require_request_uri_registration"):
        assert document[name] is True
    assert document["require_signed_request_object"] is False
    signing_algorithms = document["request_object_signing_alg_values_supported"]
    assert set(signing_algorithms) == {"RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"}
    assert document["request_object_encryption_alg_values_supported"] == ["RSA-OAEP-256", "ECDH-ES"]
    assert document["request_object_encryption_enc_values_supported"] == ["A128CBC-HS256", "A256GCM"]


def test_what_a_client_may_register(authserver: AuthServer):
    digest = signing.b64(bytes(32))
    members = {
        "request_uris": ["https://client.test/r", f"https://client.test/r?a=b#{digest}", "http://localhost:8000/r"],
        "request_object_signing_alg": "ES256",
        "request_object_encryption_alg": "ECDH-ES",
        "request_object_encryption_enc": "A256GCM",
        "require_signed_request_object": True,
    }
    assert signing_client(authserver, **members).registration.items() >= members.items()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("request_uris", "https://client.test/r"),
        ("request_uris", ["http://client.test/r"]),
        ("request_uris", ["https://10.0.0.1/r"]),
        ("request_uris", ["https://client.test/r#version"]),
        ("request_uris", ["https://client.test/r#"]),
        ("request_uris", ["https://client.test/r##" + "A" * 42]),
        ("request_uris", ["https://user@client.test/r"]),
        ("request_uris", ["urn:ietf:params:oauth:request_uri:x"]),
        ("request_uris", [5]),
        ("request_object_signing_alg", "none"),
        ("request_object_signing_alg", "HS256"),
        ("request_object_encryption_alg", "RSA1_5"),
        ("request_object_encryption_alg", "dir"),
        ("request_object_encryption_enc", "A256GCM"),
        ("require_signed_request_object", "true"),
    ],
)
def test_what_a_client_may_not_register(authserver: AuthServer, name: str, value: Any):
    with pytest.raises(InvalidMetadata) as caught:
        signing_client(authserver, **{name: value})
    assert caught.value.member == name


def test_who_must_sign_needs_keys(authserver: AuthServer):
    with pytest.raises(InvalidMetadata, match="jwks"):
        authserver.client(require_signed_request_object=True)


def test_a_profile_s_algorithms_are_all_there_is(authserver: AuthServer):
    with pytest.raises(InvalidMetadata, match="request_object_signing_alg"):
        signing_client(authserver, profile="legacy", request_object_signing_alg="ES256")


# Switched off.


def test_switched_off_it_is_refused_and_not_ignored(tmp_path: Path):
    server = AuthServer(tmp_path, features={"jar": False})
    try:
        user, client = server.user(), server.client(trusted=True)
        document = server.get("/.well-known/openid-configuration").json()
        assert document["request_parameter_supported"] is False
        assert document["request_uri_parameter_supported"] is False
        assert not [name for name in document if name.startswith("request_object")]
        assert {key["use"] for key in server.get("/jwks").json()["keys"]} == {"sig"}
        # OpenID Connect Core 6.1, 6.2
        for name in ("request", "request_uri"):
            for value in ("x", "eyJhbGciOiJub25lIn0.e30.", "https://client.test/request"):
                page = ask(server, client, user, **{name: value}, state="s")
                assert_sent_back(page, f"{name}_not_supported", client, state="s")
        assert_refused(server.push(client, server.pkce(), request="x"), "request_not_supported")
    finally:
        server.close()


def test_switched_off_a_client_that_has_to_sign_gets_no_weaker_way_10_5(tmp_path: Path):
    server = AuthServer(tmp_path)
    user, client = server.user(), signing_client(server, require_signed_request_object=True)
    server.close()
    server = AuthServer(tmp_path, features={"jar": False})
    try:
        assert_sent_back(ask(server, client, user, state="s"), "invalid_request", client, state="s")
        assert_refused(server.push(client, server.pkce()), "invalid_request")
    finally:
        server.close()


# FAPI 2.0 Message Signing 5.3.1.


@pytest.fixture
def strict(authserver: AuthServer) -> RegisteredClient:
    """A client that has promised to keep to FAPI 2.0."""
    return signing_client(authserver, profile="fapi2")


def _push(authserver: AuthServer, client: RegisteredClient, token: str | None = None, **parameters: Any) -> Any:
    assertion = sign(assertions.claims(authserver, client), typ="JWT")
    proof = {"client_assertion_type": assertions.TYPE, "client_assertion": assertion}
    return authserver.post("/par", **proof, request=token, **parameters)


@pytest.mark.parametrize("algorithm", ["PS256", "ES256", "EdDSA", "Ed25519"])
def test_fapi_2_0_takes_its_own_algorithms(authserver: AuthServer, strict: RegisteredClient, algorithm: str):
    assert _push(authserver, strict, sign(claims(authserver, strict), algorithm)).status_code == 201


@pytest.mark.parametrize(
    "changes",
    [
        {"nbf": timedelta(seconds=8)},
        {"nbf": -50 * MINUTE, "exp": 9 * MINUTE},
        {"aud": ["http://localhost:9000", "https://other1.example.com", "invalid"]},
        {"iat": None},
    ],
)
def test_fapi_2_0_takes_what_lives_for_an_hour_at_the_most(
    authserver: AuthServer, strict: RegisteredClient, changes: dict[str, Any]
):
    answer = _push(authserver, strict, signed(authserver, strict, **changes))
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"nbf": None},
        {"aud": None},
        {"iss": None},
        {"client_id": None},
        {"exp": -5 * MINUTE},
        {"aud": "https://as.example"},
        {"exp": 70 * MINUTE},
        {"nbf": -70 * MINUTE},
        {"nbf": -70 * MINUTE, "exp": -11 * MINUTE},
        {"nbf": 3 * MINUTE},
        {"sub": "itself"},
        {"request_uri": "https://client.test/request"},
    ],
)
def test_fapi_2_0_refuses_an_object_that_is_not_bounded(
    authserver: AuthServer, strict: RegisteredClient, changes: dict[str, Any]
):
    if "sub" in changes:
        changes = {"sub": strict.client_id}
    assert_refused(_push(authserver, strict, signed(authserver, strict, **changes)), "invalid_request_object")


def test_fapi_2_0_refuses_an_object_under_another_algorithm_or_key(authserver: AuthServer, strict: RegisteredClient):
    body = claims(authserver, strict)
    for token in (sign(body, "RS256"), sign(body, "ES384"), sign(body, name="p256_other", kid="p256")):
        assert_refused(_push(authserver, strict, token), "invalid_request_object")
    assert_refused(_push(authserver, strict, encrypt(authserver, sign(body, "RS256"))), "invalid_request_object")
    assert _push(authserver, strict, encrypt(authserver, sign(body))).status_code == 201


def test_message_signing_takes_nothing_unsigned(authserver: AuthServer):
    client = signing_client(authserver, profile="fapi2_message_signing")
    body = authserver.request(client, authserver.pkce(), response_mode="jwt")
    assert_refused(_push(authserver, client, **body), "invalid_request")
    assert _push(authserver, client, signed(authserver, client, response_mode="jwt")).status_code == 201
