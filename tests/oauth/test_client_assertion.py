"""Client authentication by private_key_jwt and client_secret_jwt (RFC 7523 2.2, 3; OpenID Connect Core 9)."""

import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authserver.records import User
from authserver.store.ephemeral import SqlEphemeral
from pytest_authserver import AuthServer, RegisteredClient
from tests.assertions import KEY, OTHER_KEY, RSA_KEY, TYPE, claims, jwk, keyed_client, signed
from tests.world import assert_refused

ITSELF = {"grant_type": "client_credentials", "scope": "api:read"}


@pytest.fixture(scope="module")
def keyed(authserver: AuthServer) -> RegisteredClient:
    """A client that signs with a P-256 key."""
    return keyed_client(authserver)


@pytest.fixture(scope="module")
def shared(authserver: AuthServer) -> RegisteredClient:
    """A client that signs with its secret."""
    return authserver.client(token_endpoint_auth_method="client_secret_jwt")


def _assert_good(authserver: AuthServer, parameters: dict[str, str], path: str = "/token") -> None:
    answer = authserver.post(path, **ITSELF, token="x", **parameters)
    assert answer.status_code == 200, answer.text


def _assert_bad(authserver: AuthServer, parameters: dict[str, str], path: str = "/token") -> None:
    assert_refused(authserver.post(path, **ITSELF, token="x", **parameters), "invalid_client", 401)


# Whom it proves.


def test_an_assertion_proves_the_client_with_or_without_its_name_beside_it(
    authserver: AuthServer, keyed: RegisteredClient, shared: RegisteredClient
):
    _assert_good(authserver, signed(claims(authserver, keyed)))
    _assert_good(authserver, {**signed(claims(authserver, keyed)), "client_id": keyed.client_id})
    _assert_good(authserver, signed(claims(authserver, shared), shared.client_secret, "HS256"))


def test_another_name_beside_it_is_refused(authserver: AuthServer, keyed: RegisteredClient, client: RegisteredClient):
    _assert_bad(authserver, {**signed(claims(authserver, keyed)), "client_id": client.client_id})


