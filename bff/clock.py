"""The time, in whole seconds since 1970 (UTC); the one place to freeze it."""

import time


def now() -> int:
    """Give the current time in whole seconds."""
    return int(time.time())
