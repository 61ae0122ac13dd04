from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from authserver import clock
from authserver.clock import MINUTE
from authserver.limits import Exceeded, Limits, LocalCounters, network_of
from authserver.settings import load_settings
from authserver.store import open_store
from authserver.store.errors import Unavailable
from pytest_authserver import database


@pytest.fixture
def limits(database_url: str) -> Iterator[Limits]:
    settings = load_settings(database_url=database_url, development=True, secret_key="s" * 32)
    database.prepare(settings)
    store = open_store(settings)
    yield Limits(store, settings)
    clock.shift(0)
    store.close()


@pytest.fixture
def cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Limits]:
    """Limits over a store that does not answer."""
    settings = load_settings(database_url=f"sqlite:///{tmp_path}/none.db", development=True, secret_key="s" * 32)
    store = open_store(settings)

    def away(*_: object, **__: object) -> None:
        raise Unavailable

    for verb in ("count", "counted", "get", "first_time", "forget"):
        monkeypatch.setattr(store.ephemeral, verb, away)
    yield Limits(store, settings)
    clock.shift(0)
    store.close()


@pytest.fixture(params=["limits", "cut_off"])
def either(request: pytest.FixtureRequest) -> Limits:
    """The same behaviour with and without the store."""
    limits: Limits = request.getfixturevalue(request.param)
    return limits


def _refused(limits: Limits, account: str) -> int:
    try:
        limits.reserve_try(account)
    except Exceeded as limit:
        return limit.retry_after
    return 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::%eth0", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("192.0.2.1, 192.0.2.2", "unknown"),
    ],
)
def test_an_address_is_counted_by_what_a_subscriber_holds(address: str, network: str) -> None:
    assert network_of(address) == network


def test_five_tries_are_free_and_the_sixth_waits(either: Limits) -> None:
    assert [_refused(either, "alice") for _ in range(6)] == [0, 0, 0, 0, 0, 1]
    assert _refused(either, "bob") == 0


def test_after_the_wait_there_is_one_try(either: Limits) -> None:
    for _ in range(5):
        either.reserve_try("alice")
    clock.shift(1.5)
    assert [_refused(either, "alice") > 0 for _ in range(3)] == [False, True, True]


def test_tries_are_forgotten_after_the_right_password(either: Limits) -> None:
    for _ in range(5):
        either.reserve_try("alice")
    either.forget_tries("alice")
    assert [_refused(either, "alice") for _ in range(6)] == [0, 0, 0, 0, 0, 1]


def test_a_try_can_be_given_back(either: Limits) -> None:
    for _ in range(20):
        either.reserve_try("alice")
        either.return_try("alice")
    # As long as the last of the free ones was not among them, all are free again.
    assert [_refused(either, "alice") for _ in range(6)] == [0, 0, 0, 0, 0, 1]


def test_tries_at_the_same_moment_share_the_free_ones(limits: Limits) -> None:
    for account in ("alice", "bob", "carol"):
        with ThreadPoolExecutor(16) as pool:
            outcomes = list(pool.map(lambda _, name=account: _refused(limits, name), range(32)))
        assert outcomes.count(0) == 5


def test_after_the_wait_exactly_one_of_many_gets_the_try(limits: Limits) -> None:
    for _ in range(5):
        limits.reserve_try("alice")
    clock.shift(2)
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: _refused(limits, "alice"), range(32)))
    assert outcomes.count(0) == 1


def test_a_name_of_any_size_is_a_small_key(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: set[str] = set()
    count = limits._store.ephemeral.count

    def seen(space: str, key: str, *more: int) -> int:
        keys.add(key)
        return count(space, key, *more)

    monkeypatch.setattr(limits._store.ephemeral, "count", seen)
    limits.reserve_try("x" * 1_000_000)
    limits.reserve_try("\x00\ud800")
    assert [len(key) for key in keys] == [64, 64]


def test_a_client_that_fails_twenty_times_is_refused_for_a_minute(either: Limits) -> None:
    for _ in range(20):
        either.check_client("web", "192.0.2.1")
        either.count_client_failure("web", "192.0.2.1")
    with pytest.raises(Exceeded) as caught:
        either.check_client("web", "192.0.2.1")
    assert 0 < caught.value.retry_after <= 60
    either.check_client("web", "192.0.2.2")
    either.check_client("other", "192.0.2.1")
    clock.shift(121)
    either.check_client("web", "192.0.2.1")


def test_a_second_process_learns_of_the_limit_by_its_next_failure(limits: Limits) -> None:
    for _ in range(20):
        limits.count_client_failure("web", "192.0.2.1")
    second = Limits(limits._store, load_settings(development=True, secret_key="s" * 32))
    second.check_client("web", "192.0.2.1")
    second.count_client_failure("web", "192.0.2.1")
    with pytest.raises(Exceeded):
        second.check_client("web", "192.0.2.1")


def test_whatever_is_counted_ends_with_its_window(either: Limits) -> None:
    for _ in range(3):
        either.count("device", "somebody", MINUTE, 3)
    with pytest.raises(Exceeded):
        either.count("device", "somebody", MINUTE, 3)
    clock.shift(61)
    either.count("device", "somebody", MINUTE, 3)


def test_local_counters_are_bounded_in_number() -> None:
    counters = LocalCounters()
    for number in range(10_050):
        counters.count("space", str(number), MINUTE)
    assert len(counters._counts) == 10_000
    assert counters.counted("space", "0") == (0, 0)
    assert counters.counted("space", "10049")[0] == 1
