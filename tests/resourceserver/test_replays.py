"""The memories of used proofs, of one process and of many (RFC 9449 11.1): one contract."""

import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from resourceserver.dpop import PAST
from resourceserver.replays import MemoryReplays, Replays, ReplaysUnavailableError
from resourceserver.used_proofs import TIDY_SECONDS, UsedProofs
from tests.flows.racing import race
from tests.resourceserver.conftest import Clock

Open = Callable[..., Any]
RACERS = 16


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "resources.db"


@pytest.fixture(params=["memory", "database"])
def memory(request: pytest.FixtureRequest, file: Path, clock: Clock) -> Open:
    """A function that opens a memory; it began long ago."""
    clock.now = 1_800_000_000.5

    def open_memory(most: int = 100) -> Replays:
        if request.param == "database":
            return UsedProofs(f"sqlite:///{file}", most=most, clock=clock)
        clock.now -= 1000
        made = MemoryReplays(most, clock=clock)
        clock.now += 1000
        return made

    return open_memory


def _end(clock: Clock, seconds: int = 60) -> int:
    return int(clock.now) + seconds


def test_a_key_is_new_once_until_its_end(memory: Open, clock: Clock) -> None:
    used = memory()
    end = _end(clock)
    assert used.first_time("a", end)
    assert not used.first_time("a", end)
    assert used.first_time("b", end)
    clock.now = end - 0.5
    assert not used.first_time("a", end + 60)
    clock.now = end
    assert used.first_time("a", end + 60)
    assert not used.first_time("a", end + 60)


def test_what_is_over_is_never_new(memory: Open, clock: Clock) -> None:
    used = memory()
    for end in (int(clock.now), int(clock.now) - 100, 0):
        assert not used.first_time("a", end)
    assert used.first_time("a", _end(clock))


def test_a_full_memory_refuses_and_forgets_nothing(memory: Open, clock: Clock) -> None:
    used = memory(3)
    assert all(used.first_time(str(number), _end(clock, 60 + 20 * number)) for number in range(3))
    clock.now += TIDY_SECONDS
    for key in ("new", "another"):
        with pytest.raises(ReplaysUnavailableError):
            used.first_time(key, _end(clock))
    clock.now += 60
    # One is over, and makes room for one.
    assert used.first_time("new", _end(clock))
    assert not used.first_time("new", _end(clock))
    clock.now += TIDY_SECONDS
    with pytest.raises(ReplaysUnavailableError):
        used.first_time("another", _end(clock))


def test_of_many_threads_with_one_key_one_is_first(memory: Open, clock: Clock) -> None:
    used = memory()
    for number in range(10):
        end = _end(clock)
        answers = race([partial(used.first_time, str(number), end)] * RACERS)
        assert sorted(answers) == [False] * (RACERS - 1) + [True]


# The memory of one process.


def test_what_was_made_before_the_memory_began_is_taken_for_used(clock: Clock) -> None:
    clock.now = 1_800_000_000.5
    used = MemoryReplays(clock=clock)
    made_before, made_after = 1_799_999_999, 1_800_000_000
    assert not used.first_time("a", made_before + PAST + 1)
    assert used.first_time("b", made_after + PAST + 1)
    assert len(used) == 1


def test_a_memory_without_room_is_refused_at_once() -> None:
    with pytest.raises(ValueError):
        MemoryReplays(0)


# The memory of the separate server.


def test_it_outlives_its_process(file: Path, clock: Clock) -> None:
    first = UsedProofs(f"sqlite:///{file}", most=10, clock=clock)
    end = _end(clock)
    assert first.first_time("a", end)
    first.close()
    again = UsedProofs(f"sqlite:///{file}", most=10, clock=clock)
    assert not again.first_time("a", end)
    assert again.first_time("b", end)
    again.close()


def test_of_many_processes_with_one_key_one_is_first(file: Path, clock: Clock) -> None:
    nodes = [UsedProofs(f"sqlite:///{file}", most=1000, clock=clock) for _ in range(4)]
    for number in range(10):
        end = _end(clock)
        acts = [partial(node.first_time, str(number), end) for node in nodes * (RACERS // 4)]
        assert race(acts).count(True) == 1
    for node in nodes:
        node.close()


def test_a_file_that_is_no_database_is_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "no-database"
    file.write_bytes(b"this is text, not a database" * 100)
    with pytest.raises(ReplaysUnavailableError):
        UsedProofs(f"sqlite:///{file}", most=1)
    with pytest.raises(ReplaysUnavailableError):
        UsedProofs(f"sqlite:///{file}/below.db", most=1)


def test_a_database_that_is_gone_refuses(file: Path, clock: Clock) -> None:
    used = UsedProofs(f"sqlite:///{file}", most=10, clock=clock)
    used.close()
    for each in file.parent.iterdir():
        each.unlink()
    file.write_bytes(b"this is text, not a database" * 100)
    with pytest.raises(ReplaysUnavailableError):
        used.first_time("a", _end(clock))


def test_only_its_owner_reads_the_file(file: Path, clock: Clock) -> None:
    used = UsedProofs(f"sqlite:///{file}", most=10, clock=clock)
    used.first_time("a", _end(clock))
    assert [each.name for each in file.parent.iterdir() if stat.S_IMODE(each.stat().st_mode) & 0o077] == []
    used.close()
