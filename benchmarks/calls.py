"""Calls in this process: what a library function costs in a tight loop, one thread, without a server.

In a server the same Python takes up to twice as long, because caches are cold; these figures compare with themselves.
"""

import os
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

from benchmarks import cpu


class Call(NamedTuple):
    """One measured call; ``again`` gives the function for each round, with whatever it needs made before."""

    name: str
    title: str
    again: Callable[[], Callable[[], object]]
    most: int = 1_000_000
    """How often the function may be called in one round."""


def measure(calls: list[Call], rounds: int, seconds: float, beside: list[int] | None = None) -> dict[str, float]:
    """Return call → quiet microseconds, the CPU time of the processes ``beside`` included."""
    pids = [os.getpid(), *(beside or [])]
    found: dict[str, list[float]] = {call.name: [] for call in calls}
    for _ in range(rounds):
        for call in calls:
            found[call.name].append(_round(call, pids, seconds))
    return {name: median(figures) for name, figures in found.items()}


def _round(call: Call, pids: list[int], seconds: float) -> float:
    function, speed = call.again(), cpu.Speed()
    speed.sample()
    count, before, until = 0, cpu.used_ns(pids), time.perf_counter() + seconds
    for size in _portions(call.most):
        for _ in range(size):
            function()
        count += size
        if time.perf_counter() > until:
            break
    used = cpu.used_ns(pids) - before
    speed.sample()
    return used / count / 1000 * speed.factor


def _portions(most: int) -> Iterator[int]:
    """Cut a number of calls into pieces between which the time is looked at."""
    while most > 0:
        yield min(50, most)
        most -= 50
