"""The one clock of the server: integer microseconds since the epoch, UTC."""

import time

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_shift = 0


def now() -> int:
    """Return the current time in microseconds since the epoch."""
    return time.time_ns() // 1000 + _shift


def shift(seconds: float) -> None:
    """Move this process's clock by ``seconds`` from the real time (0 restores it); for tests."""
    global _shift  # noqa: PLW0603 - the clock is the one thing that a process has exactly one of
    _shift = int(seconds * SECOND)
