"""CPU time, memory and the speed of the machine at this moment.

Machines are shared: the same work costs twice as much CPU time from one minute to the next. So a fixed piece of Python
is timed again and again while something is measured, and the result is scaled to the speed at which that piece takes
10 ms ("quiet" microseconds).
"""

import hashlib
import json
import statistics
import time
from pathlib import Path
from typing import Final, NamedTuple

QUIET_NS: Final = 10_000_000
# Chosen so that the yardstick (floor.py) costs its 36 quiet microseconds on a machine that does nothing else.
_REPEATS: Final = 1300
_PROC: Final = Path("/proc")
_KIB: Final = 1024


class Memory(NamedTuple):
    """Memory of processes in MiB: resident (shared pages counted in each) and proportional."""

    rss: float
    pss: float


class Speed:
    """The speed of this machine while something was measured."""

    def __init__(self) -> None:
        self._times: list[int] = []

    def sample(self) -> None:
        """Run the fixed piece once, about 10 ms."""
        before = time.thread_time_ns()
        _piece()
        self._times.append(time.thread_time_ns() - before)

    @property
    def factor(self) -> float:
        """What to multiply CPU time with: below 1 where the machine was slow."""
        return QUIET_NS / statistics.median(self._times)


def _piece() -> int:
    """Do a fixed amount of what servers written in Python do: calls, dictionaries, text, JSON, a hash."""
    total = 0
    for number in range(_REPEATS):
        record = {"iss": "https://issuer.example", "sub": f"user-{number}", "iat": number, "scope": "openid profile"}
        text = json.dumps(record)
        again = json.loads(text)
        parts = "&".join(f"{name}={value}" for name, value in sorted(again.items())).split("&")
        total += len(parts) + hashlib.sha256(text.encode()).digest()[0]
    return total


def family(pid: int) -> list[int]:
    """Return a process and all that it started, directly or not."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            parent = _parent(entry)
            if parent is not None:
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _parent(entry: Path) -> int | None:
    try:
        # The second field is the program's name in parentheses and may hold anything.
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def used_ns(pids: list[int]) -> int:
    """Return user and system time of processes, ended threads included, in nanoseconds."""
    total = 0
    for pid in pids:
        try:
            # The clock behind /proc/PID/stat without its rounding to hundredths of a second: clock_getcpuclockid(3).
            total += time.clock_gettime_ns((~pid << 3) | 2)
        except OSError:
            continue
    return total


def memory(pids: list[int]) -> Memory:
    """Return the memory of processes."""
    sums = {"Rss:": 0, "Pss:": 0}
    for pid in pids:
        try:
            lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, *values = line.split()
            if name in sums:
                sums[name] += int(values[0])
    return Memory(sums["Rss:"] / _KIB, sums["Pss:"] / _KIB)
