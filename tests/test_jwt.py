"""Reading of tokens that may come from anybody (RFC 7515, RFC 7519, RFC 8725)."""

import hmac
import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from authserver import jwt
from authserver.jwt import InvalidJWT
from tests.signing import KIND_OF, SECRET, b64, key, pem, raw, shared, token

HEAD, BODY = b'{"alg":"ES256","typ":"JWT"}', b'{"sub":"me"}'


def public(algorithm: str) -> Any:
    return shared() if algorithm == "HS256" else key(KIND_OF[algorithm])


def signed(head: bytes = HEAD, body: bytes = BODY) -> str:
    return raw(head, body, "ES256", pem("p256"))


def refused(text: str, using: Any, *algorithms: str) -> bool:
    parsed = jwt.parse(text)
    try:
        jwt.verify(parsed, using, frozenset(algorithms))
    except InvalidJWT:
        return True
    return False


# RFC 7515 5.2, RFC 7518 3: signatures


@pytest.mark.parametrize("algorithm", sorted({*jwt.ASYMMETRIC, "HS256"}))
def test_a_good_signature_of_every_accepted_algorithm_verifies(algorithm: str) -> None:
    assert not refused(token(algorithm), public(algorithm), algorithm)


@pytest.mark.parametrize("algorithm", sorted({*jwt.ASYMMETRIC, "HS256"}))
def test_a_changed_byte_anywhere_is_refused(algorithm: str) -> None:
    head, body, signature = token(algorithm).split(".")
    octets = bytearray(urlsafe_b64decode(signature + "=="))
    for place in (0, len(octets) // 2, -1):
        octets[place] ^= 1
        assert refused(f"{head}.{body}.{b64(octets)}", public(algorithm), algorithm)
        octets[place] ^= 1
    assert refused(f"{head}.{b64(b'{}')}.{signature}", public(algorithm), algorithm)
    other = b64(json.dumps({"alg": algorithm, "typ": "at+jwt"}).encode())
    assert refused(f"{other}.{body}.{signature}", public(algorithm), algorithm)
    assert refused(f"{head}.{body}.{b64(octets[:-1])}", public(algorithm), algorithm)
    assert refused(f"{head}.{body}.{b64(bytes(octets) + b'x')}", public(algorithm), algorithm)


@pytest.mark.parametrize(
    ("algorithm", "other"), [("RS256", "rsa_other"), ("PS256", "rsa_other"), ("ES256", "p256_other")]
)
def test_another_key_of_the_same_kind_is_refused(algorithm: str, other: str) -> None:
    assert refused(token(algorithm), key(other), algorithm)


def test_the_caller_decides_which_algorithms_count() -> None:
    # RFC 8725 3.1: the key is the same, the algorithm is not the agreed one.
    assert refused(token("RS256"), key("rsa"), "PS256")
    assert refused(token("PS256"), key("rsa"), "RS256")
    assert refused(token("ES256"), key("p256"))


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NonE", "NONE", "", "HS384", "RS1", "es256", None, 1, ["ES256"], {}]
)
def test_no_other_algorithm_is_taken_with_or_without_a_signature(algorithm: Any) -> None:
    head = b64(json.dumps({"alg": algorithm}).encode())
    for signature in ("AA", signed().rpartition(".")[2]):
        text = f"{head}.{b64(BODY)}.{signature}"
        assert refused(text, key("p256"), *jwt.ASYMMETRIC, "HS256")


def test_a_header_without_an_algorithm_is_refused() -> None:
    assert refused(signed(b'{"typ":"JWT"}'), key("p256"), *jwt.ASYMMETRIC)


@pytest.mark.parametrize("name", ["rsa", "p256", "ed25519"])
def test_a_public_key_is_never_the_secret_of_an_hmac(name: str) -> None:
    # CVE-2022-29217, CVE-2024-37568: the public key in any of its forms.
    public_key = serialization.load_pem_private_key(pem(name).encode(), None).public_key()
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    forms = [
        public_key.public_bytes(serialization.Encoding.PEM, info),
        public_key.public_bytes(serialization.Encoding.DER, info),
        json.dumps(key(name).as_dict(private=False)).encode(),
    ]
    for secret in forms:
        start = b64(b'{"alg":"HS256"}') + "." + b64(BODY)
        text = f"{start}.{b64(hmac.digest(secret, start.encode(), 'sha256'))}"
        assert refused(text, key(name), "HS256", *jwt.ASYMMETRIC)


def test_a_shared_secret_verifies_hmac_only() -> None:
    for algorithm in jwt.ASYMMETRIC:
        assert refused(token(algorithm), shared(), "HS256", *jwt.ASYMMETRIC)


