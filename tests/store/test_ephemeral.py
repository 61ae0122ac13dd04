"""Short-lived things: one contract on SQLite, PostgreSQL and Valkey."""

import pytest

from authserver.clock import MINUTE, SECOND
from authserver.records import Item
from authserver.settings import SettingsError
from authserver.store import BadValue, Conflict, Store, Unavailable
from authserver.store.ephemeral import Ephemeral
from tests.servers.process import free_port
from tests.servers.valkey import Valkey
from tests.store.at_once import at_once
from tests.store.conftest import OpenStore, StillClock
from tests.store.makers import NOW

END = NOW + MINUTE


def test_an_item_comes_back_with_its_owner(ephemeral: Ephemeral, still: StillClock):
    ephemeral.put("space", "key", '{"ü":1}', END, "owner")
    item = ephemeral.get("space", "key")
    assert item == Item('{"ü":1}', item.version if item else 0, "owner", END)
    assert ephemeral.get("space", "other") is None
    assert ephemeral.get("other", "key") is None


def test_a_live_item_is_not_overwritten_and_an_expired_one_is(ephemeral: Ephemeral, still: StillClock):
    ephemeral.put("space", "key", "first", END)
    still.move(MINUTE - 1)
    with pytest.raises(Conflict):
        ephemeral.put("space", "key", "second", END + MINUTE)
    still.move(1)
    assert ephemeral.get("space", "key") is None
    ephemeral.put("space", "key", "second", END + MINUTE)
    item = ephemeral.get("space", "key")
    assert item
    assert item.value == "second"


def test_what_the_database_holds_of_a_space_comes_in_pages_by_key(store: Store, still: StillClock):
    for number, key in enumerate(("c", "a", "b", "d")):
        store.single_use.put("space", key, str(number), END - (key == "d"), "owner")
    store.single_use.put("other", "aa", "", END)
    first = store.single_use.all("space", "", 2)
    assert [(key, item.value, item.owner) for key, item in first] == [("a", "1", "owner"), ("b", "2", "owner")]
    still.move(MINUTE - 1)
    assert [key for key, _ in store.single_use.all("space", "b", 5)] == ["c"]


def test_an_item_is_swapped_only_at_the_version_that_was_read(ephemeral: Ephemeral, still: StillClock):
    ephemeral.put("space", "key", "a", END, "owner")
    first = ephemeral.get("space", "key")
    assert first
    assert ephemeral.swap("space", "key", "b", first.version, END + 5)
    assert not ephemeral.swap("space", "key", "c", first.version, END)
    second = ephemeral.get("space", "key")
    assert second == Item("b", first.version + 1, "owner", END + 5)
    still.move(MINUTE + 5)
    assert not ephemeral.swap("space", "key", "d", first.version + 1, END + MINUTE)
    assert not ephemeral.swap("space", "unknown", "d", 0, END)


def test_a_version_never_comes_back_for_the_same_key(ephemeral: Ephemeral, still: StillClock):
    ephemeral.put("space", "key", "a", END)
    first = ephemeral.get("space", "key")
    assert first
    ephemeral.take("space", "key")
    still.move(1)
    ephemeral.put("space", "key", "b", END)
    assert not ephemeral.swap("space", "key", "c", first.version, END)


def test_an_item_is_taken_once(ephemeral: Ephemeral, still: StillClock):
    ephemeral.put("space", "key", "value", END, "owner")
    item = ephemeral.take("space", "key")
    assert item
    assert (item.value, item.owner) == ("value", "owner")
    assert ephemeral.take("space", "key") is None
    ephemeral.put("space", "key", "value", END)
    still.move(MINUTE)
    assert ephemeral.take("space", "key") is None


def test_a_key_is_seen_for_the_first_time_once_until_its_end(ephemeral: Ephemeral, still: StillClock):
    assert ephemeral.first_time("jti", "j", END)
    assert not ephemeral.first_time("jti", "j", END)
    assert ephemeral.first_time("jti", "k", END)
    still.move(MINUTE - 1)
    assert not ephemeral.first_time("jti", "j", END)
    still.move(1)
    assert ephemeral.first_time("jti", "j", END + MINUTE)


def test_what_is_over_already_is_never_seen_for_the_first_time(ephemeral: Ephemeral, still: StillClock):
    assert not ephemeral.first_time("jti", "j", NOW)
    assert ephemeral.first_time("jti", "j", NOW + 1)


def test_a_counter_begins_anew_after_its_window(ephemeral: Ephemeral, still: StillClock):
    assert ephemeral.counted("fails", "alice") == (0, 0)
    assert ephemeral.count("fails", "alice", MINUTE) == 1
    still.move(SECOND)
    assert ephemeral.count("fails", "alice", MINUTE, 3) == 4
    assert ephemeral.counted("fails", "alice") == (4, END)
    assert ephemeral.count("fails", "alice", MINUTE, -1) == 3
    still.move(MINUTE - SECOND)
    assert ephemeral.counted("fails", "alice") == (0, 0)
    assert ephemeral.count("fails", "alice", MINUTE) == 1


