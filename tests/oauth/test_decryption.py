"""Encrypted request objects (RFC 9101 6.1, RFC 7516), and what must be refused before any key is touched."""

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from authserver.oauth import encryption
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient, signing_keys
from tests import signing
from tests.request_objects import (
    assert_not_taken,
    claims,
    encrypt,
    encrypt_to,
    published,
    sign,
    signed,
    signing_client,
    visit,
)
from tests.world import code_of

RSA, EC = encryption.ALGORITHMS
NONE = b'{"alg":"none"}'
EPK = {"kty": "EC", "crv": "P-256", **dict.fromkeys(("x", "y"), "A" * 43)}


@pytest.fixture
def signer(authserver: AuthServer) -> RegisteredClient:
    """A client that signs its requests; each test has its own, because pushed requests are counted."""
    return signing_client(authserver)


@pytest.fixture
def untouched(authserver: AuthServer, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of the keys."""
    asked: list[Any] = []
    ring = authserver.server.keys
    monkeypatch.setattr(ring, "decryption_key", lambda *what: asked.append(what))
    return asked


def _head(token: str) -> dict[str, Any]:
    first = token.partition(".")[0]
    members: dict[str, Any] = json.loads(urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    return members


def _with_head(token: str, head: bytes | dict[str, Any]) -> str:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return f"{signing.b64(text)}.{token.partition('.')[2]}"


@pytest.mark.parametrize("enc", encryption.METHODS)
@pytest.mark.parametrize("algorithm", encryption.ALGORITHMS)
def test_an_object_that_was_signed_and_then_encrypted_is_taken_6_1(
    authserver: AuthServer, signer: RegisteredClient, alice: User, algorithm: str, enc: str
):
    token = encrypt(authserver, signed(authserver, signer), algorithm, enc)
    page = visit(authserver, signer, token, alice)
    assert code_of(page)
    assert page.callback["state"] == "inside"
    assert authserver.post("/par", signer, request=token).status_code == 201


@pytest.mark.parametrize(
    "header",
    [
        {"cty": "jwt"},
        {"cty": "oauth-authz-req+jwt"},
        {"cty": "application/oauth-authz-req+jwt", "typ": "JWT"},
        {"unheard-of": {"a": 1}},
        {"apu": "QWxpY2U", "apv": "Qm9i"},
    ],
)
def test_what_a_good_header_may_hold(
    authserver: AuthServer, signer: RegisteredClient, alice: User, header: dict[str, Any]
):
    token = encrypt(authserver, signed(authserver, signer), EC, **header)
    assert code_of(visit(authserver, signer, token, alice))


def test_the_key_is_published_with_its_use_and_algorithm(authserver: AuthServer):
    for algorithm, kind in ((RSA, RSAKey), (EC, ECKey)):
        members = published(authserver, algorithm)
        assert members["kid"] == kind.import_key(members).thumbprint()
        assert members.keys().isdisjoint({"d", "p", "q", "dp", "dq", "qi"})


# 6.1, 10.1: encryption proves nothing.


def test_what_is_inside_has_to_be_signed_by_the_client_10_2(authserver: AuthServer, signer: RegisteredClient):
    body = claims(authserver, signer)
    for inner in (
        json.dumps(body),
        "",
        "\N{SNOWMAN}",
        f"{signing.b64(NONE)}.{signing.b64(json.dumps(body).encode())}.",
        sign(body, name="p256_other", kid="p256"),
        sign({**body, "iss": "another"}),
        encrypt(authserver, sign(body)),
    ):
        assert_not_taken(authserver, signer, encrypt(authserver, inner))


def test_a_client_may_pin_its_algorithm(authserver: AuthServer, alice: User):
    client = signing_client(authserver, request_object_encryption_alg=EC)
    assert code_of(visit(authserver, client, encrypt(authserver, signed(authserver, client), EC), alice))
    assert_not_taken(authserver, client, encrypt(authserver, signed(authserver, client), RSA))
    # It has said how, not that it always will (OpenID Connect Registration 2).
    assert code_of(visit(authserver, client, signed(authserver, client), alice))


# Refused before any key is touched.


@pytest.mark.parametrize(
    "header",
    [
        *[{"alg": value} for value in ("RSA1_5", "RSA-OAEP", "dir", "A256KW", "A256GCMKW", "ECDH-ES+A256KW", "none")],
        *[{"alg": value} for value in (None, 5, [RSA], {"a": RSA}, RSA.lower(), EC)],
        {"alg": "PBES2-HS256+A128KW", "p2s": "AAAA", "p2c": 10**9},
        *[{"enc": value} for value in ("A128GCM", "A192GCM", "A256CBC-HS512", "none", None, 5, ["A256GCM"])],
        *[{"kid": value} for value in (None, 5, ["x"], {"a": "x"})],
        *[{"cty": value} for value in (None, "", "text/plain", "json", 5, ["JWT"])],
        {"zip": "DEF"},
        {"zip": None},
        {"crit": ["exp"]},
        {"crit": []},
    ],
)
def test_a_header_that_asks_for_anything_else_is_refused_first(
    authserver: AuthServer, signer: RegisteredClient, untouched: list[Any], header: dict[str, Any]
):
    token = encrypt(authserver, signed(authserver, signer))
    assert_not_taken(authserver, signer, _with_head(token, {**_head(token), **header}))
    assert untouched == []


@pytest.mark.parametrize(
    "epk",
    [
        None,
        "x",
        [],
        {},
        {**EPK, "kty": "OKP"},
        {**EPK, "crv": "P-384"},
        {**EPK, "crv": "secp256k1"},
        {**EPK, "crv": ["P-256"]},
        {**EPK, "d": "A" * 43},
        {**EPK, "x": "A" * 42},
        {**EPK, "y": 5},
        {**EPK, "y": None},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
    ],
)
def test_an_ephemeral_key_of_another_kind_is_refused_first(
    authserver: AuthServer, signer: RegisteredClient, untouched: list[Any], epk: Any
):
    token = encrypt(authserver, signed(authserver, signer), EC)
    assert_not_taken(authserver, signer, _with_head(token, {**_head(token), "epk": epk}))
    assert untouched == []


def test_what_is_not_a_compact_jwe_is_refused_first(
    authserver: AuthServer, signer: RegisteredClient, untouched: list[Any]
):
    token = encrypt(authserver, signed(authserver, signer))
    head, key, vector, text, tag = token.split(".")
    twice = json.dumps(_head(token)).replace('"cty"', '"alg": "RSA1_5", "cty"').encode()
    for bad in (
        "....",
        token + ".x",
        " " + token,
        token + "\n",
        ".".join((head + "=", key, vector, text, tag)),
        ".".join((head, key, vector + "AAAAAAAA", text, tag)),
        f"{head}.{key}.{vector}..{tag}",
        ".".join((head, key, vector, text, tag[:-2])),
        # The last character of a tag has four bits that count for nothing.
        ".".join((head, key, vector, text, tag[:-1] + ("B" if tag[-1] != "B" else "C"))),
        json.dumps({"protected": head, "encrypted_key": key, "iv": vector, "ciphertext": text, "tag": tag}),
        _with_head(token, twice),
        _with_head(token, b"[" * 3000),
        _with_head(token, b"[]"),
    ):
        assert_not_taken(authserver, signer, bad)
    large = encrypt(authserver, signed(authserver, signer, state="x" * 12_000))
    assert len(large) > 16 * 1024
    assert authserver.post("/par", signer, request=large).json()["error"] == "invalid_request_object"
    assert untouched == []


def test_nothing_is_decrypted_for_a_client_that_could_not_have_signed(
    authserver: AuthServer, client: RegisteredClient, untouched: list[Any]
):
    assert_not_taken(authserver, client, encrypt(authserver, signed(authserver, client)))
    assert untouched == []


# What the key does not open.


def test_the_key_is_the_one_that_the_header_names(authserver: AuthServer, signer: RegisteredClient):
    inner = signed(authserver, signer)
    other = published(authserver, EC)["kid"]
    signature = next(key["kid"] for key in authserver.get("/jwks").json()["keys"] if key["alg"] == "RS256")
    for kid in ("unknown", "", "../../dev/null", "x" * 800, other, signature):
        assert_not_taken(authserver, signer, encrypt(authserver, inner, kid=kid))
    # To another key under the name of ours, and to a key of ours that signs.
    kid = published(authserver, RSA)["kid"]
    for key in (signing.key("rsa_other"), RSAKey.import_key(_pem("RS256"))):
        assert_not_taken(authserver, signer, encrypt_to(key, inner, alg=RSA, enc="A256GCM", kid=kid))
    key = RSAKey.import_key(_pem("RS256"))
    assert_not_taken(authserver, signer, encrypt_to(key, inner, alg=RSA, enc="A256GCM", kid=signature))


@pytest.mark.parametrize("enc", encryption.METHODS)
@pytest.mark.parametrize("algorithm", encryption.ALGORITHMS)
def test_a_changed_part_is_seen(authserver: AuthServer, signer: RegisteredClient, algorithm: str, enc: str):
    token = encrypt(authserver, signed(authserver, signer), algorithm, enc)
    parts = token.split(".")
    for place in range(1, 5):
        part = parts[place]
        changed = ("B" if part[:1] == "A" else "A") + part[1:] if part else "AAAA"
        assert_not_taken(authserver, signer, ".".join([*parts[:place], changed, *parts[place + 1 :]]))
    assert_not_taken(authserver, signer, _with_head(token, {**_head(token), "extra": 1}))


def test_an_encrypted_key_of_the_wrong_size_does_not_help(authserver: AuthServer, signer: RegisteredClient):
    # A content key that the sender shortens, with the size of another method (RFC 7516 11.5).
    public = RSAKey.import_key(published(authserver, RSA))
    model = jwe.JWERegistry.algorithms["alg"][RSA]
    head, _key, *rest = encrypt(authserver, signed(authserver, signer)).split(".")
    for content_key in (b"", b"x", bytes(16), bytes(31), bytes(64), bytes(190)):
        sealed = public.raw_value.encrypt(content_key, model.padding)
        assert_not_taken(authserver, signer, ".".join((head, signing.b64(sealed), *rest)))


def test_a_point_off_the_curve_is_refused(authserver: AuthServer, signer: RegisteredClient):
    token = encrypt(authserver, signed(authserver, signer), EC)
    head = _head(token)
    for change in ({"x": "A" * 43}, {"y": "A" * 43}, {"x": "_" * 42 + "8"}, {"x": head["epk"]["y"]}, {"x": "=" * 43}):
        assert_not_taken(authserver, signer, _with_head(token, {**head, "epk": {**head["epk"], **change}}))


def test_a_shared_key_is_no_way_in(authserver: AuthServer, signer: RegisteredClient):
    inner, kid = signed(authserver, signer), published(authserver, RSA)["kid"]
    for secret in (bytes(32), json.dumps(published(authserver, RSA)).encode()[:32]):
        direct = encrypt_to(OctKey.import_key(secret), inner, alg="dir", enc="A256GCM", kid=kid)
        assert_not_taken(authserver, signer, direct)


def _pem(algorithm: str) -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = signing_keys.private_key(algorithm).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
