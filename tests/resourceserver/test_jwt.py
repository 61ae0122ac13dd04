import hashlib
import hmac
import json
import time
import tracemalloc

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from resourceserver import KeySource, Verifier
from resourceserver.errors import InvalidTokenError
from resourceserver.jwks import VerificationKey, read_key_set
from resourceserver.jwt import MAX_TOKEN, parse_compact, verified_claims
from tests.resourceserver.conftest import AUDIENCE, Clock, Mint
from tests.resourceserver.signing import base64url, claims, header, private_key, public_jwk, signed
from tests.resourceserver.stub_issuer import KEYS, METADATA, StubIssuer

REFUSED = pytest.raises(InvalidTokenError)


@pytest.mark.parametrize(
    ("key", "alg"), [("rsa", "RS256"), ("p256", "ES256"), ("ed25519", "EdDSA"), ("ed25519", "Ed25519")]
)
def test_a_good_token_passes_with_every_kind_of_key(by_keys: Verifier, mint: Mint, key: str, alg: str) -> None:
    token = by_keys.check(mint(key, {"alg": alg}))
    assert (token.subject, token.client_id, token.scope) == ("user-1", "client-1", {"read", "write"})
    assert (token.checked_by, token.format, token.audience) == ("keys", "jwt", (AUDIENCE,))


def test_rs256_and_ps256_are_both_taken_from_an_rsa_key_that_names_no_algorithm(
    issuer: StubIssuer, by_keys: Verifier
) -> None:
    issuer.keys = [public_jwk("rsa", alg=None)]
    for alg in ("RS256", "PS256"):
        assert by_keys.check(signed(header(alg=alg), claims(issuer.url, AUDIENCE, jti=alg), alg=alg))


# RFC 8725 2.1, 3.1: the algorithm belongs to the key, not to the token.


@pytest.mark.parametrize(
    "alg", ["none", "None", "NonE", "NONE", "", "HS256", "RS512", "RS1", "ES256K", "RSA-OAEP", 7, ["RS256"]]
)
def test_an_algorithm_outside_the_list_is_refused(by_keys: Verifier, mint: Mint, alg: object) -> None:
    with REFUSED:
        by_keys.check(mint(head={"alg": alg}))


@pytest.mark.parametrize("alg", ["none", "NonE", "RS256"])
def test_an_empty_signature_is_refused(by_keys: Verifier, mint: Mint, alg: str) -> None:
    head, body, _ = mint(head={"alg": alg}).split(".")
    for token in (f"{head}.{body}.", f"{head}.{body}", f"{head}..", f"{head}.{body}.AA"):
        with REFUSED:
            by_keys.check(token)


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
def test_a_public_key_used_as_hmac_secret_is_refused(issuer: StubIssuer, by_keys: Verifier, form: str) -> None:
    public = private_key("rsa").public_key()
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(public_jwk("rsa")).encode(),
    }[form]
    head = base64url(json.dumps(header(alg="HS256")).encode())
    body = base64url(json.dumps(claims(issuer.url, AUDIENCE)).encode())
    mac = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
    with REFUSED:
        by_keys.check(f"{head}.{body}.{base64url(mac)}")


@pytest.mark.parametrize(
    "signature", [bytes(64), bytes(63) + b"\1", b"\0" * 32 + b"\1" * 32, b"\xff" * 64, b"", b"\0", bytes(65)]
)
def test_a_degenerate_ecdsa_signature_is_refused(by_keys: Verifier, mint: Mint, signature: bytes) -> None:
    head, body, _ = mint("p256").split(".")
    with REFUSED:
        by_keys.check(f"{head}.{body}.{base64url(signature)}")


def test_an_rs256_token_under_a_key_for_ps256_only_is_refused(issuer: StubIssuer, by_keys: Verifier) -> None:
    issuer.keys = [public_jwk("rsa", alg="PS256")]
    with REFUSED:
        by_keys.check(signed(header(alg="RS256"), claims(issuer.url, AUDIENCE), alg="RS256"))
    assert by_keys.check(signed(header(alg="PS256"), claims(issuer.url, AUDIENCE), alg="PS256"))


def test_a_key_of_another_type_under_the_same_kid_is_refused(issuer: StubIssuer, by_keys: Verifier) -> None:
    with REFUSED:
        by_keys.check(signed(header("p256", kid="rsa"), claims(issuer.url, AUDIENCE), "p256"))


