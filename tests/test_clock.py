"""The one clock of the server."""

import time
from collections.abc import Iterator

import pytest

from authserver import clock


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    clock.shift(0)


def test_now_is_the_time_in_whole_microseconds():
    before = time.time_ns() // 1000
    moment = clock.now()
    assert isinstance(moment, int)
    assert before <= moment <= time.time_ns() // 1000


@pytest.mark.parametrize("seconds", [60, -60, 0.5, 86400 * 365])
def test_a_shift_moves_the_clock_from_the_real_time(seconds: float):
    clock.shift(5)
    clock.shift(seconds)
    before = time.time_ns() // 1000
    assert before <= clock.now() - int(seconds * clock.SECOND) <= time.time_ns() // 1000


def test_a_shift_of_nothing_restores_the_real_time():
    clock.shift(3600)
    clock.shift(0)
    assert clock.now() <= time.time_ns() // 1000


def test_the_units_of_time_are_microseconds():
    assert [clock.SECOND, clock.MINUTE, clock.HOUR, clock.DAY] == [10**6, 60 * 10**6, 3600 * 10**6, 86400 * 10**6]
