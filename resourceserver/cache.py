"""A bounded memory of recent answers about tokens, keyed by the token's digest and never by the token."""

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class RecentCache(Generic[Value]):
    """Keep at most `size` values; each is usable from when it was stored until its own end.

    The least recently used value leaves first. Safe for many threads. Times are POSIX seconds of the caller's clock.
    """

    __slots__ = ("_entries", "_lock", "_size")

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a cache holds at least one value")
        self._size = size
        self._entries: OrderedDict[bytes, tuple[Value, float, float]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes, now: float) -> Value | None:
        """Return the value stored under `digest`, or None when there is none that may still be used at `now`."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        value, stored_at, until = entry
        with self._lock:
            # A clock that was set back must not lengthen a value's life: before its own beginning it counts as stale.
            if not stored_at <= now < until:
                self._entries.pop(digest, None)
                return None
            if digest in self._entries:
                self._entries.move_to_end(digest)
        return value

    def put(self, digest: bytes, value: Value, now: float, until: float) -> None:
        """Store `value` for use from `now` until `until`; nothing is stored when that is no time at all."""
        if until <= now:
            self.forget(digest)
            return
        with self._lock:
            self._entries[digest] = (value, now, until)
            self._entries.move_to_end(digest)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def forget(self, digest: bytes) -> None:
        """Drop the value stored under `digest`, if any."""
        with self._lock:
            self._entries.pop(digest, None)
