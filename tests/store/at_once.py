"""Doing the same thing many times at the same moment, in threads or in processes."""

import concurrent.futures
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def at_once(act: Callable[[], T], threads: int) -> list[T]:
    """Do the same in many threads at the same moment; return what each got, or raise what one raised."""
    barrier = threading.Barrier(threads)

    def run() -> T:
        barrier.wait(60)
        return act()

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(threads)]]
