"""State that belongs to one process, where servers fork after the program was loaded.

Neither threads nor connections survive a fork, and a lock may have been held in the middle of it.
"""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

State = TypeVar("State")


class PerProcess(Generic[State]):
    """Gives each process a state of its own, made when it is first asked for."""

    def __init__(self, make: Callable[[], State]) -> None:
        self._make = make
        self._held: dict[int, State] = {}

    def get(self) -> State:
        """Return the state of this process."""
        pid = os.getpid()
        state = self._held.get(pid)
        # No lock of ours: that of the parent process may never be released here. setdefault has one winner.
        return self._held.setdefault(pid, self._make()) if state is None else state
