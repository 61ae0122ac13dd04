"""Access tokens on the wire: JWT (RFC 9068) or opaque."""

import base64
import json
from typing import Any

import jwt
import pytest
from jwt import PyJWK

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient, signing_keys
from tests.world import API, JWT_API, assert_refused, is_alive

CLAIMS = {"iss", "sub", "aud", "client_id", "scope", "iat", "exp", "jti", "auth_time", "acr", "amr", "sid"}


@pytest.fixture
def token(authserver: AuthServer, client: RegisteredClient, alice: User) -> str:
    """A JWT access token with the scope openid."""
    text: str = authserver.tokens(client, alice, scope="openid jwt:read", resource=JWT_API)["access_token"]
    return text


def _read(authserver: AuthServer, token: str, **options: Any) -> dict[str, Any]:
    """Verify a token as PyJWT does with the published keys."""
    keys = {key["kid"]: key for key in authserver.get("/jwks").json()["keys"]}
    header = jwt.get_unverified_header(token)
    key = keys[header["kid"]]
    claims: dict[str, Any] = jwt.decode(
        token, PyJWK(key), [key["alg"]], issuer=authserver.issuer, options={"require": sorted(CLAIMS)}, **options
    )
    return claims


def _b64(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    head, body, signature = token.split(".")
    return (
        json.loads(base64.urlsafe_b64decode(head + "==")),
        json.loads(base64.urlsafe_b64decode(body + "==")),
        signature,
    )


# 2: what is in it.


def test_another_library_verifies_the_token_2_1(
    authserver: AuthServer, token: str, client: RegisteredClient, alice: User
):
    header = jwt.get_unverified_header(token)
    assert header.keys() == {"alg", "kid", "typ"}
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")
    claims = _read(authserver, token, audience=JWT_API)
    assert claims.keys() == CLAIMS
    assert claims["aud"] == JWT_API
    assert claims["client_id"] == client.client_id
    assert claims["sub"] == alice.sub
    assert claims["scope"] == "openid jwt:read"
    assert claims["exp"] - claims["iat"] == 600
    assert (claims["acr"], claims["amr"]) == ("urn:authserver:pwd", ["pwd"])
    for name in ("iat", "exp", "auth_time"):
        assert type(claims[name]) is int


def test_nothing_of_the_profile_is_in_it_2_2_2(authserver: AuthServer, client: RegisteredClient, alice: User):
    scope = "openid profile email address phone jwt:read"
    for resource in (JWT_API, API):
        token = authserver.tokens(client, alice, scope=scope, resource=resource)["access_token"]
        assert authserver.introspect(client, token).keys() <= CLAIMS | {"active", "token_type"}


def test_each_token_has_a_jti_of_its_own_even_in_one_second_2_2(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    tokens = authserver.tokens(client, alice, scope="openid jwt:read", resource=JWT_API)
    texts = [tokens["access_token"]]
    for _ in range(5):
        tokens = authserver.refresh(client, tokens["refresh_token"]).json()
        texts.append(tokens["access_token"])
    assert len({_read(authserver, text, audience=JWT_API)["jti"] for text in texts}) == 6


def test_the_subject_of_a_client_that_acts_for_itself_is_the_client_2_2(
    authserver: AuthServer, client: RegisteredClient
):
    parameters = {"grant_type": "client_credentials", "scope": "jwt:read", "resource": JWT_API}
    token = authserver.token(client, **parameters).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["sub"] == claims["client_id"] == client.client_id
    assert CLAIMS - claims.keys() == {"auth_time", "acr", "amr", "sid"}


def test_opaque_is_the_default_and_a_resource_or_a_client_may_ask_for_jwts(authserver: AuthServer, alice: User):
    plain = authserver.client(scope="openid api:read jwt:read")
    asking = authserver.client(scope="openid api:read", access_token_format="jwt")
    assert "." not in authserver.tokens(plain, alice, scope="openid")["access_token"]
    assert "." not in authserver.tokens(plain, alice, scope="openid", resource=API)["access_token"]
    assert "." in authserver.tokens(plain, alice, scope="openid", resource=JWT_API)["access_token"]
    assert "." in authserver.tokens(asking, alice, scope="openid")["access_token"]
    assert "." in authserver.tokens(asking, alice, scope="openid", resource=API)["access_token"]


def test_a_client_may_ask_for_rs256(authserver: AuthServer, alice: User):
    client = authserver.client(access_token_format="jwt", access_token_signed_response_alg="RS256")
    token = authserver.tokens(client, alice)["access_token"]
    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    assert _read(authserver, token, audience=authserver.issuer)["sub"] == alice.sub


# 4 and RFC 8725: what the server itself refuses to read. Userinfo and introspection must agree.


def _assert_dead(authserver: AuthServer, client: RegisteredClient, text: str) -> None:
    assert not is_alive(authserver, client, text)
    assert_refused(authserver.get("/userinfo", text), "invalid_token", 401)


def test_the_unchanged_token_is_good_at_userinfo_and_introspection(
    authserver: AuthServer, client: RegisteredClient, token: str
):
    assert is_alive(authserver, client, token)
    assert authserver.get("/userinfo", token).status_code == 200


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "HS256", "RS256", "ES384", "", None, 1, ["ES256"]]
)
def test_another_algorithm_in_the_header_is_refused_8725_3_1(
    authserver: AuthServer, client: RegisteredClient, token: str, algorithm: Any
):
    header, claims, signature = _parts(token)
    header["alg"] = algorithm
    for end in (signature, "", "AA"):
        _assert_dead(authserver, client, f"{_b64(header)}.{_b64(claims)}.{end}")