@pytest.mark.parametrize("signature", [b"\0" * 64, b"\xff" * 64, b"\0" * 63, b"\0" * 65, b"\0" * 96, b"\0" * 256])
@pytest.mark.parametrize("algorithm", sorted(jwt.ASYMMETRIC))
def test_a_signature_of_zeros_or_of_a_wrong_length_is_refused(algorithm: str, signature: bytes) -> None:
    start = token(algorithm).rpartition(".")[0]
    assert refused(f"{start}.{b64(signature)}", public(algorithm), algorithm)


def test_an_ecdsa_signature_as_der_is_refused() -> None:
    start, _, signature = token("ES256").rpartition(".")
    octets = urlsafe_b64decode(signature + "==")
    der = encode_dss_signature(int.from_bytes(octets[:32]), int.from_bytes(octets[32:]))
    assert refused(f"{start}.{b64(der)}", key("p256"), "ES256")


def test_a_curve_fits_its_algorithm_only() -> None:
    assert refused(token("ES256", name="p256"), key("p384"), "ES256")
    assert refused(token("ES384", name="p384"), key("p256"), "ES384")
    # RFC 9864: EdDSA is the older name of Ed25519 here, and not of Ed448.
    assert refused(token("EdDSA", name="ed448"), key("ed448"), "EdDSA", "Ed25519")
    newer = raw(b'{"alg":"Ed25519"}', BODY, "EdDSA", pem("ed448"))
    assert refused(newer, key("ed448"), "EdDSA", "Ed25519")


def test_a_key_counts_for_its_own_use_and_algorithm_only() -> None:
    assert not refused(token("ES256"), key("p256", use="sig", alg="ES256"), "ES256")
    assert refused(token("ES256"), key("p256", use="enc"), "ES256")
    assert refused(token("RS256"), key("rsa", alg="PS256"), "RS256", "PS256")


@given(st.binary(min_size=2, max_size=300), st.sampled_from(sorted(jwt.ASYMMETRIC)))
def test_no_signature_is_an_exception(signature: bytes, algorithm: str) -> None:
    start = b64(json.dumps({"alg": algorithm}).encode()) + "." + b64(BODY)
    assert refused(f"{start}.{b64(signature)}", public(algorithm), algorithm)


# RFC 7515 2, 3.1: the compact serialization


@pytest.mark.parametrize(
    "change",
    [
        *(lambda t: t + "\n", lambda t: " " + t, lambda t: t.replace(".", ". ", 1), lambda t: t + "="),
        *(lambda t: t.replace(".", "=.", 1), lambda t: t + ".", lambda t: "." + t, lambda t: t + ".AAAA.AAAA"),
        *(lambda t: t.replace(".", ".."), lambda t: t.rpartition(".")[0], lambda t: t.rpartition(".")[0] + "."),
        *(lambda t: "." + t.partition(".")[2], lambda t: t.partition(".")[0] + ".." + t.rpartition(".")[2]),
        *(lambda t: t[:-1] + "+", lambda t: t[:-1] + "/", lambda t: t[:-1] + "\u00e9", lambda t: t[:-1] + "\u0661"),
        *(lambda t: t + "\0", lambda t: '{"payload":"' + t + '"}', lambda _t: "", lambda _t: "..", lambda _t: "a.b.c"),
        lambda t: t + "A" * 20_000,
    ],
)
def test_anything_but_the_compact_form_is_refused(change: Any) -> None:
    with pytest.raises(InvalidJWT):
        jwt.parse(change(signed()))


def test_a_second_spelling_of_the_same_bytes_is_refused() -> None:
    # 64 bytes are 85 characters and 2 bits; the other 4 bits of the last character say nothing (RFC 4648 3.5).
    text = signed()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    second = text[:-1] + alphabet[alphabet.index(text[-1]) + 1]
    assert urlsafe_b64decode(second.rpartition(".")[2] + "==") == urlsafe_b64decode(text.rpartition(".")[2] + "==")
    with pytest.raises(InvalidJWT):
        jwt.parse(second)


