"""Many requests at the same moment, spread over server processes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import httpx2

T = TypeVar("T")

ROUNDS = 10
RACERS = 24
_PATIENCE = 60  # seconds


def race(acts: Sequence[Callable[[], T]]) -> list[T]:
    """Do all of these at the same moment, each in a thread of its own; return what they return, in their order."""
    line = Barrier(len(acts))

    def run(act: Callable[[], T]) -> T:
        line.wait(_PATIENCE)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(_PATIENCE) for future in [pool.submit(run, act) for act in acts]]


def post(
    http: httpx2.Client, path: str, auth: tuple[str | bytes, str | bytes], **parameters: str | None
) -> Callable[[], httpx2.Response]:
    """Return the act of posting a form."""
    sent = {name: value for name, value in parameters.items() if value is not None}
    return lambda: http.post(path, data=sent, auth=auth)
