"""Work beside the requests: one at a time, and no more than is due."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from authserver import clock, keys
from authserver.clock import DAY, MINUTE, now
from authserver.crypto import Sealer
from authserver.manage import clients
from authserver.records import Event, SigningKey
from authserver.settings import Features, Settings
from authserver.store import Store, open_store
from authserver.worker import Worker

SECRET_KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    url = f"sqlite:///{tmp_path / 'authserver.db'}"
    return Settings(development=True, database_url=url, secret_key=SECRET_KEY, features=Features(jar=False))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = open_store(settings)
    opened.upgrade()
    yield opened
    opened.close()


@pytest.fixture
def shifted() -> Iterator[None]:
    yield
    clock.shift(0)


def a_worker(store: Store, settings: Settings) -> Worker:
    return Worker(store, Sealer(SECRET_KEY), settings)


def add_key(store: Store, signs_at: int) -> None:
    never = 2**62
    sealed = Sealer(SECRET_KEY).seal("signing-key", "signing_keys|sealed|k", b"key")
    store.keys.add(SigningKey("k", "ES256", sealed, "{}", now(), signs_at, signs_at, never, never), Event("key.added"))


def test_one_worker_holds_the_lease(store: Store, settings: Settings):
    first, second = a_worker(store, settings), a_worker(store, settings)
    assert first.lease()
    assert not second.lease()
    assert first.lease()


def test_a_lease_that_is_not_renewed_goes_to_another(store: Store, settings: Settings, shifted: None):
    first, second = a_worker(store, settings), a_worker(store, settings)
    assert first.lease()
    clock.shift(6 * 60)
    assert second.lease()
    assert not first.lease()


def test_a_worker_that_stops_gives_the_lease_back(store: Store, settings: Settings):
    add_key(store, now())
    worker = a_worker(store, settings)
    thread = threading.Thread(target=worker.run)
    thread.start()
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert a_worker(store, settings).lease()


def test_expired_rows_go_and_live_ones_stay(store: Store, settings: Settings, shifted: None):
    add_key(store, now())
    for number in range(30):
        store.ephemeral.put("test", f"old{number}", "", now() + MINUTE)
    store.ephemeral.put("test", "live", "", now() + 10 * MINUTE)
    clock.shift(120)
    worker = a_worker(store, settings)
    assert worker.lease()
    worker.round()
    assert store.purge(100)["ephemeral"] == 0
    assert store.ephemeral.get("test", "live") is not None


def test_clients_that_registered_themselves_and_were_never_used_go(store: Store, settings: Settings, shifted: None):
    add_key(store, now())
    answer = clients.register(
        store, Sealer(SECRET_KEY), {"redirect_uris": ["https://c.test/cb"]}, actor="", origin="registration"
    )
    clock.shift(29 * 86400)
    a_worker(store, settings).round()
    assert store.clients.get(answer["client_id"]) is not None
    clock.shift(31 * 86400)
    a_worker(store, settings).round()
    assert store.clients.get(answer["client_id"]) is None


def test_a_young_key_is_left_alone(store: Store, settings: Settings):
    add_key(store, now())
    a_worker(store, settings).round()
    assert len(store.keys.all()) == 1


def test_the_next_keys_are_published_in_time(store: Store, settings: Settings):
    add_key(store, now() - 90 * DAY)
    worker = a_worker(store, settings)
    worker.round()
    worker.round()
    made = [key for key in store.keys.all() if key.kid != "k"]
    assert sorted(key.algorithm for key in made) == sorted(keys.ALGORITHMS)
    assert all(key.signs_at > now() + DAY - MINUTE for key in made)