def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused_8725_2_1(
    authserver: AuthServer, client: RegisteredClient, token: str
):
    import hmac

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    header, claims, _ = _parts(token)
    keys = authserver.get("/jwks").json()["keys"]
    for algorithm in ("RS256", "ES256"):
        public = signing_keys.private_key(algorithm).public_key()
        kid = next(key["kid"] for key in keys if key["alg"] == algorithm)
        signed = f"{_b64({**header, 'alg': 'HS256', 'kid': kid})}.{_b64(claims)}"
        secrets = [
            public.public_bytes(form, PublicFormat.SubjectPublicKeyInfo) for form in (Encoding.PEM, Encoding.DER)
        ]
        secrets += [json.dumps(next(key for key in keys if key["kid"] == kid)).encode(), b""]
        for secret in secrets:
            _assert_dead(authserver, client, f"{signed}.{_b64(hmac.digest(secret, signed.encode(), 'sha256'))}")


def test_a_signature_of_zeros_is_refused(authserver: AuthServer, client: RegisteredClient, token: str):
    head, body, _ = token.split(".")
    for size in (64, 63, 65, 256):
        _assert_dead(authserver, client, f"{head}.{body}.{_b64(bytes(size))}")


@pytest.mark.parametrize(
    "kid",
    [None, "", "unknown", "../../../../dev/null", "' OR 1=1 --", "x" * 60_000, 1, ["a"], {"a": 1}, "\N{SNOWMAN}", "\0"],
)
def test_a_key_id_that_is_not_ours_is_refused(authserver: AuthServer, client: RegisteredClient, token: str, kid: Any):
    header, claims, signature = _parts(token)
    header["kid"] = kid
    _assert_dead(authserver, client, f"{_b64(header)}.{_b64(claims)}.{signature}"[:60_000])


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"])
def test_a_header_that_brings_its_own_key_or_rules_is_refused(
    authserver: AuthServer, client: RegisteredClient, token: str, name: str
):
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.derive_private_key(4711, ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    values = {"jwk": public, "crit": ["exp"], "b64": False, "zip": "DEF", "x5c": ["AA=="]}
    header, claims, _ = _parts(token)
    forged = jwt.encode(claims, key, "ES256", {**header, name: values.get(name, "https://evil.test/jwks")})
    _assert_dead(authserver, client, forged)


def test_changed_claims_are_refused(authserver: AuthServer, client: RegisteredClient, token: str, bob: User):
    header, claims, signature = _parts(token)
    for name, value in (("sub", bob.sub), ("exp", claims["exp"] + 10**6), ("scope", "openid api:write"), ("aud", API)):
        _assert_dead(authserver, client, f"{_b64(header)}.{_b64({**claims, name: value})}.{signature}")


@pytest.mark.parametrize("typ", ["JWT", "jwt", "logout+jwt", "dpop+jwt", None, "", 1, "token-introspection+jwt"])
def test_another_type_of_token_under_our_own_key_is_refused_4(
    authserver: AuthServer, client: RegisteredClient, token: str, typ: Any
):
    header, claims, _ = _parts(token)
    key = signing_keys.private_key("ES256")
    headers = {"kid": header["kid"], "typ": typ} if typ != "" else {"kid": header["kid"], "typ": None}
    _assert_dead(authserver, client, jwt.encode(claims, key, "ES256", headers))


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_the_type_may_be_written_out_4(authserver: AuthServer, client: RegisteredClient, token: str, typ: str):
    header, claims, _ = _parts(token)
    key = signing_keys.private_key("ES256")
    assert is_alive(authserver, client, jwt.encode(claims, key, "ES256", {"kid": header["kid"], "typ": typ}))


def test_an_id_token_is_no_access_token(authserver: AuthServer, client: RegisteredClient, alice: User):
    _assert_dead(authserver, client, authserver.tokens(client, alice)["id_token"])


@pytest.mark.parametrize(
    "issuer", ["http://localhost:9000/", "HTTP://localhost:9000", "http://localhost", "", None, 1, []]
)
def test_another_issuer_under_our_own_key_is_refused(
    authserver: AuthServer, client: RegisteredClient, token: str, issuer: Any
):
    header, claims, _ = _parts(token)
    text = f"{_b64(header)}.{_b64({**claims, 'iss': issuer})}"
    signature = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(
        text.encode(), signing_keys.private_key("ES256")
    )
    _assert_dead(authserver, client, f"{text}.{_b64(signature)}")


def test_a_token_in_another_spelling_is_refused_7515_2(authserver: AuthServer, client: RegisteredClient, token: str):
    head, body, signature = token.split(".")
    spellings = [
        f" {token}",
        f"{token}\n",
        f"{token}=",
        f"{head}==.{body}.{signature}",
        f"{head}.{body}.{signature}.",
        f".{token}",
        f"{head}..{signature}",
        f"{head}.{body}",
        f"{head}.{body}.{signature}.{signature}",
        token.replace("-", "+").replace("_", "/") + ("+" if "-" not in token and "_" not in token else ""),
        json.dumps({"payload": body, "signatures": [{"protected": head, "signature": signature}]}),
        json.dumps({"payload": body, "protected": head, "signature": signature}),
    ]
    for text in spellings:
        assert not is_alive(authserver, client, text), text


def test_duplicate_members_and_foreign_numbers_are_refused_7519_4(
    authserver: AuthServer, client: RegisteredClient, token: str
):
    header, claims, signature = _parts(token)
    body = json.dumps(claims)
    bodies = [body[:-1] + f', "sub": "{claims["sub"]}"}}', body[:-1] + ', "x": NaN}', body[:-1] + ', "x": Infinity}']
    bodies += ["[" * 3000 + "]" * 3000, "{" * 300, "1" * 5000, "null", "[]", '"x"', ""]
    for text in bodies:
        _assert_dead(authserver, client, f"{_b64(header)}.{_b64(text.encode())}.{signature}")


def test_an_oversized_token_is_refused(authserver: AuthServer, client: RegisteredClient, token: str):
    head, body, signature = token.split(".")
    for text in (
        f"{head}.{body}.{'A' * 50_000}",
        f"{'A' * 50_000}.{body}.{signature}",
        f"{head}.{'A' * 50_000}.{signature}",
    ):
        _assert_dead(authserver, client, text)


def test_an_encrypted_token_is_refused(authserver: AuthServer, client: RegisteredClient):
    for header in ({"alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF"}, {"alg": "PBES2-HS256+A128KW", "p2c": 10**9}):
        _assert_dead(authserver, client, f"{_b64(header)}.AA.AA.AA.AA")
