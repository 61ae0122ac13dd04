"""DPoP proofs, as both sides check them (RFC 9449 4.3)."""

import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from resourceserver.dpop import ALGORITHMS, MAX_JTI, MAX_PROOF, NONCE_SECONDS, Nonces, Proof, check
from resourceserver.errors import InvalidProofError
from tests.proofs import RIGHT_KEYS, WRONG, WRONG_AT_RESOURCES, Prover, Wrong, ath
from tests.signing import b64, pem

URL = "https://api.example/things/one"
TOKEN = "an-access-token"
# The proofs of RFC 9449, figures 2 and 13, and the thumbprint of figure 9.
TOKEN_PROOF = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJq"
    "dGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0Ijox"
    "NTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
RESOURCE_PROOF = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJq"
    "dGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNv"
    "dXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqz"
    "hrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
FIGURE_9 = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


@pytest.fixture
def prover() -> Prover:
    return Prover()


def _check(sent: Any, **changes: Any) -> Proof:
    return check(sent, **{"method": "GET", "url": URL, "now": time.time(), "access_token": TOKEN, **changes})


def _good(prover: Prover, **changes: Any) -> str:
    return prover.proof("GET", URL, TOKEN, **changes)


# 4.2 and 7.1: the examples of the specification.


def test_the_proof_of_figure_2_is_good_at_its_time() -> None:
    proof = check(TOKEN_PROOF, method="POST", url="https://server.example.com/token", now=1562262616)
    assert proof == Proof(FIGURE_9, "-BwC3ESc6acc2lTc", 1562262616, None)


def test_the_proof_of_figure_13_is_good_with_its_token() -> None:
    token, url = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU", "https://resource.example.org/protectedresource"
    assert check(RESOURCE_PROOF, method="GET", url=url, now=1562262618, access_token=token).jkt == FIGURE_9
    with pytest.raises(InvalidProofError, match="ath"):
        check(RESOURCE_PROOF, method="GET", url=url, now=1562262618, access_token=token + "x")


# 4.3: what is refused.


@pytest.mark.parametrize(
    "wrong", [*WRONG.values(), *list(WRONG_AT_RESOURCES.values())[:-1]], ids=[*WRONG, *list(WRONG_AT_RESOURCES)[:-1]]
)
def test_a_wrong_proof_is_refused(prover: Prover, wrong: Wrong) -> None:
    assert _check(_good(prover))
    with pytest.raises(InvalidProofError) as refused:
        _check(wrong(prover, "GET", URL, TOKEN))
    assert refused.value.error == "invalid_dpop_proof"
    assert refused.value.reason.isascii()


def test_no_header_and_several_are_refused_1(prover: Prover) -> None:
    assert _check([_good(prover)])
    for sent in ([], (), [_good(prover), _good(prover)], [_good(prover)] * 2):
        with pytest.raises(InvalidProofError):
            _check(sent)


def test_nothing_is_read_of_a_proof_that_is_too_long_2() -> None:
    for text in ("x" * (MAX_PROOF + 1), "é" * 100_000):
        with pytest.raises(InvalidProofError):
            _check(text)


@pytest.mark.parametrize(("name", "algorithm"), RIGHT_KEYS)
def test_each_algorithm_is_taken_with_its_kind_of_key_5(name: str, algorithm: str) -> None:
    prover = Prover(name, algorithm)
    assert _check(_good(prover)).jkt == prover.jkt
    others = [each for each in ALGORITHMS if each != algorithm]
    with pytest.raises(InvalidProofError):
        _check(_good(prover), algorithms=others)


def test_eddsa_and_ed25519_are_two_names_of_one_and_each_is_listed_by_itself_5() -> None:
    assert {"EdDSA", "Ed25519"} <= set(ALGORITHMS)
    assert Prover("ed25519", "EdDSA").jkt == _check(_good(Prover("ed25519", "Ed25519"))).jkt


@pytest.mark.parametrize(("name", "algorithm"), [("rsa", "RS256"), ("p384", "ES384")])
def test_more_algorithms_are_taken_only_where_they_are_named_5(name: str, algorithm: str) -> None:
    prover = Prover(name, algorithm)
    with pytest.raises(InvalidProofError):
        _check(_good(prover))
    assert _check(_good(prover), algorithms=[algorithm]).jkt == prover.jkt


def test_an_algorithm_that_is_not_implemented_is_refused_though_it_is_named_5(prover: Prover) -> None:
    for name in ("HS256", "none", "ES512"):
        with pytest.raises(InvalidProofError):
            _check(_good(prover, head={"alg": name}), algorithms=[name])