@pytest.mark.parametrize(
    "kind", [None, "", "x", TYPE.upper(), TYPE + " ", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"]
)
def test_another_type_of_assertion_is_refused(authserver: AuthServer, keyed: RegisteredClient, kind: str | None):
    parameters = {**signed(claims(authserver, keyed)), "client_assertion_type": kind}
    assert_refused(authserver.post("/token", **ITSELF, **parameters), "invalid_client", 401)


def test_a_type_without_an_assertion_is_refused(
    authserver: AuthServer, keyed: RegisteredClient, public: RegisteredClient
):
    for client in (keyed, public):
        _assert_bad(authserver, {"client_assertion_type": TYPE, "client_id": client.client_id})


def test_a_failed_assertion_uses_up_no_code(authserver: AuthServer, keyed: RegisteredClient, alice: User):
    allowed = authserver.allow(keyed, alice)
    parameters = {"grant_type": "authorization_code", "code": allowed.code, "client_id": None}
    parameters |= {"code_verifier": allowed.pkce.verifier if allowed.pkce else None}
    bad = signed(claims(authserver, keyed), OTHER_KEY)
    assert_refused(authserver.post("/token", **{**parameters, **bad}), "invalid_client", 401)
    assert authserver.post("/token", **{**parameters, **signed(claims(authserver, keyed))}).status_code == 200


# 3: the claims.


def test_the_audience_is_the_issuer_the_token_endpoint_or_the_endpoint_asked(
    authserver: AuthServer, keyed: RegisteredClient
):
    issuer = authserver.issuer
    for path in ("/token", "/introspect", "/revoke"):
        good: list[Any] = [issuer, f"{issuer}/token", f"{issuer}{path}", [issuer], [issuer, f"{issuer}/token"]]
        for audience in good:
            _assert_good(authserver, signed(claims(authserver, keyed, aud=audience)), path)
    _assert_bad(authserver, signed(claims(authserver, keyed, aud=f"{issuer}/introspect")), "/revoke")


@pytest.mark.parametrize(
    "audience",
    [
        None,
        "",
        "http://localhost:9000/",
        "HTTP://localhost:9000",
        "http://localhost:9000/token/",
        "http://localhost:9000/authorize",
        "http://localhost:90",
        "https://other.test",
        ["http://localhost:9000", "https://other.test"],
        [],
        [["http://localhost:9000"]],
        {"http://localhost:9000": 1},
        1,
        True,
    ],
)
def test_any_other_audience_is_refused(authserver: AuthServer, keyed: RegisteredClient, audience: Any):
    payload = {**claims(authserver, keyed, aud=None), **({} if audience is None else {"aud": audience})}
    _assert_bad(authserver, signed(payload))


@pytest.mark.parametrize("name", ["iss", "sub"])
@pytest.mark.parametrize("value", [None, "", "unknown", 1, ["x"], {"a": 1}, "\N{SNOWMAN}", "a\0b"])
def test_issuer_and_subject_must_both_be_the_client(
    authserver: AuthServer, keyed: RegisteredClient, name: str, value: Any
):
    payload = claims(authserver, keyed, **{name: None})
    if value is not None:
        payload[name] = value
    # PyJWT itself refuses to write some of these, so the payload is signed as bytes.
    text = jwt.api_jws.encode(json.dumps(payload).encode(), KEY, "ES256")
    _assert_bad(authserver, {"client_assertion_type": TYPE, "client_assertion": text})


def test_the_subject_of_another_client_is_refused(authserver: AuthServer, keyed: RegisteredClient):
    other = keyed_client(authserver, OTHER_KEY)
    for payload in (claims(authserver, keyed, sub=other.client_id), claims(authserver, keyed, iss=other.client_id)):
        for key in (KEY, OTHER_KEY):
            _assert_bad(authserver, signed(payload, key))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 3500},
        {"exp": -50},
        {"exp": 60, "nbf": 8},
        {"iat": 50},
        {"iat": None, "nbf": None},
    ],
)
def test_times_within_the_tolerance_are_good(
    authserver: AuthServer, keyed: RegisteredClient, changes: dict[str, int | None]
):
    moment = int(time.time())
    _assert_good(authserver, signed(claims(authserver, keyed, **_at(moment, changes))))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": 365 * 86400},
        {"exp": 3700},
        {"exp": -300},
        {"exp": 60, "nbf": 70},
        {"exp": 60, "iat": 70},
        {"exp": 60, "iat": 10**9},
    ],
)
def test_times_outside_of_it_are_refused(
    authserver: AuthServer, keyed: RegisteredClient, changes: dict[str, int | None]
):
    moment = int(time.time())
    _assert_bad(authserver, signed(claims(authserver, keyed, **_at(moment, changes))))


def _at(moment: int, changes: dict[str, int | None]) -> dict[str, int | None]:
    return {name: None if value is None else moment + value for name, value in changes.items()}


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", ['"1800000000"', "1e400", "-1", "true", "null", "NaN", "[]", "{}", "1" * 400, "1" * 5000]
)
def test_a_time_that_is_not_a_number_of_seconds_is_refused_7519_4_1(
    authserver: AuthServer, keyed: RegisteredClient, name: str, value: str
):
    payload = json.dumps(claims(authserver, keyed, **{name: None}))
    text = jwt.api_jws.encode(f'{payload[:-1]}, "{name}": {value}}}'.encode(), KEY, "ES256")
    _assert_bad(authserver, {"client_assertion_type": TYPE, "client_assertion": text})


def test_each_assertion_is_good_once(authserver: AuthServer, keyed: RegisteredClient):
    assertion = signed(claims(authserver, keyed))
    _assert_good(authserver, assertion)
    for path in ("/token", "/introspect", "/revoke"):
        _assert_bad(authserver, assertion, path)
    again = signed(
        claims(
            authserver, keyed, jti=jwt.decode(assertion["client_assertion"], options={"verify_signature": False})["jti"]
        )
    )
    _assert_bad(authserver, again)


def test_the_same_jti_of_two_clients_is_good_for_both(authserver: AuthServer, keyed: RegisteredClient):
    other = keyed_client(authserver, OTHER_KEY)
    _assert_good(authserver, signed(claims(authserver, keyed, jti="the same")))
    _assert_good(authserver, signed(claims(authserver, other, jti="the same"), OTHER_KEY))


