import threading

import pytest

from resourceserver import IntrospectionClient, KeySource, Verifier
from resourceserver.errors import (
    InsufficientScopeError,
    InsufficientUserAuthenticationError,
    InvalidRequestError,
    InvalidTokenError,
    MissingTokenError,
    UnavailableError,
)
from resourceserver.jwt import MAX_TOKEN
from tests.resourceserver.conftest import AUDIENCE, Clock, Mint
from tests.resourceserver.stub_issuer import INTROSPECTION, KEYS, StubIssuer, replying


@pytest.fixture
def opaque(issuer: StubIssuer) -> str:
    issuer.answers["opaque"] = issuer.active(AUDIENCE)
    return "opaque"


# RFC 6750 2.1: how the token is sent.


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer   "])
def test_the_scheme_is_read_in_any_case(by_asking: Verifier, opaque: str, scheme: str) -> None:
    assert by_asking.verify(f"{scheme} {opaque}")
    assert by_asking.verify([f"{scheme} {opaque}"])


@pytest.mark.parametrize(
    "nothing", [None, [], (), "", "Basic YTpi", "Digest x", "Negotiate", "xBearer opaque", "opaque"]
)
def test_a_request_without_bearer_credentials_has_no_token(by_asking: Verifier, nothing: str | None) -> None:
    with pytest.raises(MissingTokenError):
        by_asking.verify(nothing)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer opaque,Bearer opaque",
        "Bearer opaque, Bearer other",
        "Bearer opaque other",
        "Bearer opaque ",
        "Bearer\topaque",
        "Bearer op\naque",
        "Bearer opa=que",
        "Bearer öpaque",
        'Bearer "opaque"',
        "Bearer opaque\r\nX-A: b",
        "Bearer=opaque",
        "Bearer opaque\0",
    ],
)
def test_malformed_credentials_are_an_invalid_request(by_asking: Verifier, opaque: str, header: str) -> None:
    with pytest.raises(InvalidRequestError):
        by_asking.verify(header)


def test_two_authorization_headers_are_an_invalid_request(by_asking: Verifier, opaque: str) -> None:
    for pair in (["Bearer opaque", "Bearer opaque"], ["Bearer opaque", "Basic YTpi"], ["Basic YTpi", "Bearer opaque"]):
        with pytest.raises(InvalidRequestError):
            by_asking.verify(pair)


def test_a_token_sent_in_two_ways_is_an_invalid_request(by_asking: Verifier, opaque: str) -> None:
    with pytest.raises(InvalidRequestError):
        by_asking.verify(f"Bearer {opaque}", other_methods=True)


@pytest.mark.parametrize("scheme", ["DPoP", "dpop"])
def test_the_scheme_dpop_is_refused(by_asking: Verifier, opaque: str, scheme: str) -> None:
    with pytest.raises(InvalidTokenError):
        by_asking.verify(f"{scheme} {opaque}")


def test_an_oversized_token_is_refused_without_a_question(issuer: StubIssuer, by_asking: Verifier) -> None:
    for size in (MAX_TOKEN + 1, 1_000_000):
        with pytest.raises(InvalidTokenError):
            by_asking.verify("Bearer " + "a" * size)
    assert not issuer.hits


def test_a_token_of_any_text_is_refused_without_an_exception(by_keys: Verifier) -> None:
    for token in ("\ud800", "e\ud800..", "", "é", "\0"):
        with pytest.raises(InvalidTokenError):
            by_keys.check(token)


# Scope, acr, age.


def test_all_scopes_are_needed_and_only_whole_ones_count(issuer: StubIssuer, by_asking: Verifier) -> None:
    issuer.answers |= {"a": issuer.active(AUDIENCE, scope="readall write"), "b": issuer.active(AUDIENCE, scope=None)}
    assert by_asking.verify("Bearer a", scopes=["write"])
    assert by_asking.verify("Bearer b")
    for token, scopes in (("a", ["read"]), ("a", ["write", "read"]), ("b", ["write"]), ("a", ["READALL"])):
        with pytest.raises(InsufficientScopeError) as refused:
            by_asking.verify(f"Bearer {token}", scopes=scopes)
        assert refused.value.scopes == tuple(scopes)


