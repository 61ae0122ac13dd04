"""The key ring and its store: other processes, other secret keys, damaged rows, a database that is away."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authserver import keys
from authserver.clock import DAY
from authserver.crypto import Sealer
from authserver.keys import KeyRingError
from tests.rings import CLAIMS, NEW_SECRET, SECRET, World, counts, key_world, kids, refreshed, signer


@pytest.fixture
def world(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with key_world(database_url, monkeypatch) as made:
        yield made


# Several processes, and a store that is away


def test_another_process_learns_of_a_rotation_when_it_reads_again(world: World):
    world.begin()
    here, there = world.process(), world.process(store=world.open())
    second = world.rotate(compromised=True)
    token = refreshed(here).sign("ES256", "JWT", CLAIMS)
    assert not counts(there, token)
    assert counts(refreshed(there), token)
    assert signer(there) == second["ES256"]


def test_keys_in_memory_go_on_while_the_store_is_away(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
):
    if request.config.getoption("database") != "sqlite":
        pytest.skip("the file of the database is taken away")
    world.begin()
    ring = world.process()
    for store in world.stores:
        store.close()
    database = tmp_path / "authserver.db"
    kept = database.rename(tmp_path / "away.db")
    database.mkdir()
    caplog.clear()
    before = ring.public_set()
    refreshed(ring)
    for _ in range(5):
        assert counts(ring, ring.sign("ES256", "JWT", CLAIMS))
        assert ring.public_set() is before
    assert [record.message for record in caplog.records] == ["signing keys not read: the store is away"]
    database.rmdir()
    kept.rename(database)
    world.rotate(compromised=True)
    assert refreshed(ring).public_set() != before


def test_a_key_that_does_not_open_here_yet_is_published_and_verified_with(
    world: World, caplog: pytest.LogCaptureFixture
):
    # Node by node the secret key is exchanged: the other node has the new one already.
    first = world.begin()
    ring = world.process()
    foreign = world.add("ES256", sealer=Sealer(NEW_SECRET, (SECRET,)))
    other = world.process(Sealer(NEW_SECRET, (SECRET,)))
    token = other.sign("ES256", "JWT", CLAIMS)
    caplog.set_level(logging.ERROR)
    refreshed(ring)
    assert counts(ring, token)
    assert foreign.kid in kids(ring)
    assert signer(refreshed(ring)) == first["ES256"]
    assert [foreign.kid in record.message for record in caplog.records] == [True]


# Refusal at start


def test_a_process_does_not_start_without_a_key_for_each_algorithm(world: World):
    for algorithm in (None, "ES256"):
        if algorithm:
            world.add(algorithm)
        with pytest.raises(KeyRingError, match="no RS256 signing key"):
            world.process()


@pytest.mark.parametrize(
    "damage", [lambda s: s[:-1], lambda s: s[:10], lambda _s: b"", lambda s: s[:-1] + bytes([s[-1] ^ 1])]
)
def test_a_process_does_not_start_with_a_damaged_key(world: World, damage: Any):
    world.begin()
    damaged = world.store.keys.all()[0]
    world.store.keys.reseal(damaged.kid, damaged.sealed, damage(damaged.sealed))
    with pytest.raises(KeyRingError, match=damaged.kid):
        world.process()


def test_a_process_does_not_start_with_another_secret_key(world: World):
    world.begin()
    with pytest.raises(KeyRingError, match="SECRET_KEY") as raised:
        world.process(Sealer(NEW_SECRET))
    assert SECRET not in str(raised.value)
    assert NEW_SECRET not in str(raised.value)


def test_a_sealed_key_does_not_open_in_the_row_of_another(world: World):
    world.begin()
    one, other = world.store.keys.all()
    world.store.keys.reseal(one.kid, one.sealed, other.sealed)
    with pytest.raises(KeyRingError, match=one.kid):
        world.process()


# Sealing anew


def test_every_key_is_sealed_anew_and_then_the_former_secret_key_may_go(world: World):
    made = world.begin()
    both, new = Sealer(NEW_SECRET, (SECRET,)), Sealer(NEW_SECRET)
    token = world.process().sign("ES256", "JWT", CLAIMS)
    assert keys.reseal(world.store, both) == 2
    assert keys.reseal(world.store, both) == 0
    assert all(new.is_current(key.sealed) for key in world.store.keys.all())
    ring = world.process(new)
    assert signer(ring) == made["ES256"]
    assert counts(ring, token)
    with pytest.raises(KeyRingError):
        world.process(Sealer(SECRET))


def test_a_key_that_is_gone_needs_no_secret_key(world: World):
    gone = world.add("ES256", sealer=Sealer("lost long ago"), gone_at=-DAY)
    made = world.begin()
    assert kids(world.process()) == [made["RS256"], made["ES256"]]
    assert gone.kid not in made.values()
    assert keys.reseal(world.store, Sealer(NEW_SECRET, (SECRET,))) == 2