def test_a_forgotten_item_or_counter_is_gone(ephemeral: Ephemeral, still: StillClock):
    ephemeral.put("space", "key", "value", END)
    ephemeral.count("fails", "alice", MINUTE, 5)
    for space, key in (("space", "key"), ("fails", "alice"), ("space", "unknown")):
        ephemeral.forget(space, key)
    assert ephemeral.get("space", "key") is None
    assert ephemeral.count("fails", "alice", MINUTE) == 1


def test_a_store_is_born_once(ephemeral: Ephemeral, still: StillClock):
    assert ephemeral.born_at() == NOW
    still.move(1000 * MINUTE)
    assert ephemeral.born_at() == NOW


def test_half_a_character_is_refused_as_a_bad_value(ephemeral: Ephemeral):
    with pytest.raises(BadValue):
        ephemeral.put("space", "key", "\ud800", END)
    with pytest.raises(BadValue):
        ephemeral.first_time("space", "\ud800", 2**60)


@pytest.mark.parametrize("verb", ["put", "take", "swap", "first_time", "count"])
def test_of_many_threads_one_wins(ephemeral: Ephemeral, verb: str):
    ephemeral.put("race", "taken", "value", 2**60)
    item = ephemeral.get("race", "taken")
    assert item

    def attempt() -> bool:
        match verb:
            case "put":
                try:
                    ephemeral.put("race", "key", "value", 2**60)
                except Conflict:
                    return False
                return True
            case "take":
                return ephemeral.take("race", "taken") is not None
            case "swap":
                return ephemeral.swap("race", "taken", "new", item.version, 2**60)
            case "first_time":
                return ephemeral.first_time("race", "key", 2**60)
            case _:
                return ephemeral.count("race", "key", MINUTE) == 4

    assert at_once(attempt, 8).count(True) == 1


# Redis and Valkey


@pytest.fixture
def valkey_store(sqlite_url: str, valkey_url: str, opened: OpenStore) -> Store:
    return opened(sqlite_url, redis_url=valkey_url)


def test_what_mints_tokens_stays_in_the_database(valkey_store: Store):
    valkey_store.single_use.put("device", "key", "value", 2**60)
    assert valkey_store.ephemeral.get("device", "key") is None
    assert valkey_store.ephemeral is not valkey_store.single_use


def test_an_emptied_server_is_born_again(valkey_store: Store, valkey: Valkey, valkey_url: str, still: StillClock):
    assert valkey_store.ephemeral.born_at() == NOW
    valkey.empty(int(valkey_url.rpartition("/")[2]))
    still.move(5)
    assert valkey_store.ephemeral.born_at() == NOW + 5


def test_the_server_cleans_up_by_itself(valkey_store: Store, valkey_url: str):
    import redis

    valkey_store.ephemeral.put("space", "key", "value", 2**60)
    valkey_store.ephemeral.count("space", "counter", 50_000)
    with redis.Redis.from_url(valkey_url, decode_responses=True) as client:
        assert client.pttl("authserver:space:key") > 0
        assert 0 < client.pttl("authserver:space:counter") <= 50


def test_a_server_that_is_away_is_unavailable_and_comes_back(sqlite_url: str, opened: OpenStore):
    from tests.servers.fixtures import or_give_up
    from tests.servers.valkey import valkey_server

    with or_give_up() as stack:
        server = stack.enter_context(valkey_server())
        store = opened(sqlite_url, redis_url=server.empty())
        born = store.ephemeral.born_at()
        store.ephemeral.put("space", "key", "value", 2**60)
        assert server.process
        server.process.stop()
        for attempt in (lambda: store.ephemeral.get("space", "key"), store.ping, store.ephemeral.born_at):
            with pytest.raises(Unavailable):
                attempt()
        store.clients.get("reads of the database go on")
        server.process.start()
        assert store.ephemeral.get("space", "key") is None
        assert store.ephemeral.born_at() > born


def test_a_server_that_evicts_is_refused(sqlite_url: str, opened: OpenStore):
    import redis

    from tests.servers.fixtures import or_give_up
    from tests.servers.valkey import valkey_server

    with or_give_up() as stack:
        url = stack.enter_context(valkey_server()).empty()
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(SettingsError, match="noeviction"):
            opened(sqlite_url, redis_url=url)


def test_a_server_that_is_not_there_at_the_start_is_unavailable(sqlite_url: str, opened: OpenStore):
    with pytest.raises(Unavailable):
        opened(sqlite_url, redis_url=f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(SettingsError, match="not a Redis URL"):
        opened(sqlite_url, redis_url="nonsense://")
