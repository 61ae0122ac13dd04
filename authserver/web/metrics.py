"""Counters of answers per endpoint and status, for ``/metrics``."""

from collections import Counter
from threading import Lock

_counts: Counter[tuple[str, int]] = Counter()
_lock = Lock()


def count(endpoint: str, status: int) -> None:
    """Count one answer."""
    with _lock:
        _counts[endpoint, status] += 1


def counts() -> dict[tuple[str, int], int]:
    """Return the counts of this process since its start."""
    with _lock:
        return dict(_counts)
