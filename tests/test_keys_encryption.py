"""The keys to which clients encrypt: in the same table as those that sign, and never in their place."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
from joserfc import jwe
from joserfc.jwk import import_key

from authserver import clock, jwt, keys
from authserver.clock import DAY, HOUR, MINUTE, SECOND, now
from authserver.crypto import Sealer
from authserver.keys import ALGORITHMS, ENCRYPTION, KeyRing, KeyRingError
from authserver.manage import keys as managed
from authserver.manage import overview
from authserver.settings import Features
from authserver.worker import Worker
from tests.rings import (
    BOTH,
    CLAIMS,
    EVENT,
    NEW_SECRET,
    SECRET,
    World,
    counts,
    key_world,
    kids,
    private_key,
    published,
    refreshed,
    signer,
)
from tests.signing import pem, raw


@pytest.fixture
def world(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with key_world(database_url, monkeypatch, jar=True) as made:
        yield made


def offered(ring: KeyRing) -> dict[str, list[str]]:
    """Return the published kids of each algorithm."""
    found: dict[str, list[str]] = {algorithm: [] for algorithm in (*ALGORITHMS, *ENCRYPTION)}
    for key in published(ring):
        found[key["alg"]].append(key["kid"])
    return found


def opens(ring: KeyRing, kid: str, algorithm: str = "ECDH-ES") -> bool:
    try:
        return ring.decryption_key(kid, algorithm).is_private
    except jwt.InvalidJWT:
        return False


# What they are.


def test_they_are_published_for_encryption_behind_those_that_sign(world: World):
    made = world.begin()
    public = published(world.process())
    assert [(key["alg"], key["use"], key["kid"]) for key in public] == [
        ("RS256", "sig", made["RS256"]),
        ("ES256", "sig", made["ES256"]),
        ("RSA-OAEP-256", "enc", made["RSA-OAEP-256"]),
        ("ECDH-ES", "enc", made["ECDH-ES"]),
    ]
    assert {frozenset(key) for key in public[2:]} == {
        frozenset({"kty", "kid", "use", "alg", "n", "e"}),
        frozenset({"kty", "kid", "use", "alg", "crv", "x", "y"}),
    }


@pytest.mark.parametrize("algorithm", ENCRYPTION)
def test_what_is_encrypted_to_the_published_key_opens(world: World, algorithm: str):
    kid = world.begin()[algorithm]
    ring = world.process()
    public = next(key for key in published(ring) if key["kid"] == kid)
    both = [algorithm, "A256GCM"]
    token = jwe.encrypt_compact({"alg": algorithm, "enc": "A256GCM"}, b"text", import_key(public), both)
    key = ring.decryption_key(kid, algorithm)
    assert jwe.decrypt_compact(token, key, both).plaintext == b"text"
    assert ring.decryption_key(kid, algorithm) is key


def test_one_that_nobody_asked_for_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch):
    kid = world.begin()["RSA-OAEP-256"]
    read: list[str] = []
    read_key = keys._decryption_key
    monkeypatch.setattr(keys, "_decryption_key", lambda row, sealer: read.append(row.kid) or read_key(row, sealer))
    ring = world.process()
    assert read == []
    for _ in range(3):
        assert opens(ring, kid, "RSA-OAEP-256")
    assert read == [kid]


def test_nothing_is_signed_or_verified_with_them(world: World):
    made = world.begin()
    ring = world.process()
    for algorithm in ENCRYPTION:
        with pytest.raises(KeyRingError):
            ring.sign(algorithm, "JWT", CLAIMS)
    # Whoever had the private part could still sign nothing that counts.
    for kid, name, algorithm in (
        (made["RSA-OAEP-256"], BOTH["RSA-OAEP-256"][0], "RS256"),
        (made["ECDH-ES"], BOTH["ECDH-ES"][0], "ES256"),
    ):
        head = json.dumps({"alg": algorithm, "kid": kid}).encode()
        assert not counts(ring, raw(head, json.dumps(CLAIMS).encode(), algorithm, pem(name)))


def test_nothing_is_decrypted_with_those_that_sign(world: World):
    made = world.begin()
    ring = world.process()
    for kid in (made["RS256"], made["ES256"], "unknown", ""):
        for algorithm in (*ENCRYPTION, *ALGORITHMS):
            assert not opens(ring, kid, algorithm)
    assert not opens(ring, made["RSA-OAEP-256"], "ECDH-ES")


# Their times.


def test_a_retired_one_is_offered_no_more_and_opens_until_it_is_gone(world: World):
    # The set may be kept for 5 minutes: whoever copied it just before the end is still understood.
    first = world.begin()
    ring = world.process()
    second = world.rotate()
    refreshed(ring)
    life = 600 * SECOND + 10 * MINUTE
    for after, listed, old in (
        (0, [second["ECDH-ES"], first["ECDH-ES"]], True),
        (DAY - MINUTE, [second["ECDH-ES"], first["ECDH-ES"]], True),
        (DAY + MINUTE, [second["ECDH-ES"]], True),
        (DAY + life - MINUTE, [second["ECDH-ES"]], True),
        (DAY + life + MINUTE, [second["ECDH-ES"]], False),
    ):
        clock.shift(after / SECOND)
        assert offered(ring)["ECDH-ES"] == listed
        assert opens(ring, first["ECDH-ES"]) is old
        assert opens(ring, second["ECDH-ES"])


def test_a_planned_one_does_not_open_yet(world: World):
    world.begin()
    kid = world.add("ECDH-ES", HOUR).kid
    ring = world.process()
    assert not opens(ring, kid)
    clock.shift(3601)
    assert opens(ring, kid)


def test_a_compromised_one_is_gone_at_once(world: World):
    first = world.begin()
    ring = world.process()
    assert opens(ring, first["ECDH-ES"])
    second = world.rotate(compromised=True)
    refreshed(ring)
    assert not opens(ring, first["ECDH-ES"])
    assert offered(ring) == {algorithm: [kid] for algorithm, kid in second.items()}


def test_a_younger_one_does_not_put_off_the_rotation(world: World):
    world.add("RS256")
    world.add("ES256")
    clock.shift(80 * 86400)
    assert len(keys.ensure_encryption_keys(world.store, world.sealer, world.settings)) == 2
    clock.shift(89.1 * 86400)
    assert keys.rotation_is_due(world.store, world.settings)


# Deployments that lack them.


def test_an_older_deployment_gets_them_once(world: World):
    signs = {algorithm: world.add(algorithm).kid for algorithm in ALGORITHMS}
    assert "db upgrade" in overview.advice(world.store, world.settings, world.sealer)[0]
    ring = world.process()
    for _ in range(2):
        assert not managed.ensure_first(world.store, world.sealer, world.settings, actor="me")
    assert overview.advice(world.store, world.settings, world.sealer) == []
    assert {key.algorithm for key in world.store.keys.all()} == {*ALGORITHMS, *ENCRYPTION}
    assert len(world.store.keys.all()) == 4
    refreshed(ring)
    assert all(opens(ring, offered(ring)[algorithm][0], algorithm) for algorithm in ENCRYPTION)
    assert signer(ring) == signs["ES256"]
    lines = [line.event for line in world.store.audit.list(0, 100) if line.event.name == "key.added"]
    assert sorted(str(event.facts["algorithm"]) for event in lines) == sorted(ENCRYPTION)
    assert {event.actor for event in lines} == {"me"}


def test_the_worker_makes_them_where_they_are_switched_on_later(world: World):
    for algorithm in ALGORITHMS:
        world.add(algorithm)
    off = world.settings.model_copy(update={"features": Features(jar=False)})
    Worker(world.store, world.sealer, off).round()
    assert len(world.store.keys.all()) == 2
    Worker(world.store, world.sealer, world.settings).round()
    assert len(world.store.keys.all()) == 4


def test_of_two_processes_that_make_them_at_once_one_does(world: World):
    world.add("RS256")
    made = world.make("ECDH-ES", world.sealer, publishes_at=now(), signs_at=now())
    assert world.store.keys.add_missing(made, now(), EVENT)
    late = world.make("ECDH-ES", world.sealer, publishes_at=now(), signs_at=now())
    assert not world.store.keys.add_missing(late, now(), EVENT)
    world.store.keys.set_times(made.kid, now(), now() + HOUR, EVENT)
    assert world.store.keys.add_missing(late, now(), EVENT)


def test_switched_off_they_are_not_offered_made_or_asked_for(world: World):
    made = world.begin()
    off = world.settings.model_copy(update={"features": Features(jar=False)})
    ring = KeyRing(world.store, world.sealer, off)
    ring.load()
    assert kids(ring) == [made["RS256"], made["ES256"]]
    assert keys.used(off) == ALGORITHMS
    rotated = keys.rotate(world.store, world.sealer, off, soon=True)
    assert [key.algorithm for key in rotated] == list(ALGORITHMS)


# Sealed like the others.


def test_they_are_sealed_anew_with_the_others(world: World):
    made = world.begin()
    assert keys.reseal(world.store, Sealer(NEW_SECRET, (SECRET,))) == 4
    ring = world.process(Sealer(NEW_SECRET))
    assert all(opens(ring, made[algorithm], algorithm) for algorithm in ENCRYPTION)
    with pytest.raises(KeyRingError):
        world.process(Sealer(SECRET))


@pytest.mark.parametrize("algorithm", ENCRYPTION)
def test_a_process_does_not_start_with_a_damaged_one(world: World, algorithm: str):
    kid = world.begin()[algorithm]
    row = next(row for row in world.store.keys.all() if row.kid == kid)
    world.store.keys.reseal(kid, row.sealed, row.sealed[:-1])
    with pytest.raises(KeyRingError, match=kid):
        world.process()


def test_one_that_does_not_open_here_yet_is_offered_and_refused(world: World, caplog: pytest.LogCaptureFixture):
    # Node by node the secret key is exchanged: the other node has the new one already.
    world.begin()
    ring = world.process()
    foreign = world.add("ECDH-ES", sealer=Sealer(NEW_SECRET, (SECRET,)))
    refreshed(ring)
    caplog.clear()
    caplog.set_level(logging.ERROR)
    assert foreign.kid in offered(ring)["ECDH-ES"]
    assert not opens(ring, foreign.kid)
    assert any(foreign.kid in record.message for record in caplog.records)


def test_one_under_the_name_of_another_algorithm_is_refused(world: World, caplog: pytest.LogCaptureFixture):
    world.begin()
    row = keys.seal_key("ECDH-ES", private_key("ECDH-ES"), world.sealer, publishes_at=now(), signs_at=now())
    world.store.keys.add(replace(row, algorithm="RSA-OAEP-256"), EVENT)
    assert not opens(world.process(), row.kid, "RSA-OAEP-256")
    assert "is not a key for RSA-OAEP-256" in caplog.text