def test_members_of_the_key_that_say_nothing_of_its_value_are_ignored_6(prover: Prover) -> None:
    jwk = {**prover.jwk, "kid": "one", "use": "sig", "alg": "ES256", "key_ops": ["verify"], "ext": True, "x5t": "x"}
    assert _check(_good(prover, head={"jwk": jwk})).jkt == prover.jkt


def test_an_exponent_that_makes_work_is_refused_6(prover: Prover) -> None:
    # The same primes, another exponent: the signature itself is good.
    usual = load_pem_private_key(pem("rsa").encode(), None).private_numbers()
    exponent, p, q = 2**40 + 15, usual.p, usual.q
    d = pow(exponent, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(exponent, p * q)
    parts = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
    key = rsa.RSAPrivateNumbers(p, q, d, *parts, public).private_key()
    jwk = {**Prover("rsa").jwk, "e": b64(exponent.to_bytes(6))}
    claims = {"jti": "x", "htm": "GET", "htu": URL, "iat": int(time.time()), "ath": ath(TOKEN)}
    with pytest.raises(InvalidProofError, match="exponent"):
        _check(jwt.encode(claims, key, "PS256", {"typ": "dpop+jwt", "jwk": jwk}))


def test_the_method_is_compared_with_its_case_8(prover: Prover) -> None:
    assert _check(prover.proof("get", URL, TOKEN), method="get")
    for method in ("Get", "GET ", "HEAD", ""):
        with pytest.raises(InvalidProofError):
            _check(_good(prover), method=method)


@pytest.mark.parametrize(
    ("htu", "url"),
    [
        (f"{URL}?a=b", URL),
        (f"{URL}#c", URL),
        (f"{URL}?a=b#c?d", URL),
        (f"{URL}#?/", URL),
        ("HTTPS://API.Example/things/one", URL),
        ("https://api.example:443/things/one", URL),
        ("https://api.example:/things/one", URL),
        (URL, "https://API.example:443/things/one"),
        ("http://127.0.0.1:80/a", "http://127.0.0.1/a"),
        ("http://[::1]:9001/a", "http://[::1]:9001/a"),
        ("https://[::1]:443/a", "https://[::1]/a"),
        ("https://api.example", "https://api.example/"),
        ("https://api.example?a", "https://api.example/"),
        ("https://api.example/a//b/%C3%A9;c=d,e", "https://api.example/a//b/%C3%A9;c=d,e"),
    ],
)
def test_the_url_is_compared_without_query_fragment_case_and_default_port_9(prover: Prover, htu: str, url: str) -> None:
    assert _check(_good(prover, htu=htu), url=url)


@pytest.mark.parametrize(
    ("htu", "url"),
    [
        ("https://api.example:80/a", "https://api.example/a"),
        ("http://api.example:443/a", "http://api.example/a"),
        ("https://api.example:0443/a", "https://api.example/a"),
        ("https://api.example./a", "https://api.example/a"),
        ("https://api.example/A", "https://api.example/a"),
        ("https://api.example/a/", "https://api.example/a"),
        ("https://api.example//a", "https://api.example/a"),
        ("https://api.example/b/../a", "https://api.example/a"),
        ("https://api.example/%61", "https://api.example/a"),
        ("https://api.example/%c3%a9", "https://api.example/%C3%A9"),
        ("https://api.example/é", "https://api.example/%C3%A9"),
        ("https://api.example\\a", "https://api.example/a"),
        ("https:/api.example/a", "https://api.example/a"),
        ("https:///a", "https://api.example/a"),
        ("//api.example/a", "https://api.example/a"),
        ("https://user:password@api.example/a", "https://api.example/a"),
        ("https://api.example@other.example/a", "https://other.example/a"),
        ("https://api.example/\ta", "https://api.example/a"),
        ("\u00a0https://api.example/a", "https://api.example/a"),
        # The Kelvin sign in small letters is a k.
        ("https://boo\u212a.example/a", "https://book.example/a"),
    ],
)
def test_nothing_else_of_the_url_may_differ_9(prover: Prover, htu: str, url: str) -> None:
    with pytest.raises(InvalidProofError):
        _check(_good(prover, htu=htu), url=url)


@pytest.mark.parametrize("seconds", [-60, -10, 0, 10, 60])
def test_a_proof_is_good_a_minute_before_and_after_it_was_made_11(prover: Prover, seconds: int) -> None:
    assert _check(_good(prover, iat=1_800_000_000), now=1_800_000_000 + seconds).iat == 1_800_000_000


@pytest.mark.parametrize("seconds", [-3600, -61, 61, 3600])
def test_and_not_a_second_more_11(prover: Prover, seconds: int) -> None:
    with pytest.raises(InvalidProofError):
        _check(_good(prover, iat=1_800_000_000), now=1_800_000_000 + seconds)


def test_a_proof_has_to_be_remembered_for_as_long_as_it_is_good(prover: Prover) -> None:
    text = _good(prover, iat=1_800_000_000)
    proof = _check(text, now=1_800_000_000)
    assert _check(text, now=proof.expires_at - 1)
    with pytest.raises(InvalidProofError):
        _check(text, now=proof.expires_at)


def test_true_is_no_time(prover: Prover) -> None:
    with pytest.raises(InvalidProofError):
        _check(_good(prover, iat=True), now=1)


def test_a_time_may_have_a_fraction(prover: Prover) -> None:
    # RFC 7519 2: a NumericDate need not be an integer.
    assert _check(_good(prover, iat=1_800_000_000.75), now=1_800_000_000).iat == 1_800_000_000


def test_what_other_claims_say_does_not_count(prover: Prover) -> None:
    claims = {"exp": 1, "nbf": 2**40, "aud": 1, "iss": [], "sub": {}, "scope": None, "x": [1]}
    assert _check(_good(prover, **claims))


def test_the_hash_of_a_token_counts_only_beside_a_token_12(prover: Prover) -> None:
    assert _check(_good(prover, ath="x"), access_token=None)
    with pytest.raises(InvalidProofError):
        _check(_good(prover, ath="x"))


def test_the_identifier_is_bounded_and_what_is_remembered_has_one_length(prover: Prover) -> None:
    short, long = (_check(_good(prover, jti=text)) for text in ("x", "\N{SNOWMAN}" * MAX_JTI))
    assert len(short.digest) == len(long.digest) == 64
    other = _check(_good(Prover("p256_other"), jti="x"))
    assert len({short.digest, long.digest, other.digest}) == 3
    assert _check(_good(prover, jti="x")).digest == short.digest


def test_the_nonce_is_handed_on_and_not_judged(prover: Prover) -> None:
    assert _check(_good(prover, nonce="n")).nonce == "n"
    assert _check(_good(prover)).nonce is None


@given(st.text() | st.binary().map(lambda data: f"{b64(data)}.{b64(data)}.{b64(data)}"))
def test_no_text_is_more_than_refused(text: str) -> None:
    with pytest.raises(InvalidProofError):
        _check(text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["typ", "alg", "jwk", "kid"]), _VALUES, min_size=1),
    st.dictionaries(st.sampled_from(["jti", "htm", "htu", "iat", "ath", "nonce"]), _VALUES),
    st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d"]), _VALUES),
)
def test_no_member_of_any_type_is_more_than_refused(
    head: dict[str, Any], claims: dict[str, Any], jwk: dict[str, Any]
) -> None:
    prover = Prover()
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": {**prover.jwk, **jwk}, **head}
    payload = {"jti": "x", "htm": "GET", "htu": URL, "iat": int(time.time()), **claims}
    text = prover.sign(json.dumps(header).encode(), json.dumps(payload).encode())
    with pytest.raises(InvalidProofError):
        _check(text)


