"""What was used once and must not be used again: identifiers of DPoP proofs (RFC 9449 section 11.1).

https://www.rfc-editor.org/rfc/rfc9449#section-11.1

Whoever may use a proof twice gets an answer twice. So the memory fails closed: full, or out of reach, it refuses.
"""

import heapq
import threading
import time
from collections.abc import Callable
from typing import Protocol

from resourceserver.dpop import PAST


class ReplaysUnavailableError(Exception):
    """The memory is full or cannot be reached, so nobody can say whether a proof is new."""


class Replays(Protocol):
    """A memory of used proofs, for a resource server of one process or many: all of them must share it."""

    def first_time(self, key: str, expires_at: int) -> bool:
        """Remember `key` until `expires_at` (POSIX seconds); say whether it was not remembered before.

        One atomic step: of many callers with one key, exactly one hears True. Raises ReplaysUnavailableError.
        """


class MemoryReplays:
    """The memory of one process, for at most `most` proofs at a time. Safe for many threads.

    It forgets with the process, so what was made before it began is taken for used already.
    """

    def __init__(self, most: int = 100_000, *, clock: Callable[[], float] = time.time) -> None:
        if most < 1:
            raise ValueError("a memory of proofs holds at least one")
        self._most = most
        self._clock = clock
        self._born = clock()
        self._lock = threading.Lock()
        self._keys: set[str] = set()
        self._ends: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._keys)

    def first_time(self, key: str, expires_at: int) -> bool:
        now = self._clock()
        if expires_at <= max(now, self._born + PAST):
            return False
        with self._lock:
            while self._ends and self._ends[0][0] <= now:
                self._keys.remove(heapq.heappop(self._ends)[1])
            if key in self._keys:
                return False
            if len(self._keys) >= self._most:
                raise ReplaysUnavailableError
            self._keys.add(key)
            heapq.heappush(self._ends, (expires_at, key))
        return True