@pytest.mark.parametrize("jti", [None, "", "x" * 300, 1, ["x"], True])
def test_a_jti_must_be_a_short_text(authserver: AuthServer, keyed: RegisteredClient, jti: Any):
    payload = claims(authserver, keyed, jti=None)
    if jti is not None:
        payload["jti"] = jti
    text = jwt.api_jws.encode(json.dumps(payload).encode(), KEY, "ES256")
    _assert_bad(authserver, {"client_assertion_type": TYPE, "client_assertion": text})


def test_an_assertion_from_before_a_memory_that_can_be_lost_is_refused(
    authserver: AuthServer, keyed: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    moment = int(time.time())
    old = {"iat": moment - 3000, "exp": moment + 60}
    _assert_good(authserver, signed(claims(authserver, keyed, **old)))  # the database forgets nothing
    monkeypatch.setattr(authserver.store, "ephemeral", SqlEphemeral(authserver.store.database))
    _assert_bad(authserver, signed(claims(authserver, keyed, **old)))
    without = {**claims(authserver, keyed, exp=moment + 60)}
    del without["iat"]
    _assert_bad(authserver, signed(without))
    _assert_good(authserver, signed(claims(authserver, keyed, iat=moment + 30, exp=moment + 60)))


@pytest.mark.parametrize(
    "typ", ["JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt", None]
)
def test_these_types_are_assertions(authserver: AuthServer, keyed: RegisteredClient, typ: str | None):
    _assert_good(authserver, signed(claims(authserver, keyed), typ=typ))


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "dpop+jwt", "oauth-authz-req+jwt", "secevent+jwt", "x"])
def test_other_types_are_none_8725_3_11(authserver: AuthServer, keyed: RegisteredClient, typ: str):
    _assert_bad(authserver, signed(claims(authserver, keyed), typ=typ))


# The key.


def test_each_registered_algorithm_works(authserver: AuthServer):
    p384, edwards = ec.derive_private_key(4711, ec.SECP384R1()), ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    point = edwards.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    okp = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(edwards.public_key()))
    assert point
    keys = [
        (KEY, jwk(), ["ES256"]),
        (p384, jwk(p384), ["ES384"]),
        (RSA_KEY, jwk(RSA_KEY), ["RS256", "PS256"]),
        (edwards, okp, ["EdDSA"]),
    ]
    for key, public, algorithms in keys:
        client = authserver.client(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [public]})
        for algorithm in algorithms:
            _assert_good(authserver, signed(claims(authserver, client), key, algorithm))


def test_a_registered_algorithm_excludes_the_others(authserver: AuthServer):
    client = keyed_client(authserver, RSA_KEY, token_endpoint_auth_signing_alg="PS256")
    _assert_good(authserver, signed(claims(authserver, client), RSA_KEY, "PS256"))
    _assert_bad(authserver, signed(claims(authserver, client), RSA_KEY, "RS256"))


def test_the_kid_chooses_among_several_keys(authserver: AuthServer):
    keys = {"keys": [jwk(kid="one"), jwk(OTHER_KEY, kid="two")]}
    client = authserver.client(token_endpoint_auth_method="private_key_jwt", jwks=keys)
    _assert_good(authserver, signed(claims(authserver, client), KEY, kid="one"))
    _assert_good(authserver, signed(claims(authserver, client), OTHER_KEY, kid="two"))
    for key, kid in ((KEY, "two"), (OTHER_KEY, "one"), (KEY, "three"), (KEY, "../../dev/null"), (KEY, "' OR 1=1 --")):
        _assert_bad(authserver, signed(claims(authserver, client), key, kid=kid))
    _assert_bad(authserver, signed(claims(authserver, client), KEY))


def test_a_key_for_encryption_signs_nothing_7517_4_2(authserver: AuthServer):
    keys = {"keys": [jwk(kid="one", use="sig"), jwk(OTHER_KEY, kid="two", use="enc")]}
    client = authserver.client(token_endpoint_auth_method="private_key_jwt", jwks=keys)
    for headers in ({}, {"kid": "one"}):
        _assert_good(authserver, signed(claims(authserver, client), KEY, **headers))
    for headers in ({}, {"kid": "two"}):
        _assert_bad(authserver, signed(claims(authserver, client), OTHER_KEY, **headers))


def test_the_key_of_another_client_is_refused(authserver: AuthServer, keyed: RegisteredClient):
    keyed_client(authserver, OTHER_KEY)
    _assert_bad(authserver, signed(claims(authserver, keyed), OTHER_KEY))