def test_the_authentication_must_be_one_of_those_named(issuer: StubIssuer, by_asking: Verifier) -> None:
    issuer.answers |= {"weak": issuer.active(AUDIENCE, acr="pwd"), "none": issuer.active(AUDIENCE)}
    assert by_asking.verify("Bearer weak", acr=["mfa", "pwd"])
    for token in ("weak", "none"):
        with pytest.raises(InsufficientUserAuthenticationError) as refused:
            by_asking.verify(f"Bearer {token}", acr=["mfa", "phr"], max_age=5)
        assert (refused.value.acr, refused.value.max_age) == (("mfa", "phr"), 5)


def test_the_authentication_must_be_recent_enough(issuer: StubIssuer, by_asking: Verifier, clock: Clock) -> None:
    now = int(clock.now)
    issuer.answers |= {
        "recent": issuer.active(AUDIENCE, auth_time=now - 100),
        "unknown": issuer.active(AUDIENCE),
        "future": issuer.active(AUDIENCE, auth_time=now + 1000),
    }
    assert by_asking.verify("Bearer recent", max_age=102)
    for token, max_age in (("recent", 99), ("unknown", 10**9), ("future", 10**9)):
        with pytest.raises(InsufficientUserAuthenticationError):
            by_asking.verify(f"Bearer {token}", max_age=max_age)


# What is remembered, and for how long.


def test_an_answer_is_used_again_for_the_stated_time_only(
    issuer: StubIssuer, by_asking: Verifier, opaque: str, clock: Clock
) -> None:
    for _ in range(5):
        by_asking.check(opaque)
    assert issuer.hits[INTROSPECTION] == 1
    issuer.answers[opaque] = {"active": False}
    clock.now += 29.9
    assert by_asking.check(opaque)
    clock.now += 0.2
    with pytest.raises(InvalidTokenError):
        by_asking.check(opaque)


def test_no_answer_outlives_the_token(issuer: StubIssuer, by_asking: Verifier, clock: Clock) -> None:
    issuer.answers["short"] = issuer.active(AUDIENCE, exp=int(clock.now) + 5)
    by_asking.check("short")
    issuer.answers["short"] = {"active": False}
    clock.now += 6
    with pytest.raises(InvalidTokenError):
        by_asking.check("short")


def test_a_checked_jwt_is_remembered_and_forgotten_at_its_end(
    issuer: StubIssuer, by_keys: Verifier, mint: Mint, clock: Clock
) -> None:
    token = mint(exp=int(clock.now) + 10)
    assert by_keys.check(token) is by_keys.check(token)
    clock.now += 80
    with pytest.raises(InvalidTokenError):
        by_keys.check(token)


def test_a_fresh_check_asks_each_time_and_what_it_learns_counts(
    issuer: StubIssuer, by_asking: Verifier, opaque: str
) -> None:
    for _ in range(3):
        by_asking.check(opaque, fresh=True)
    assert issuer.hits[INTROSPECTION] == 3
    issuer.answers[opaque] = {"active": False}
    assert by_asking.check(opaque)
    with pytest.raises(InvalidTokenError):
        by_asking.check(opaque, fresh=True)
    with pytest.raises(InvalidTokenError):
        by_asking.check(opaque)


def test_a_cache_time_of_nothing_asks_each_time(
    issuer: StubIssuer, introspection: IntrospectionClient, opaque: str, clock: Clock
) -> None:
    verifier = Verifier(issuer.url, AUDIENCE, introspection=introspection, cache_seconds=0, clock=clock)
    for _ in range(3):
        verifier.check(opaque)
    with pytest.raises(InvalidTokenError):
        verifier.check("unknown")
    with pytest.raises(InvalidTokenError):
        verifier.check("unknown")
    assert issuer.hits[INTROSPECTION] == 5


def test_a_refused_token_is_remembered_for_five_seconds(issuer: StubIssuer, by_asking: Verifier, clock: Clock) -> None:
    for _ in range(5):
        with pytest.raises(InvalidTokenError):
            by_asking.check("unknown")
    assert issuer.hits[INTROSPECTION] == 1
    issuer.answers["unknown"] = issuer.active(AUDIENCE)
    clock.now += 5.1
    assert by_asking.check("unknown")


def test_a_flood_of_bad_tokens_pushes_no_good_one_out(
    issuer: StubIssuer, introspection: IntrospectionClient, opaque: str, clock: Clock
) -> None:
    verifier = Verifier(issuer.url, AUDIENCE, introspection=introspection, cache_size=5, clock=clock)
    verifier.check(opaque)
    for number in range(20):
        with pytest.raises(InvalidTokenError):
            verifier.check(f"bad-{number}")
    asked = issuer.hits[INTROSPECTION]
    assert verifier.check(opaque)
    assert issuer.hits[INTROSPECTION] == asked


