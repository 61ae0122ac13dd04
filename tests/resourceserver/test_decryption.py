"""Encrypted access tokens (RFC 9068 4, RFC 7516, RFC 7519 11.2)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey
from jwt.algorithms import get_default_algorithms

from resourceserver import Decryption, IntrospectionClient, KeySource, Verifier
from resourceserver.decryption import ALGORITHMS, METHODS
from resourceserver.errors import InvalidTokenError
from resourceserver.jwt import MAX_TOKEN
from tests.resourceserver.conftest import AUDIENCE, Clock, Mint
from tests.resourceserver.signing import base64url, claims, header, private_key, signed
from tests.resourceserver.stub_issuer import KEYS, StubIssuer

ALG_OF = {"rsa": "RSA-OAEP-256", "p256": "ECDH-ES", "p384": "ECDH-ES"}
SIGNED = signed(header(), claims("https://issuer.example", AUDIENCE))
DIRECT = OctKey.import_key({"kty": "oct", "k": base64url(bytes(32))})


def _jwk(name: str, **members: object) -> dict[str, Any]:
    """A private key of the tests as a JWK; members given as None are left out."""
    algorithm = get_default_algorithms()["RS256" if name.startswith("rsa") else "ES256"]
    whole = {**algorithm.to_jwk(private_key(name), as_dict=True), "key_ops": None, "kid": name, **members}
    return {member: value for member, value in whole.items() if value is not None}


def _sealed(inside: str, name: str = "p256", enc: str = "A256GCM", *, key: Any = None, **members: object) -> str:
    """A compact JWE; header members given as None are left out."""
    head = {"alg": ALG_OF.get(name), "enc": enc, "cty": "JWT", "kid": name, **members}
    head = {member: value for member, value in head.items() if value is not None}
    public = key or (RSAKey if name.startswith("rsa") else ECKey).import_key(private_key(name).public_key())
    registry = jwe.JWERegistry(algorithms=[head["alg"], head["enc"], "DEF"], strict_check_header=False)
    return jwe.encrypt_compact(head, inside, public, registry=registry)


def _with_header(token: str, **changes: object) -> str:
    """The token with another header; None takes a member away."""
    head, rest = token.split(".", 1)
    members = {**json.loads(_decoded(head)), **changes}
    return base64url(json.dumps({k: v for k, v in members.items() if v is not None}).encode()) + "." + rest


def _decoded(part: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.fixture(scope="module")
def decryption() -> Decryption:
    return Decryption({"keys": [_jwk("rsa"), _jwk("p256")]})


@pytest.fixture
def verifier(issuer: StubIssuer, keys: KeySource, clock: Clock, decryption: Decryption) -> Verifier:
    return Verifier(issuer.url, AUDIENCE, keys=keys, decryption=decryption, clock=clock)


# RFC 9068 4.


@pytest.mark.parametrize("enc", METHODS)
@pytest.mark.parametrize("name", ALG_OF)
def test_the_signed_token_inside_is_checked_as_if_it_had_come_alone(
    issuer: StubIssuer, keys: KeySource, mint: Mint, name: str, enc: str
) -> None:
    decryption = Decryption({"keys": [_jwk(name)]})
    verifier = Verifier(issuer.url, AUDIENCE, keys=keys, decryption=decryption)
    token = verifier.verify(f"Bearer {_sealed(mint(), name, enc)}", scopes=("read",))
    assert (token.subject, token.format, token.checked_by) == ("user-1", "jwt", "keys")


def test_every_algorithm_that_is_known_is_tried_here() -> None:
    assert set(ALG_OF.values()) == set(ALGORITHMS)


def test_a_token_is_opened_once_and_then_remembered(verifier: Verifier, mint: Mint, issuer: StubIssuer) -> None:
    token = _sealed(mint())
    first = verifier.check(token)
    assert verifier.check(token) is first
    assert issuer.hits[KEYS] == 1


@pytest.mark.parametrize(
    "wrong", [{"aud": "https://other.example"}, {"exp": 1}, {"iss": "https://evil.example"}, {"sub": None}]
)
def test_to_be_encrypted_proves_nothing(verifier: Verifier, mint: Mint, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidTokenError):
        verifier.check(_sealed(mint(**wrong)))


def test_what_somebody_else_signed_is_refused(verifier: Verifier, mint: Mint) -> None:
    with pytest.raises(InvalidTokenError):
        verifier.check(_sealed(mint("rsa_other", head={"kid": "rsa"})))


def test_a_token_that_is_not_encrypted_is_refused_4(verifier: Verifier, mint: Mint) -> None:
    with pytest.raises(InvalidTokenError, match="not encrypted"):
        verifier.check(mint())


def test_while_an_issuer_changes_over_both_are_taken(
    issuer: StubIssuer, keys: KeySource, clock: Clock, mint: Mint
) -> None:
    decryption = Decryption({"keys": [_jwk("p256")]}, required=False)
    verifier = Verifier(issuer.url, AUDIENCE, keys=keys, decryption=decryption, clock=clock)
    assert verifier.check(mint()).subject == verifier.check(_sealed(mint())).subject


def test_an_opaque_token_is_none_of_this(
    issuer: StubIssuer, introspection: IntrospectionClient, clock: Clock, decryption: Decryption, mint: Mint
) -> None:
    issuer.answers["opaque"] = issuer.active(AUDIENCE)
    verifier = Verifier(
        issuer.url, AUDIENCE, introspection=introspection, jwt=False, decryption=decryption, clock=clock
    )
    assert verifier.check("opaque").format == "opaque"
    plain = mint()
    issuer.answers[plain] = issuer.active(AUDIENCE)
    with pytest.raises(InvalidTokenError, match="not encrypted"):
        verifier.check(plain)


def test_the_issuer_is_asked_about_the_token_that_was_sent_7662_2_1(
    issuer: StubIssuer, introspection: IntrospectionClient, keys: KeySource, decryption: Decryption, mint: Mint
) -> None:
    verifier = Verifier(issuer.url, AUDIENCE, keys=keys, introspection=introspection, decryption=decryption)
    token = _sealed(mint())
    with pytest.raises(InvalidTokenError, match="not active"):
        verifier.check(token, fresh=True)
    issuer.answers[token] = issuer.active(AUDIENCE)
    found = verifier.check(token, fresh=True)
    assert (found.format, found.checked_by) == ("jwt", "introspection")


def test_without_keys_an_encrypted_token_can_only_be_introspected(
    by_keys: Verifier, by_asking: Verifier, issuer: StubIssuer, mint: Mint
) -> None:
    token = _sealed(mint())
    issuer.answers[token] = issuer.active(AUDIENCE)
    assert by_asking.check(token).checked_by == "introspection"
    with pytest.raises(InvalidTokenError):
        by_keys.check(token)


# RFC 7519 11.2: what may be inside.


@pytest.mark.parametrize("inside", ["", "opaque", "a.b.c", "{}", "\N{SNOWMAN}", "e.", "ey.ey.ey.ey.ey"])
def test_only_a_signed_token_is_looked_for_inside(verifier: Verifier, inside: str) -> None:
    with pytest.raises(InvalidTokenError):
        verifier.check(_sealed(inside))


def test_a_token_encrypted_twice_is_refused(verifier: Verifier, mint: Mint) -> None:
    with pytest.raises(InvalidTokenError, match="no signed JWT"):
        verifier.check(_sealed(_sealed(mint())))


# RFC 7516 4.1, RFC 8725 3: the header decides on nothing.


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "RSA-OAEP-256"},
        {"alg": "RSA-OAEP"},
        {"alg": "RSA1_5"},
        {"alg": "dir"},
        {"alg": "A256KW"},
        {"alg": "ECDH-ES+A256KW"},
        {"alg": "PBES2-HS256+A128KW", "p2s": "AAAA", "p2c": 10**9},
        {"alg": "none"},
        {"alg": "ES256"},
        {"alg": None},
        {"alg": ["ECDH-ES"]},
        {"enc": "A128GCM"},
        {"enc": "A256CBC-HS512"},
        {"enc": None},
        {"enc": {}},
        {"kid": "rsa"},
        {"kid": "p384"},
        {"kid": ""},
        {"kid": 1},
        {"kid": ["p256"]},
        {"zip": "DEF"},
        {"zip": None, "crit": ["exp"]},
        {"crit": []},
        {"cty": None},
        {"cty": "json"},
        {"cty": 1},
        {"cty": "at+jwt"},
        {"epk": None},
        {"epk": "x"},
        {"epk": {}},
        {"epk": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}},
        {"epk": {"kty": "EC", "crv": "P-256", "x": 1, "y": None}},
        {"epk": {"kty": "EC", "crv": "P-384", "x": "A" * 64, "y": "A" * 64}},
        {"epk": {"kty": "OKP", "crv": "X25519", "x": "A" * 43}},
        {"epk": {"kty": "oct", "k": "AAAA"}},
        {"apu": 5},
        {"apu": "\N{SNOWMAN}"},
        {"apv": "A"},
        {"apv": []},
    ],
    ids=repr,
)
def test_another_header_is_refused(decryption: Decryption, changes: dict[str, object]) -> None:
    token = _sealed(SIGNED)
    assert decryption.inner(token)
    with pytest.raises(InvalidTokenError):
        decryption.inner(_with_header(token, **changes))


def test_a_header_that_was_made_so_is_refused_too(decryption: Decryption) -> None:
    sealed = [
        _sealed(SIGNED, zip="DEF"),
        _sealed(SIGNED, cty="at+jwt"),
        _sealed(SIGNED, cty=None),
        _sealed(SIGNED, enc="A128GCM"),
        _sealed(SIGNED, "rsa", alg="RSA-OAEP"),
        _sealed(SIGNED, alg="ECDH-ES+A256KW"),
        _sealed(SIGNED, alg="dir", key=DIRECT),
        _sealed(SIGNED, "p384", kid="p256"),
        _sealed(SIGNED, "rsa_other", alg="RSA-OAEP-256", kid="rsa"),
    ]
    for token in sealed:
        with pytest.raises(InvalidTokenError):
            decryption.inner(token)


def test_a_public_key_is_no_shared_secret_8725_2_1(decryption: Decryption) -> None:
    secret = OctKey.import_key({"kty": "oct", "k": base64url(_decoded(_jwk("rsa")["n"])[:32])})
    with pytest.raises(InvalidTokenError, match="alg or enc"):
        decryption.inner(_sealed(SIGNED, "rsa", alg="dir", key=secret))


def test_a_single_key_need_not_be_named() -> None:
    token = _sealed(SIGNED, kid=None)
    for name in (None, "p256"):
        assert Decryption({"keys": [_jwk("p256", kid=name)]}).inner(token).count(".") == 2
    assert Decryption({"keys": [_jwk("p256"), _jwk("rsa")]}).inner(_sealed(SIGNED, kid=None)) == SIGNED
    with pytest.raises(InvalidTokenError):
        Decryption({"keys": [_jwk("p256"), _jwk("p384")]}).inner(token)


def test_an_old_key_opens_until_it_is_taken_out() -> None:
    both = Decryption({"keys": [_jwk("p256", kid="new"), _jwk("p384", kid="old")]})
    assert both.inner(_sealed(SIGNED, "p384", kid="old")) == both.inner(_sealed(SIGNED, kid="new")) == SIGNED


def test_algorithms_may_be_narrowed() -> None:
    narrow = Decryption({"keys": [_jwk("p256")]}, algorithms=["ECDH-ES"], methods=["A256GCM"])
    assert narrow.inner(_sealed(SIGNED))
    with pytest.raises(InvalidTokenError, match="alg or enc"):
        narrow.inner(_sealed(SIGNED, enc="A128CBC-HS256"))
    for wrong in ({"algorithms": ["dir"]}, {"methods": ["A128GCM"]}, {"algorithms": []}, {"methods": []}):
        with pytest.raises(ValueError, match="unknown"):
            Decryption({"keys": [_jwk("p256")]}, **wrong)
    with pytest.raises(ValueError, match="kind"):
        Decryption({"keys": [_jwk("p256")]}, algorithms=["RSA-OAEP-256"])


# The compact form.


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: [*parts[:4], parts[4][:-1]],
        lambda parts: [*parts[:4], parts[4][:-1] + "*"],
        lambda parts: [*parts[:2], "AAAA", *parts[3:]],
        lambda parts: [*parts[:3], "", parts[4]],
        lambda parts: [*parts[:3], parts[3] + "=", parts[4]],
        lambda parts: [*parts[:3], parts[3][:-4], parts[4]],
        lambda parts: [parts[0], "AAAA", *parts[2:]],
        lambda parts: [parts[0] + "\n", *parts[1:]],
        lambda parts: ["e", *parts[1:]],
        lambda parts: ["e" * 5000, *parts[1:]],
        lambda parts: [base64url(b'{"alg":"ECDH-ES","alg":"ECDH-ES"}'), *parts[1:]],
        lambda parts: [base64url(b'{"a":' * 400 + b"1" + b"}" * 400), *parts[1:]],
    ],
)
def test_anything_but_the_one_spelling_is_refused_before_it_is_opened(decryption: Decryption, change: Any) -> None:
    parts = _sealed(SIGNED).split(".")
    with pytest.raises(InvalidTokenError):
        decryption.inner(".".join(change(parts)))


def test_bits_left_over_are_another_spelling(decryption: Decryption) -> None:
    # The tag has 128 bits in 22 characters: four bits of the last one say nothing.
    token = _sealed(SIGNED)
    last = token[-1]
    others = [token[:-1] + other for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_" if other != last]
    for other in others:
        with pytest.raises(InvalidTokenError):
            decryption.inner(other)


def test_a_long_token_is_refused_before_it_is_opened(decryption: Decryption) -> None:
    with pytest.raises(InvalidTokenError, match="too long"):
        decryption.inner(_sealed(SIGNED + "x" * MAX_TOKEN))


# RFC 7517: the keys.


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": None},
        {"keys": []},
        {"keys": ["x"]},
        {"keys": [{}]},
        {"keys": [_jwk("p256", d=None)]},
        {"keys": [_jwk("p256", use="sig")]},
        {"keys": [_jwk("p256", alg="ES256")]},
        {"keys": [_jwk("p256", alg="RSA-OAEP-256")]},
        {"keys": [_jwk("p256", crv="P-521")]},
        {"keys": [_jwk("p256", crv=["P-256"])]},
        {"keys": [_jwk("p256", kid=1)]},
        {"keys": [_jwk("p256", kid="")]},
        {"keys": [_jwk("p256", kid="x" * 257)]},
        {"keys": [_jwk("p256", d="AAAA", x="AAAA")]},
        {"keys": [_jwk("rsa_short")]},
        {"keys": [_jwk("rsa", alg="RSA1_5")]},
        {"keys": [_jwk("rsa", n="*")]},
        {"keys": [{"kty": "oct", "k": "AAAA", "d": "x"}]},
        {"keys": [{"kty": "OKP", "crv": "X25519", "x": "A" * 43, "d": "A" * 43}]},
        {"keys": [_jwk("rsa"), _jwk("p256", kid=None)]},
        {"keys": [_jwk("rsa"), _jwk("p256", kid="rsa")]},
        {"keys": [_jwk("p256", kid=str(number)) for number in range(11)]},
    ],
)
def test_keys_that_cannot_be_used_stop_the_start(document: Mapping[str, object]) -> None:
    with pytest.raises(ValueError, match=r"key|kid"):
        Decryption(document)


def test_the_keys_come_from_a_file(tmp_path: Path, mint: Mint) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [_jwk("p256")]}))
    assert Decryption.from_file(file).inner(_sealed(mint()))
    assert Decryption.from_file(file, required=False).inner("opaque") == "opaque"
    for text in ("", "[]", "{", '{"keys":[]}', " " * 70_000 + "{}"):
        file.write_text(text)
        with pytest.raises(ValueError, match="JWK Set"):
            Decryption.from_file(file)


def test_only_public_members_are_published(decryption: Decryption) -> None:
    keys: Any = decryption.public_set()["keys"]
    assert [(key["kid"], key["use"], key["alg"]) for key in keys] == [
        ("rsa", "enc", "RSA-OAEP-256"),
        ("p256", "enc", "ECDH-ES"),
    ]
    assert [key.keys() - {"kid", "use", "alg", "kty"} for key in keys] == [{"n", "e"}, {"crv", "x", "y"}]