def test_an_algorithm_that_this_verifier_does_not_want_is_refused(
    issuer: StubIssuer, keys: KeySource, mint: Mint, clock: Clock
) -> None:
    verifier = Verifier(issuer.url, AUDIENCE, keys=keys, algorithms=["ES256"], clock=clock)
    assert verifier.check(mint("p256"))
    with REFUSED:
        verifier.check(mint("rsa"))


# RFC 7515 4.1: headers that must be ignored, and headers that must not be there.


def test_keys_brought_by_the_token_itself_are_never_used(issuer: StubIssuer, by_keys: Verifier) -> None:
    stranger = public_jwk("rsa_other", kid="rsa")
    for member in ({"jwk": stranger}, {"jku": issuer.url + "/evil"}, {"x5u": issuer.url + "/evil"}, {"x5c": ["MIIB"]}):
        with REFUSED:
            by_keys.check(signed(header(**member), claims(issuer.url, AUDIENCE), "rsa_other"))
    assert set(issuer.hits) <= {KEYS, METADATA}


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "exp", 1])
def test_a_token_with_critical_extensions_is_refused(by_keys: Verifier, mint: Mint, crit: object) -> None:
    with REFUSED:
        by_keys.check(mint(head={"crit": crit}))


@pytest.mark.parametrize(
    "kid",
    [
        "unknown",
        "",
        "../../dev/null",
        "x' OR '1'='1",
        "k" * 65_536,
        "k" * 300,
        1,
        ["rsa"],
        {"a": 1},
        True,
        "rsa\0",
        "RSA",
    ],
)
def test_a_kid_that_the_issuer_does_not_publish_is_refused(by_keys: Verifier, mint: Mint, kid: object) -> None:
    with REFUSED:
        by_keys.check(mint(head={"kid": kid}))


def test_a_token_without_kid_is_refused(by_keys: Verifier, mint: Mint) -> None:
    with REFUSED:
        by_keys.check(mint(head={"kid": None}))


# Size and form.


