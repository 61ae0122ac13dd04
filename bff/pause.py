"""Patience with a provider that does not answer: whoever waited in vain spares the others the same wait.

Callers of one document wait for each other, so without a pause a provider that hangs would hold them one after another,
and strangers could fill every thread with log-ins that lead nowhere.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from bff.errors import ProviderUnavailableError

Answer = TypeVar("Answer")


class Pause:
    """Leaves a provider that kept us waiting alone for as long as it kept us waiting; one that refuses at once, not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = float("-inf")

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Ask, one caller at a time; raises ProviderUnavailableError, without asking while the pause lasts."""
        began = self._clock()
        if began < self._until:
            raise ProviderUnavailableError
        try:
            return question()
        except ProviderUnavailableError:
            ended = self._clock()
            self._until = ended + (ended - began)
            raise