def test_no_token_is_kept_in_memory_by_the_caches(issuer: StubIssuer, by_asking: Verifier, opaque: str) -> None:
    by_asking.check(opaque)
    with pytest.raises(InvalidTokenError):
        by_asking.check("unknown")
    kept = repr((by_asking._good._entries, by_asking._bad._entries, by_asking._introspection._asking))
    assert opaque not in kept.replace("'opaque'", "")
    assert "unknown" not in kept


def test_a_failed_question_leaves_a_remembered_answer_alone(
    issuer: StubIssuer, by_asking: Verifier, opaque: str
) -> None:
    by_asking.check(opaque)
    issuer.faults = {INTROSPECTION: replying({}, status=500)}
    with pytest.raises(UnavailableError):
        by_asking.check(opaque, fresh=True)
    assert by_asking.check(opaque)


def test_many_threads_get_the_right_answers(issuer: StubIssuer, by_asking: Verifier) -> None:
    for number in range(20):
        issuer.answers[f"t{number}"] = issuer.active(AUDIENCE, sub=f"user-{number}")
    wrong: list[str] = []

    def work() -> None:
        numbers = list(range(20)) * 5
        wrong.extend(f"t{each}" for each in numbers if by_asking.check(f"t{each}").subject != f"user-{each}")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Which way a token goes.


def test_both_ways_together_keys_for_jwts_and_questions_for_the_rest(
    issuer: StubIssuer, keys: KeySource, introspection: IntrospectionClient, opaque: str, mint: Mint, clock: Clock
) -> None:
    verifier = Verifier(issuer.url, AUDIENCE, keys=keys, introspection=introspection, clock=clock)
    assert verifier.check(opaque).checked_by == "introspection"
    assert verifier.check(mint()).checked_by == "keys"
    with pytest.raises(InvalidTokenError):
        verifier.check(mint("rsa_other", {"kid": "rsa"}))
    assert len(issuer.seen) == 1


def test_a_fresh_check_of_a_jwt_asks_the_issuer(
    issuer: StubIssuer, keys: KeySource, introspection: IntrospectionClient, mint: Mint, clock: Clock
) -> None:
    verifier = Verifier(issuer.url, AUDIENCE, keys=keys, introspection=introspection, clock=clock)
    token = mint()
    assert verifier.check(token).checked_by == "keys"
    with pytest.raises(InvalidTokenError):
        verifier.check(token, fresh=True)
    issuer.answers[token] = issuer.active(AUDIENCE)
    fresh = verifier.check(token, fresh=True)
    assert (fresh.checked_by, fresh.format) == ("introspection", "jwt")


def test_without_jwts_a_jwt_is_asked_about_too(issuer: StubIssuer, by_asking: Verifier, mint: Mint) -> None:
    token = mint()
    issuer.answers[token] = issuer.active(AUDIENCE)
    assert by_asking.check(token).checked_by == "introspection"
    assert issuer.hits[KEYS] == 0


def test_without_introspection_an_opaque_token_is_invalid(issuer: StubIssuer, by_keys: Verifier) -> None:
    with pytest.raises(InvalidTokenError):
        by_keys.check("opaque")
    assert not issuer.hits


def test_a_fresh_check_that_cannot_be_had_is_a_mistake_of_the_programmer(by_keys: Verifier, mint: Mint) -> None:
    with pytest.raises(ValueError):
        by_keys.check(mint(), fresh=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {"jwt": False},
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"cache_seconds": -1},
        {"cache_size": 0},
        {"tolerance": 301},
        {"tolerance": -1},
        {"realm": 'a"b'},
        {"realm": "a\r\nb"},
        {"resource_metadata": 'https://api.example/"'},
    ],
)
def test_a_verifier_that_cannot_work_is_refused_at_once(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Verifier("https://as.example", AUDIENCE, **arguments)


def test_an_issuer_or_audience_that_is_none_is_refused_at_once() -> None:
    for issuer, audience in (("http://as.example", AUDIENCE), ("", AUDIENCE), ("https://as.example", "")):
        with pytest.raises(ValueError):
            Verifier(issuer, audience)
