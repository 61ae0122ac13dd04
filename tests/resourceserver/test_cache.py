import threading

import pytest

from resourceserver.cache import RecentCache


def test_a_value_is_there_until_its_end_and_not_at_its_end() -> None:
    cache: RecentCache[str] = RecentCache(10)
    cache.put(b"a", "value", 100, 130)
    assert cache.get(b"a", 129.9) == "value"
    assert cache.get(b"a", 130) is None
    assert len(cache) == 0


def test_a_clock_set_back_does_not_lengthen_a_life() -> None:
    cache: RecentCache[str] = RecentCache(10)
    cache.put(b"a", "value", 100, 130)
    assert cache.get(b"a", 99) is None
    assert cache.get(b"a", 110) is None


def test_the_value_least_recently_used_leaves_first() -> None:
    cache: RecentCache[int] = RecentCache(2)
    cache.put(b"a", 1, 0, 100)
    cache.put(b"b", 2, 0, 100)
    assert cache.get(b"a", 1) == 1
    cache.put(b"c", 3, 2, 100)
    assert (cache.get(b"a", 3), cache.get(b"b", 3), cache.get(b"c", 3)) == (1, None, 3)


def test_a_value_without_any_life_is_not_kept_and_replaces_nothing_stale() -> None:
    cache: RecentCache[int] = RecentCache(2)
    cache.put(b"a", 1, 0, 100)
    cache.put(b"a", 2, 50, 50)
    assert cache.get(b"a", 51) is None


def test_a_cache_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError):
        RecentCache(0)


def test_many_threads_never_push_it_over_its_size() -> None:
    cache: RecentCache[int] = RecentCache(50)

    def work(start: int) -> None:
        for number in range(start, start + 2000):
            cache.put(str(number % 300).encode(), number, 0, 10)
            cache.get(str((number * 7) % 300).encode(), 5)
            assert len(cache) <= 51

    threads = [threading.Thread(target=work, args=(n * 1000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) == 50