@pytest.mark.parametrize(
    "raw_json",
    [
        *(
            b"",
            b"{",
            b"[]",
            b'"text"',
            b"1",
            b"null",
            b"true",
            b"{}x",
            b"{} {}",
            b"{'a':1}",
            b'{"a":1,}',
            b"\xff\xfe{}",
        ),
        *(b'\xef\xbb\xbf{"a":1}', '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-32-le"), b'{"a":"\xff"}'),
        *(b'{"a":1,"a":1}', b'{"a":{"b":1,"b":2}}', b'{"a":[{"b":1,"b":2}]}', b'{"a":1,"\\u0061":2}'),
        *(b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":"\\ud800"}', b'{"\\udfff":1}', b'{"a":"\n"}'),
        *(
            b'{"a":' + b"9" * 5000 + b"}",
            b'{"a":' * 3000 + b"1" + b"}" * 3000,
            b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
        ),
    ],
)
def test_both_parts_are_json_objects_that_every_parser_reads_alike(raw_json: bytes) -> None:
    for parts in ((raw_json, BODY), (HEAD, raw_json)):
        with pytest.raises(InvalidJWT):
            jwt.parse(f"{b64(parts[0])}.{b64(parts[1])}.{b64(b'signature')}")


@pytest.mark.parametrize("member", ["crit", "b64", "zip"])
@pytest.mark.parametrize("value", [None, False, [], ["exp"], "DEF"])
def test_extensions_of_the_header_are_refused(member: str, value: Any) -> None:
    # RFC 7515 4.1.11, RFC 7797 3: none is understood.
    with pytest.raises(InvalidJWT):
        jwt.parse(token("ES256", **{member: value}))


@pytest.mark.parametrize("typ", [None, "", 7, True, [], ["JWT"], {"typ": "JWT"}])
def test_a_type_that_is_no_text_does_not_pass_for_a_missing_one(typ: Any) -> None:
    # RFC 7515 4.1.9, RFC 8725 3.11.
    with pytest.raises(InvalidJWT):
        jwt.parse(token("ES256", typ=typ))


def test_an_encrypted_token_is_refused() -> None:
    head = b64(b'{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":1000000000,"zip":"DEF"}')
    for middle in ("", "AAAA"):
        with pytest.raises(InvalidJWT):
            jwt.parse(f"{head}.{middle}.AAAA.AAAA.AAAA")


def test_the_size_of_a_token_is_limited() -> None:
    def padded(size: int) -> str:
        # Three bytes of padding are four characters.
        body = b'{"a":"' + b"x" * size + b'"}'
        return f"{b64(HEAD)}.{b64(body)}.AAAA"

    spare = (jwt.MAX_SIZE - len(padded(0))) // 4 * 3
    assert len(padded(spare)) > jwt.MAX_SIZE - 4
    assert jwt.parse(padded(spare)).claims["a"]
    with pytest.raises(InvalidJWT):
        jwt.parse(padded(spare + 6))


def test_text_of_any_language_is_read_as_written() -> None:
    claims = {"name": 'Zo\u00eb \U0001f600 "\\', "nested": {"list": [1, None, True, 1.5]}}
    for text in (json.dumps(claims), json.dumps(claims, ensure_ascii=False)):
        assert jwt.parse(signed(body=text.encode())).claims == claims


@given(st.text() | st.lists(st.binary().map(b64), min_size=1, max_size=6).map(".".join))
def test_whatever_is_parsed_nothing_but_invalid_jwt_is_raised(text: str) -> None:
    try:
        parsed = jwt.parse(text)
    except InvalidJWT:
        return
    assert (parsed.token, type(parsed.header), type(parsed.claims)) == (text, dict, dict)


# RFC 7515 4.1.9, RFC 8725 3.11: typ


@pytest.mark.parametrize(
    ("typ", "read"),
    [("JWT", "jwt"), ("at+jwt", "at+jwt"), ("application/at+jwt", "at+jwt"), ("Application/AT+JWT", "at+jwt")],
)
def test_the_media_type_is_compared_without_case_and_prefix(typ: str, read: str) -> None:
    assert jwt.media_type(jwt.parse(token(typ=typ))) == read


# RFC 7519 2, 4.1: claims


@pytest.mark.parametrize(
    ("value", "read"), [("0", 0), ("1700000000", 1700000000), ("1700000000.9", 1700000000), ("1e9", 10**9)]
)
def test_a_time_is_a_number_of_seconds(value: str, read: int) -> None:
    assert jwt.seconds(jwt.parse(signed(body=b'{"exp":%s}' % value.encode())).claims, "exp") == read


def test_a_time_that_is_absent_is_none() -> None:
    assert jwt.seconds({}, "exp") is None


@pytest.mark.parametrize(
    "value", ['"1700000000"', "1e400", "-1", "-0.5", "true", "false", "null", "[]", "{}", "9007199254740993", "1e300"]
)
def test_a_time_of_another_kind_is_refused(value: str) -> None:
    with pytest.raises(InvalidJWT):
        jwt.seconds(jwt.parse(signed(body=b'{"exp":%s}' % value.encode())).claims, "exp")


@pytest.mark.parametrize("value", [None, "", 1, True, ["me"], {"a": "b"}])
def test_a_claim_that_has_to_be_text_is_text(value: Any) -> None:
    assert jwt.text({"sub": "me"}, "sub") == "me"
    for claims in ({"sub": value}, {}):
        with pytest.raises(InvalidJWT):
            jwt.text(claims, "sub")


def test_an_audience_is_a_string_or_a_list_of_strings() -> None:
    assert jwt.audiences({"aud": "https://as.example"}) == ("https://as.example",)
    assert jwt.audiences({"aud": ["a", "b"]}) == ("a", "b")


@pytest.mark.parametrize("value", [None, 1, True, [], [1], ["a", None], ["a", ["b"]], {"a": "b"}])
def test_an_audience_of_another_shape_is_refused(value: Any) -> None:
    for claims in ({"aud": value}, {}):
        with pytest.raises(InvalidJWT):
            jwt.audiences(claims)


# RFC 7517 5: key sets of other parties


def members(name: str, **more: Any) -> dict[str, Any]:
    return {**key(name).as_dict(private=False), "kid": name, **more}


def read(*keys: Any) -> list[dict[str, Any]]:
    return list(jwt.read_key_set(json.dumps({"keys": keys}).encode())["keys"])


@pytest.mark.parametrize("name", ["rsa", "p256", "p384", "ed25519"])
def test_a_public_key_keeps_the_members_that_count(name: str) -> None:
    sent = members(name, alg="X", use="sig")
    assert read({**sent, "x5t": "AAAA", "key_ops": ["verify"], "comment": {"a": 1}}) == [sent]


def test_a_public_key_keeps_its_own_certificate_without_the_chain() -> None:
    assert read(members("p256", x5c=["AAAA", "BBBB"])) == [members("p256", x5c=["AAAA"])]


@pytest.mark.parametrize("chain", [None, "AAAA", [], [None], [1], [["AAAA"]], ["A-_A"], ["AA AA"], ["A" * 12_000], {}])
def test_a_key_with_a_malformed_certificate_is_left_out(chain: Any) -> None:
    assert read(members("p256"), members("p384", x5c=chain)) == [members("p256")]


def test_keys_to_encrypt_to_are_those_that_are_not_for_signatures() -> None:
    keys = [members("p256", use="enc"), members("rsa", use="sig"), members("p384"), members("rsa", use="other")]
    read_for_encryption = jwt.read_key_set(json.dumps({"keys": keys}).encode(), "enc")["keys"]
    assert read_for_encryption == [keys[0], keys[2]]


def test_a_key_without_an_identifier_is_taken() -> None:
    assert "kid" not in read(key("p256").as_dict(private=False))[0]


UNUSABLE = {
    "RSA of 1024 bits": lambda: {**_short(), "kid": "short"},
    "RSA of 1024 bits behind zeros": lambda: {
        **_short(),
        "n": b64(b"\0" * 200 + urlsafe_b64decode(_short()["n"] + "==")),
    },
    "RSA with its private half": lambda: members("rsa", d="AQAB"),
    "RSA beyond all size": lambda: members("rsa", n="x" * 2000),
    "RSA of no number": lambda: members("rsa", n="!" * 400),
    "RSA without an exponent": lambda: {"kty": "RSA", "n": members("rsa")["n"]},
    "EC with its private half": lambda: members("p256", d="AQAB"),
    "EC of another curve": lambda: members("p256", crv="secp256k1"),
    "EC without y": lambda: {"kty": "EC", "crv": "P-256", "x": "AAAA"},
    "Ed448": lambda: members("ed448"),
    "a shared secret": lambda: {"kty": "oct", "k": b64(SECRET.encode())},
    "a key for encryption": lambda: members("p256", use="enc"),
    "an unknown kind": lambda: {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
    "a kind that is a list": lambda: {"kty": ["EC"]},
    "an identifier that is a number": lambda: members("p256", kid=1),
    "a curve that is a list": lambda: members("p256", crv=["P-256"]),
    "an empty object": dict,
    "text": lambda: "key",
    "null": lambda: None,
}


def _short() -> dict[str, str]:
    numbers = serialization.load_pem_private_key(pem("rsa_short").encode(), None).public_key().public_numbers()
    return {"kty": "RSA", "n": b64(numbers.n.to_bytes(128)), "e": "AQAB"}


@pytest.mark.parametrize("make", UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_is_of_no_use_is_left_out(make: Any) -> None:
    assert [one["kid"] for one in read(make(), members("p256"))] == ["p256"]
    with pytest.raises(InvalidJWT):
        read(make())


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b'{"keys":[],"keys":[]}', b"\xff", b'{"keys":' + b"[" * 300],
)
def test_a_document_that_is_no_key_set_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJWT):
        jwt.read_key_set(body)


def test_a_key_set_of_too_many_keys_is_refused() -> None:
    assert len(read(*[members("p256", kid=str(number)) for number in range(40)])) == 40
    with pytest.raises(InvalidJWT):
        read(*[members("p256", kid=str(number)) for number in range(41)])