@pytest.mark.parametrize(
    "header", [{"jwk": jwk(OTHER_KEY)}, {"jku": "https://evil.test/"}, {"x5u": "https://evil.test/"}]
)
def test_a_key_that_the_sender_brings_is_not_looked_at(
    authserver: AuthServer, keyed: RegisteredClient, header: dict[str, Any]
):
    _assert_bad(authserver, signed(claims(authserver, keyed), OTHER_KEY, **header))


def test_the_public_key_is_no_shared_secret_8725_2_1(
    authserver: AuthServer, keyed: RegisteredClient, shared: RegisteredClient
):
    import hmac
    from base64 import urlsafe_b64encode

    def b64(data: bytes) -> str:
        return urlsafe_b64encode(data).rstrip(b"=").decode()

    public = KEY.public_key()
    secrets = [public.public_bytes(form, PublicFormat.SubjectPublicKeyInfo) for form in (Encoding.PEM, Encoding.DER)]
    for secret in (*secrets, json.dumps(jwk()).encode(), b"", b"null"):
        for client in (keyed, shared):
            text = (
                f"{b64(json.dumps({'alg': 'HS256'}).encode())}.{b64(json.dumps(claims(authserver, client)).encode())}"
            )
            signature = b64(hmac.digest(secret, text.encode(), "sha256"))
            _assert_bad(authserver, {"client_assertion_type": TYPE, "client_assertion": f"{text}.{signature}"})


def test_an_unsigned_assertion_is_refused(authserver: AuthServer, keyed: RegisteredClient, shared: RegisteredClient):
    for client in (keyed, shared):
        text = jwt.encode(claims(authserver, client), None, "none")
        for assertion in (text, text + "AA", text.rstrip(".")):
            _assert_bad(authserver, {"client_assertion_type": TYPE, "client_assertion": assertion})


def test_a_client_with_a_hashed_secret_cannot_sign_with_it(authserver: AuthServer, client: RegisteredClient):
    _assert_bad(authserver, signed(claims(authserver, client), client.client_secret, "HS256"))
    _assert_bad(authserver, signed(claims(authserver, client), KEY))


def test_a_client_that_signs_with_its_secret_cannot_send_it(authserver: AuthServer, shared: RegisteredClient):
    assert_refused(authserver.token(shared, **ITSELF), "invalid_client", 401)
    for algorithm in ("HS384", "HS512"):
        secret = shared.client_secret + "x" * 32
        _assert_bad(authserver, signed(claims(authserver, shared), secret, algorithm))


def test_tokens_of_ours_are_no_assertions_8725_3_12(authserver: AuthServer, alice: User):
    client = keyed_client(authserver, access_token_format="jwt")
    allowed = authserver.allow(client, alice)
    parameters = {"grant_type": "authorization_code", "code": allowed.code, "redirect_uri": allowed.redirect_uri}
    parameters |= {"code_verifier": allowed.pkce.verifier if allowed.pkce else ""}
    tokens = authserver.post("/token", **parameters, **signed(claims(authserver, client))).json()
    for name in ("access_token", "id_token"):
        _assert_bad(authserver, {"client_assertion_type": TYPE, "client_assertion": tokens[name]})


@pytest.mark.parametrize(
    "text", ["x", "a.b.c", "..", "." * 5000, "x" * 60_000, "\N{SNOWMAN}", "a\0b", "e30.e30.e30", "bnVsbA.bnVsbA.AAAA"]
)
def test_what_is_no_jwt_is_refused(authserver: AuthServer, text: str):
    _assert_bad(authserver, {"client_assertion_type": TYPE, "client_assertion": text})


def test_an_assertion_beyond_sixteen_kilobytes_is_refused(authserver: AuthServer, keyed: RegisteredClient):
    _assert_bad(authserver, signed(claims(authserver, keyed, padding="x" * 20_000)))


def test_duplicate_members_are_refused(authserver: AuthServer, keyed: RegisteredClient):
    payload = json.dumps(claims(authserver, keyed))
    text = jwt.api_jws.encode(f'{payload[:-1]}, "sub": "{keyed.client_id}"}}'.encode(), KEY, "ES256")
    _assert_bad(authserver, {"client_assertion_type": TYPE, "client_assertion": text})
