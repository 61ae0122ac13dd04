"""The key ring: what it signs, what it publishes and for how long, on the real store."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jws
from joserfc.jwk import KeySet, import_key

from authserver import clock, jwt, keys
from authserver.clock import HOUR, MINUTE, SECOND, now
from authserver.crypto import Sealer
from authserver.keys import ALGORITHMS, KeyRingError
from authserver.records import Resource
from tests.rings import CLAIMS, EVENT, SECRET, World, counts, key_world, kids, published, refreshed, signer
from tests.signing import pem, raw


@pytest.fixture
def world(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with key_world(database_url, monkeypatch) as made:
        yield made


# RFC 7515 3.1: what is signed


@pytest.mark.parametrize(("algorithm", "typ"), [*product(ALGORITHMS, ["JWT", "at+jwt", "logout+jwt"])])
def test_what_is_signed_is_read_by_two_other_libraries(world: World, algorithm: str, typ: str):
    kid = world.begin()[algorithm]
    ring = world.process()
    token = ring.sign(algorithm, typ, CLAIMS)
    public = next(key for key in published(ring) if key["kid"] == kid)
    decoded = pyjwt.decode_complete(token, pyjwt.PyJWK(public), algorithms=[algorithm])
    assert decoded["header"] == {"alg": algorithm, "kid": kid, "typ": typ}
    assert decoded["payload"] == CLAIMS
    found = jws.deserialize_compact(token, KeySet.import_key_set({"keys": published(ring)}), [algorithm])
    assert (found.headers(), json.loads(found.payload)) == ({"alg": algorithm, "kid": kid, "typ": typ}, CLAIMS)
    assert counts(ring, token)


def test_an_elliptic_signature_has_one_size_whatever_its_numbers(world: World):
    # RFC 7518 3.4: a number that begins with zeros keeps them. Of 128 signatures one has such a number.
    world.begin()
    ring = world.process()
    for number in range(5000):
        token = ring.sign("ES256", "JWT", {"n": number})
        octets = urlsafe_b64decode(token.rpartition(".")[2] + "==")
        assert len(octets) == 64
        if 0 in (octets[0], octets[32]):
            break
    else:
        pytest.fail("no number began with a zero")
    assert ring.verify(jwt.parse(token)) == {"n": number}


def test_a_key_is_named_by_its_thumbprint_and_so_the_same_after_a_restart(world: World):
    made = world.begin()
    for public in published(world.process()):
        # RFC 7638 3
        assert public["kid"] == import_key(public).thumbprint() == made[public["alg"]]
    assert kids(world.process()) == kids(world.process())


# RFC 7517 5, 9: the published set


def test_the_published_set_holds_public_signature_keys_only(world: World):
    world.begin()
    world.rotate()
    public = published(world.process())
    assert {(key["kty"], key["alg"], key["use"]) for key in public} == {("RSA", "RS256", "sig"), ("EC", "ES256", "sig")}
    assert {frozenset(key) for key in public} == {
        frozenset({"kty", "kid", "use", "alg", "n", "e"}),
        frozenset({"kty", "kid", "use", "alg", "crv", "x", "y"}),
    }
    assert len({key["kid"] for key in public}) == len(public) == 4


def test_the_published_set_is_in_one_order_newest_signer_first(world: World):
    first, second = world.begin(), world.rotate()
    assert kids(world.process()) == [second["RS256"], first["RS256"], second["ES256"], first["ES256"]]
    assert world.process().public_set() == world.process().public_set()


def test_the_etag_is_strong_and_changes_with_the_set(world: World):
    world.begin()
    ring = world.process()
    before = ring.public_set()
    assert before.etag.startswith('"')
    assert before.etag.endswith('"')
    assert len(before.etag) == 34
    assert ring.public_set() is before
    world.rotate()
    assert refreshed(ring).public_set().etag != before.etag


# States follow from times


def test_a_key_goes_through_its_states_by_the_clock_alone(world: World):
    old = world.add("ES256", retires_at=3 * HOUR).kid
    new = world.add("ES256", publishes_at=HOUR, signs_at=2 * HOUR).kid
    third = world.add("ES256", publishes_at=20 * HOUR, signs_at=20 * HOUR, gone_at=20 * HOUR).kid
    world.store.keys.set_times(old, now() + 3 * HOUR, now() + 4 * HOUR, EVENT)
    world.add("RS256")
    ring = world.process()
    token = ring.sign("ES256", "JWT", CLAIMS)
    for hours, signing, listed in (
        (0.9, old, {old}),  # the new one is planned
        (1.1, old, {old, new}),  # next
        (2.1, new, {old, new}),  # current; the old one could still sign
        (3.1, new, {old, new}),  # the old one is retired
        (4.1, new, {new}),  # gone
        (20.1, new, {new}),
    ):
        clock.shift(hours * 3600)
        assert signer(ring) == signing
        assert {one["kid"] for one in published(ring) if one["alg"] == "ES256"} == listed
        assert counts(ring, token) is (old in listed)
        assert third not in listed


def test_a_token_of_a_key_that_is_not_published_yet_does_not_count(world: World):
    world.begin()
    planned = world.add("ES256", publishes_at=HOUR, signs_at=HOUR)
    ring = world.process()
    head = json.dumps({"alg": "ES256", "kid": planned.kid}).encode()
    token = raw(head, json.dumps(CLAIMS).encode(), "ES256", pem("p256_other"))
    assert not counts(ring, token)
    clock.shift(3601)
    assert counts(ring, token)


def test_nothing_is_signed_when_every_key_is_retired(world: World):
    world.add("ES256", retires_at=HOUR)
    world.add("RS256")
    ring = world.process()
    clock.shift(3601)
    with pytest.raises(KeyRingError, match="key rotate"):
        ring.sign("ES256", "JWT", CLAIMS)
    assert signer(ring, "RS256")


# Rotation


@pytest.mark.parametrize(("soon", "delay"), [(False, 24 * HOUR), (True, 10 * MINUTE)])
def test_the_next_key_is_published_at_once_and_signs_later(world: World, *, soon: bool, delay: int):
    first = world.begin()
    ring = world.process()
    token = ring.sign("ES256", "JWT", CLAIMS)
    second = world.rotate(soon=soon)
    refreshed(ring)
    life = 600 * SECOND + 10 * MINUTE
    for after, names, listed in (
        (0, first, {first["ES256"], second["ES256"]}),
        (delay - MINUTE, first, {first["ES256"], second["ES256"]}),
        (delay + MINUTE, second, {first["ES256"], second["ES256"]}),
        (delay + life - MINUTE, second, {first["ES256"], second["ES256"]}),
        (delay + life + MINUTE, second, {second["ES256"]}),
    ):
        clock.shift(after / SECOND)
        assert (signer(ring), signer(ring, "RS256")) == (names["ES256"], names["RS256"])
        assert {one["kid"] for one in published(ring) if one["alg"] == "ES256"} == listed
        assert counts(ring, token) is (first["ES256"] in listed)


def test_a_compromised_key_is_gone_at_once(world: World):
    first = world.begin()
    ring = world.process()
    tokens = [ring.sign(algorithm, "JWT", CLAIMS) for algorithm in ALGORITHMS]
    second = world.rotate(compromised=True)
    refreshed(ring)
    assert kids(ring) == [second["RS256"], second["ES256"]]
    assert {signer(ring, algorithm) for algorithm in ALGORITHMS} == set(second.values())
    assert not any(counts(ring, token) for token in tokens)
    assert not set(kids(world.process())) & set(first.values())


def test_two_rotations_in_a_row_leave_no_moment_without_a_published_signer(world: World):
    world.begin()
    ring = world.process()
    world.rotate()
    clock.shift(3600)
    last = world.rotate(soon=True)
    for minutes in range(0, 2 * 1440, 5):
        clock.shift(3600 + minutes * 60)
        refreshed(ring)
        for algorithm in ALGORITHMS:
            assert signer(ring, algorithm) in kids(ring)
    assert kids(ring) == [last["RS256"], last["ES256"]]


def test_a_retired_key_stays_as_long_as_the_longest_token_of_any_resource(world: World):
    resource = Resource("https://api.example", "API", access_token_seconds=7 * 86400)
    world.store.resources.add(resource, EVENT)
    first = world.begin()
    world.rotate()
    clock.shift(86400 * 8 + 9 * 60)
    assert first["ES256"] in kids(world.process())
    clock.shift(86400 * 8 + 11 * 60)
    assert first["ES256"] not in kids(world.process())


def test_a_rotation_is_written_to_the_audit_trail_without_a_key(world: World):
    first = world.begin()
    second = world.rotate(soon=True)
    lines = [line.event for line in world.store.audit.list(0, 100) if line.event.name != EVENT.name]
    assert {(event.name, event.facts["kid"]) for event in lines} == {
        *(("key.added", kid) for kid in second.values()),
        *(("key.retired", kid) for kid in first.values()),
    }
    assert {(event.actor, event.facts["soon"], event.facts["compromised"]) for event in lines} == {("me", True, False)}
    assert {member for event in lines for member in event.facts} == {"kid", "algorithm", "soon", "compromised"}


def test_a_rotation_is_due_a_day_before_the_newest_key_has_signed_its_days(world: World):
    assert keys.rotation_is_due(world.store, world.settings)
    world.begin()
    for days, due in ((0, False), (88.9, False), (89.1, True), (200, True)):
        clock.shift(days * 86400)
        assert keys.rotation_is_due(world.store, world.settings) is due
    clock.shift(89.1 * 86400)
    world.rotate()
    assert not keys.rotation_is_due(world.store, world.settings)


def test_the_first_keys_are_made_once(world: World):
    assert keys.ensure_first_keys(world.store, world.sealer, world.settings)
    before = world.store.keys.all()
    assert {key.algorithm for key in before} == set(ALGORITHMS)
    assert not keys.ensure_first_keys(world.store, world.sealer, world.settings)
    assert world.store.keys.all() == before
    assert {signer(world.process(), algorithm) for algorithm in ALGORITHMS} == {key.kid for key in before}


def test_new_keys_are_of_2048_bits_and_of_p256(monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []

    def stand_in(name: str) -> Callable[..., Any]:
        def generate(*args: Any, **kwargs: Any) -> Any:
            asked.append((*args, *kwargs.values()))
            return serialization.load_pem_private_key(pem(name).encode(), None)

        return generate

    monkeypatch.setattr(rsa, "generate_private_key", stand_in("rsa"))
    monkeypatch.setattr(ec, "generate_private_key", stand_in("p256"))
    for algorithm in ALGORITHMS:
        made = keys.make_key(algorithm, Sealer(SECRET), publishes_at=1, signs_at=2)
        assert (made.algorithm, made.publishes_at, made.signs_at, made.retires_at) == (algorithm, 1, 2, keys.NEVER)
    assert asked[0] == (65537, 2048)
    assert isinstance(asked[1][0], ec.SECP256R1)


# Tokens that are not ours


@pytest.mark.parametrize(
    "kid", [None, "", "unknown", "../../dev/null", "' OR 1=1 --", "x" * 8000, 1, True, ["a"], {"a": 1}]
)
def test_a_token_of_an_unknown_key_does_not_count(world: World, kid: Any):
    world.begin()
    head = json.dumps({"alg": "ES256", "kid": kid}).encode()
    assert not counts(world.process(), raw(head, json.dumps(CLAIMS).encode(), "ES256", pem("p256")))


def test_a_token_without_a_key_identifier_does_not_count(world: World):
    world.begin()
    assert not counts(world.process(), raw(b'{"alg":"ES256"}', json.dumps(CLAIMS).encode(), "ES256", pem("p256")))


def test_a_key_counts_for_its_own_algorithm_only(world: World):
    made = world.begin()
    ring, body = world.process(), json.dumps(CLAIMS).encode()
    for kid_of, algorithm, name in (
        ("RS256", "PS256", "rsa"),
        ("RS256", "ES256", "p256"),
        ("ES256", "RS256", "rsa"),
        ("ES256", "ES256", "p256_other"),
        ("RS256", "RS256", "rsa_other"),
    ):
        head = json.dumps({"alg": algorithm, "kid": made[kid_of]}).encode()
        assert not counts(ring, raw(head, body, algorithm, pem(name)))
        head = json.dumps({"alg": kid_of, "kid": made[kid_of]}).encode()
        assert not counts(ring, raw(head, body, algorithm, pem(name)))
