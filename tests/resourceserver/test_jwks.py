import threading

import pytest

from resourceserver import Fetcher, IssuerMetadata, KeySource, Verifier
from resourceserver.errors import InvalidTokenError, UnavailableError
from resourceserver.jwks import read_key_set
from tests.resourceserver.conftest import AUDIENCE, Clock, Mint
from tests.resourceserver.signing import claims, header, private_key, public_jwk, signed
from tests.resourceserver.stub_issuer import KEYS, METADATA, OPENID, StubIssuer, replying


def test_nothing_is_fetched_before_the_first_token(issuer: StubIssuer, by_keys: Verifier) -> None:
    assert by_keys.issuer == issuer.url
    assert not issuer.hits


def test_keys_are_fetched_once_for_many_tokens(issuer: StubIssuer, by_keys: Verifier, mint: Mint) -> None:
    for number in range(20):
        by_keys.check(mint(jti=str(number)))
    assert issuer.hits == {METADATA: 1, KEYS: 1}


def test_many_threads_share_one_fetch(issuer: StubIssuer, by_keys: Verifier, mint: Mint) -> None:
    issuer.delay = 0.1
    tokens = [mint(jti=str(number)) for number in range(20)]
    good: list[str] = []
    threads = [
        threading.Thread(target=lambda token=token: good.append(by_keys.check(token).subject)) for token in tokens
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(good) == 20
    assert issuer.hits == {METADATA: 1, KEYS: 1}


@pytest.mark.parametrize(
    ("headers", "age", "fetches"),
    [
        ({}, 299, 1),
        ({}, 301, 2),
        ({"Cache-Control": "public, max-age=900"}, 899, 1),
        ({"Cache-Control": "public, max-age=900"}, 901, 2),
        ({"Cache-Control": "max-age=1"}, 59, 1),
        ({"Cache-Control": "max-age=1"}, 61, 2),
        ({"Cache-Control": "max-age=99999999"}, 3601, 2),
        ({"Cache-Control": "no-store"}, 299, 1),
        ({"Cache-Control": "max-age=-5"}, 299, 1),
    ],
)
def test_keys_live_as_long_as_the_issuer_says_within_bounds(
    issuer: StubIssuer, by_keys: Verifier, mint: Mint, clock: Clock, headers: dict[str, str], age: int, fetches: int
) -> None:
    issuer.keys_headers = headers
    by_keys.check(mint(exp=int(clock.now) + 9999))
    clock.now += age
    by_keys.check(mint(exp=int(clock.now) + 9999))
    assert issuer.hits[KEYS] == fetches


def test_a_new_key_is_found_by_one_more_fetch(issuer: StubIssuer, by_keys: Verifier, mint: Mint) -> None:
    by_keys.check(mint())
    issuer.keys.append(public_jwk("rsa_other"))
    assert by_keys.check(mint("rsa_other"))
    assert issuer.hits[KEYS] == 2


def test_a_flood_of_unknown_kids_causes_one_fetch_a_minute(
    issuer: StubIssuer, by_keys: Verifier, mint: Mint, clock: Clock
) -> None:
    by_keys.check(mint())
    for number in range(300):
        with pytest.raises(InvalidTokenError):
            by_keys.check(mint("p256", {"kid": f"unknown-{number}"}))
    assert issuer.hits[KEYS] == 2
    clock.now += 61
    for number in range(50):
        with pytest.raises(InvalidTokenError):
            by_keys.check(mint("p256", {"kid": f"unknown-{number}"}))
    assert issuer.hits[KEYS] == 3


def test_an_unknown_kid_as_the_very_first_token_causes_one_fetch(
    issuer: StubIssuer, by_keys: Verifier, mint: Mint
) -> None:
    with pytest.raises(InvalidTokenError):
        by_keys.check(mint(head={"kid": "unknown"}))
    assert issuer.hits[KEYS] == 1


def test_a_removed_key_stops_counting_when_the_keys_are_due(
    issuer: StubIssuer, by_keys: Verifier, mint: Mint, clock: Clock
) -> None:
    token = mint(exp=int(clock.now) + 9999)
    by_keys.check(token)
    issuer.keys = [public_jwk("p256")]
    clock.now += 301
    with pytest.raises(InvalidTokenError):
        by_keys.check(token)


def test_the_issuer_may_be_away_at_the_start_and_come_later(
    issuer: StubIssuer, by_keys: Verifier, mint: Mint, clock: Clock
) -> None:
    issuer.faults = {METADATA: replying(b"", status=500), OPENID: replying(b"", status=500)}
    with pytest.raises(UnavailableError):
        by_keys.check(mint())
    issuer.faults = {}
    with pytest.raises(UnavailableError):
        by_keys.check(mint())
    clock.now += 3
    assert by_keys.check(mint())


def test_the_last_keys_are_used_while_the_issuer_is_away_for_a_bounded_time(
    issuer: StubIssuer, by_keys: Verifier, mint: Mint, clock: Clock
) -> None:
    token = mint(exp=int(clock.now) + 99_999)
    by_keys.check(token)
    issuer.faults = {KEYS: replying(b"", status=500)}
    clock.now += 301
    assert by_keys.check(token)
    clock.now += 3_500
    assert by_keys.check(token)
    clock.now += 200
    with pytest.raises(UnavailableError):
        by_keys.check(token)
    issuer.faults = {}
    clock.now += 11
    assert by_keys.check(token)


def test_an_unknown_kid_while_the_issuer_is_away_is_no_verdict(
    issuer: StubIssuer, by_keys: Verifier, mint: Mint
) -> None:
    by_keys.check(mint())
    issuer.faults = {KEYS: replying(b"", status=500)}
    for _ in range(3):
        with pytest.raises(UnavailableError):
            by_keys.check(mint("rsa_other"))
    assert issuer.hits[KEYS] == 2


def test_nobody_waits_for_a_refresh_while_there_are_keys(
    issuer: StubIssuer, by_keys: Verifier, mint: Mint, clock: Clock
) -> None:
    tokens = [mint(jti=str(number), exp=int(clock.now) + 9999) for number in range(2)]
    by_keys.check(tokens[0])
    clock.now += 400
    fetching, go_on = threading.Event(), threading.Event()

    def slow(to: object) -> None:
        fetching.set()
        go_on.wait(5)
        replying({"keys": issuer.keys})(to)

    issuer.faults = {KEYS: slow}
    fetcher = threading.Thread(target=by_keys.check, args=(tokens[0],))
    fetcher.start()
    assert fetching.wait(5)
    assert by_keys.check(tokens[1])
    go_on.set()
    fetcher.join()
    assert issuer.hits[KEYS] == 2


@pytest.mark.parametrize(
    "fault",
    [
        replying(b"", status=500),
        replying(b"<html>", content_type="text/html"),
        replying(b"{"),
        replying([]),
        replying({}),
        replying({"keys": "none"}),
        replying({"keys": []}),
        replying({"keys": [1, None, "x"]}),
        replying({"keys": [{"kty": "RSA"}]}),
        replying({"keys": [{"kid": str(n)} for n in range(101)]}),
        replying(b'{"keys":[],"keys":[]}'),
        replying(b"x" * 200_000),
        replying(b"", status=302, headers={"Location": "/.well-known/oauth-authorization-server"}),
        replying(b"{}", headers={"Content-Encoding": "gzip"}),
    ],
)
def test_a_key_document_that_makes_no_sense_is_no_verdict_on_a_token(
    issuer: StubIssuer, by_keys: Verifier, mint: Mint, fault: object
) -> None:
    issuer.faults = {KEYS: fault}
    with pytest.raises(UnavailableError):
        by_keys.check(mint())


def test_keys_of_two_issuers_are_kept_apart(issuer: StubIssuer, fetcher: Fetcher, mint: Mint) -> None:
    with StubIssuer() as other:
        other.keys = [public_jwk("rsa_other", kid="rsa")]
        first, second = (
            Verifier(each.url, AUDIENCE, keys=KeySource(IssuerMetadata(each.url, fetcher), fetcher))
            for each in (issuer, other)
        )
        theirs = signed(header(), claims(other.url, AUDIENCE), "rsa_other")
        assert first.check(mint())
        assert second.check(theirs)
        for verifier, token in (
            (first, theirs),
            (second, mint()),
            (first, signed(header(), claims(issuer.url, AUDIENCE), "rsa_other")),
        ):
            with pytest.raises(InvalidTokenError):
                verifier.check(token)


def test_a_fixed_address_of_the_keys_spares_the_discovery(issuer: StubIssuer, fetcher: Fetcher, mint: Mint) -> None:
    source = KeySource(IssuerMetadata(issuer.url, fetcher), fetcher, jwks_uri=issuer.url + KEYS)
    assert Verifier(issuer.url, AUDIENCE, keys=source).check(mint())
    assert issuer.hits == {KEYS: 1}
    with pytest.raises(ValueError):
        KeySource(IssuerMetadata(issuer.url, fetcher), fetcher, jwks_uri="http://as.example/jwks")


# What may be in a key set (RFC 7517 4, RFC 8725 3.1).


def test_a_key_is_usable_for_its_own_algorithm_only() -> None:
    def names(jwk: dict[str, object]) -> set[str]:
        return {alg for _, alg in read_key_set({"keys": [jwk]})}

    assert names(public_jwk("rsa")) == {"RS256"}
    assert names(public_jwk("rsa", alg=None)) == {"RS256", "PS256"}
    assert names(public_jwk("p256", alg=None)) == {"ES256"}
    assert names(public_jwk("p384", alg=None)) == {"ES384"}
    assert names(public_jwk("ed25519")) == {"EdDSA", "Ed25519"}
    assert names(public_jwk("ed25519", alg="Ed25519")) == {"EdDSA", "Ed25519"}
    assert names(public_jwk("ed25519", alg=None, key_ops=["verify"], use=None)) == {"EdDSA", "Ed25519"}


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "oct", "kid": "a", "alg": "HS256"},
        public_jwk("rsa", kid="") | {"kid": ""},
        public_jwk("rsa") | {"kid": 1},
        public_jwk("rsa") | {"kid": "k" * 257},
        {name: value for name, value in public_jwk("rsa").items() if name != "kid"},
        public_jwk("rsa", use="enc"),
        public_jwk("rsa", key_ops=["sign"]),
        public_jwk("rsa", key_ops="verify"),
        public_jwk("rsa", alg="HS256"),
        public_jwk("rsa", alg="ES256"),
        public_jwk("rsa", alg="RSA-OAEP"),
        public_jwk("rsa", alg=["RS256"]),
        public_jwk("rsa", d="AQAB"),
        public_jwk("rsa", n="A" * 2000),
        public_jwk("rsa", n=5),
        public_jwk("rsa", n="AQAB"),
        public_jwk("rsa_short"),
        public_jwk("p256", alg="ES384"),
        public_jwk("p256", x="AA"),
        public_jwk("p256", y="A" * 43),
        public_jwk("p256", crv="P-384"),
        public_jwk("p256", crv="P-192", alg=None),
        public_jwk("p256", crv="secp256k1", alg=None),
        public_jwk("p256", crv=["P-256"]),
        public_jwk("ed25519", crv="Ed448", alg=None),
        public_jwk("ed25519", crv="X25519", alg=None),
        public_jwk("ed25519", kty="EC", alg=None),
        public_jwk("ed25519", x="AA"),
        {},
        [],
        None,
    ],
)
def test_a_key_that_must_not_verify_is_left_out(jwk: object) -> None:
    assert read_key_set({"keys": [jwk]}) == {}


def test_a_private_key_in_the_set_is_left_out() -> None:
    from jwt.algorithms import RSAAlgorithm

    private = RSAAlgorithm.to_jwk(private_key("rsa"), as_dict=True) | {"kid": "rsa", "alg": "RS256"}
    private.pop("key_ops")
    assert read_key_set({"keys": [private]}) == {}


def test_what_two_keys_claim_belongs_to_neither() -> None:
    assert read_key_set({"keys": [public_jwk("rsa"), public_jwk("rsa_other", kid="rsa")]}) == {}
    both = read_key_set({"keys": [public_jwk("rsa", kid="k"), public_jwk("p256", kid="k")]})
    assert set(both) == {("k", "RS256"), ("k", "ES256")}