@pytest.mark.parametrize(
    "token",
    [
        "e" + "A" * 1_000_000 + ".e30.AA",
        "eyJhbGciOiJSUzI1NiJ9.e30." + "A" * 1_000_000,
        "eyJhbGciOiJSUzI1NiJ9." + "A" * 10_000_000 + ".AA",
        base64url(b"[" * 50_000) + ".e30.AA",
        base64url(b'{"a":' * 3_000) + ".e30.AA",
        "e" + "." * 2 + "A" * MAX_TOKEN,
    ],
    ids=["header", "signature", "payload", "deep array", "deep object", "long"],
)
def test_oversized_and_deep_tokens_are_refused_without_work(by_keys: Verifier, token: str) -> None:
    tracemalloc.start()
    try:
        with REFUSED:
            by_keys.check(token)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_token_at_the_size_limit_is_read_and_one_above_is_not(by_keys: Verifier, mint: Mint) -> None:
    longest = mint(filler="x" * 1)
    room = MAX_TOKEN - len(longest)
    fitting = mint(filler="x" * (room * 3 // 4))
    assert MAX_TOKEN - 4 <= len(fitting) <= MAX_TOKEN
    assert by_keys.check(fitting)
    with REFUSED:
        by_keys.check(mint(filler="x" * (room * 3 // 4 + 8)))


@pytest.mark.parametrize(
    "head",
    [
        {"alg": "RSA-OAEP-256", "enc": "A256GCM", "typ": "at+jwt"},
        {"alg": "RSA1_5", "enc": "A128CBC-HS256"},
        {"alg": "dir", "enc": "A256GCM", "zip": "DEF"},
        {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 10**9, "p2s": "AAAA"},
    ],
)
def test_an_encrypted_token_is_refused_before_any_expensive_step(
    issuer: StubIssuer, by_keys: Verifier, head: dict[str, object]
) -> None:
    encoded = base64url(json.dumps(head).encode())
    for token in (f"{encoded}.AAAA.AAAA.AAAA.AAAA", f"{encoded}..AAAA.AAAA.", f"{encoded}.AAAA.AAAA"):
        with REFUSED:
            by_keys.check(token)
    assert not issuer.hits


def _variants(token: str) -> dict[str, str]:
    head, body, signature = token.split(".")
    flattened = json.dumps({"protected": head, "payload": body, "signature": signature})
    return {
        "leading space": " " + token,
        "trailing space": token + " ",
        "newline": token + "\n",
        "carriage return": token + "\r\n",
        "inner newline": f"{head}.\n{body}.{signature}",
        "padding": f"{head}.{body}.{signature}==",
        "one padding": f"{head}=.{body}.{signature}",
        "standard alphabet": f"{head}.{body}.+/{signature[2:]}",
        "extra dot": token + ".",
        "leading dot": "." + token,
        "extra part": token + ".AA",
        "two dots": f"{head}..{body}.{signature}",
        "percent": token.replace(".", "%2E"),
        "unicode digit": f"{head}.{body}.{signature[:-1]}\u0661",
        "wide letter": f"{head}.{body}.{signature[:-1]}\uff21",
        "NUL": token + "\0",
        "json": flattened,
        "no signatures": json.dumps({"payload": body, "signatures": []}),
        "impossible length": f"{head}.{body}.{signature}AAA",
    }


@pytest.mark.parametrize("name", list(_variants("a.b.cccc")))
def test_any_other_spelling_of_a_good_token_is_refused(by_keys: Verifier, mint: Mint, name: str) -> None:
    good = mint()
    assert by_keys.check(good)
    with REFUSED:
        by_keys.check(_variants(good)[name])


def test_left_over_bits_of_base64url_are_refused(by_keys: Verifier, mint: Mint) -> None:
    # 256 octets of an RSA signature end in a character of which four bits mean nothing.
    good = mint()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[alphabet.index(good[-1]) + 1]
    assert by_keys.check(good)
    with REFUSED:
        by_keys.check(good[:-1] + other)


@pytest.mark.parametrize(
    "head",
    [
        b'{"alg":"RS256","alg":"RS256","kid":"rsa","typ":"at+jwt"}',
        b'{"alg":"none","alg":"RS256","kid":"rsa","typ":"at+jwt"}',
        b'{"alg":"RS256","kid":"rsa","typ":"JWT","typ":"at+jwt"}',
        b'["RS256"]',
        b'"RS256"',
        b"\xff\xfe",
        b'{"alg":"RS256","kid":"rsa","typ":"at+jwt"',
    ],
)
def test_an_ambiguous_or_broken_header_is_refused(issuer: StubIssuer, by_keys: Verifier, head: bytes) -> None:
    with REFUSED:
        by_keys.check(signed(head, claims(issuer.url, AUDIENCE)))


def test_repeated_members_in_the_payload_are_refused(issuer: StubIssuer, by_keys: Verifier) -> None:
    good = json.dumps(claims(issuer.url, AUDIENCE))
    for payload in (good[:-1] + ',"sub":"admin"}', good[:-1] + ',"x":{"y":1,"y":2}}', good[:-1] + ',"exp":NaN}'):
        with REFUSED:
            by_keys.check(signed(header(), payload))


@pytest.mark.parametrize("payload", ["[]", '"x"', "null", "1", "", "{", b"\xff"])
def test_a_payload_that_is_no_object_is_refused(by_keys: Verifier, payload: object) -> None:
    with REFUSED:
        by_keys.check(signed(header(), payload))


def test_a_changed_payload_or_header_is_refused(by_keys: Verifier, mint: Mint) -> None:
    head, body, signature = mint().split(".")
    other_head, other_body, _ = mint(head={"x": 1}, sub="admin").split(".")
    for token in (f"{other_head}.{body}.{signature}", f"{head}.{other_body}.{signature}"):
        with REFUSED:
            by_keys.check(token)


GOOD = signed(header(), claims("https://as.example", AUDIENCE))
PARTS = st.text('ABCxyz019-_=+/. \n{}"', max_size=40)


@given(
    st.one_of(
        st.text(), st.tuples(PARTS, PARTS, PARTS).map(".".join), st.binary().map(base64url).map("e30.{}.AA".format)
    )
)
@example(GOOD)
@example("..")
def test_the_parser_reads_or_refuses_and_never_breaks(token: str) -> None:
    try:
        compact = parse_compact(token)
    except InvalidTokenError:
        return
    assert token == f"{compact.signing_input.decode()}.{base64url(compact.signature)}"


@given(st.integers(0, len(GOOD) - 1), st.characters())
def test_no_single_changed_character_keeps_a_token_good(position: int, character: str) -> None:
    token = GOOD[:position] + character + GOOD[position + 1 :]
    known = {("rsa", "RS256"): _key()}
    if token == GOOD:
        return
    with REFUSED:
        verified_claims(token, lambda kid, alg: known.get((kid, alg)), types={"at+jwt"})


def _key() -> VerificationKey:
    return read_key_set({"keys": [public_jwk("rsa")]})[("rsa", "RS256")]


def test_checking_takes_the_time_from_the_clock_that_was_given(issuer: StubIssuer, keys: KeySource, mint: Mint) -> None:
    later = Clock(time.time() + 10_000)
    with REFUSED:
        Verifier(issuer.url, AUDIENCE, keys=keys, clock=later).check(mint())