# 8, 9: nonces.


def test_a_nonce_is_good_for_its_minute_and_the_next() -> None:
    nonces, given_out = Nonces(b"k" * 32), 100 * NONCE_SECONDS
    nonce = nonces.current(given_out)
    assert nonces.current(given_out + NONCE_SECONDS - 1) == nonce
    for later in (0, NONCE_SECONDS - 1, NONCE_SECONDS, 2 * NONCE_SECONDS - 1):
        assert nonces.accepts(nonce, given_out + later)
    assert not nonces.accepts(nonce, given_out + 2 * NONCE_SECONDS)
    # A process whose clock is behind takes what another one has just given out.
    assert nonces.accepts(nonce, given_out - NONCE_SECONDS)
    assert not nonces.accepts(nonce, given_out - NONCE_SECONDS - 1)


def test_a_nonce_counts_where_it_came_from_and_cannot_be_guessed() -> None:
    here, there, now = Nonces(b"k" * 32), Nonces(b"l" * 32), time.time()
    nonce = here.current(now)
    assert Nonces(b"k" * 32).accepts(nonce, now)
    # 8.1: NQCHAR; 256 bits.
    assert len(nonce) == 43
    assert nonce.replace("-", "").replace("_", "").isalnum()
    for wrong in (None, "", there.current(now), nonce + "=", nonce[:-1], nonce.upper(), "é", "0", str(int(now) // 60)):
        assert not here.accepts(wrong, now)


def test_a_short_key_makes_no_nonces() -> None:
    with pytest.raises(ValueError):
        Nonces(b"k" * 31)
