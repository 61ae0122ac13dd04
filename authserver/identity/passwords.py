"""Passwords: what is accepted, how it is hashed (argon2id, RFC 9106), and how much work strangers can cause.

A hash is slow on purpose, so no more run at once than there are CPUs, a bounded number waits, and the rest is told to
come back: signing in may become slow under attack, the token endpoint may not.
"""

import os
import secrets
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from authserver import sections
from authserver.language import N_

if TYPE_CHECKING:
    from argon2 import PasswordHasher

KIND: Final = "password"
MIN_BYTES: Final = 12
MAX_BYTES: Final = 1024

TOO_SHORT: Final = N_("Use at least 12 characters. A few words that do not belong together are easy to remember.")
TOO_LONG: Final = N_("Use a shorter password: 1,024 bytes at the most.")
NOT_TEXT: Final = N_("This password holds a character that cannot be stored. Use another one.")
PERSONAL: Final = N_("Choose a password that is not your user name or e-mail address.")
TOO_EASY: Final = N_("This password is easy to guess. Add a few words that do not belong together.")

_MIN_SCORE: Final = 3
_ESTIMATED: Final = (32, 72)  # characters: zxcvbn refuses more, and where the shorter piece is good, it suffices
_PATIENCE: Final = 10.0  # seconds that a hash waits for its turn at the most
_SALT: Final = 16
_TAG: Final = 32

# zxcvbn keeps the inputs of a call in a module-wide dictionary, so two calls at once would read each other's.
_estimating = threading.Lock()


class TooBusy(Exception):
    """As many password hashes wait as may; try again in ``retry_after`` seconds."""

    retry_after = 2


class Verdict(NamedTuple):
    """Whether a password was right, and the hash to store instead where the stored one is not of today's cost."""

    right: bool
    upgraded: str | None = None


class Passwords:
    """The password hasher of one process."""

    def __init__(self, cost: sections.Passwords, slots: int | None = None) -> None:
        self._cost = cost
        self._slots = slots
        self._turns = threading.Condition()
        self._running = 0
        self._waiting = 0

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        import argon2  # noqa: PLC0415 - only a process needs it where somebody signs in

        cost = self._cost
        return argon2.PasswordHasher(cost.time_cost, cost.memory_kib, cost.parallelism, _TAG, _SALT)

    @cached_property
    def _nobody(self) -> str:
        """The hash of no password: verifying against it costs what a real one costs."""
        salt, tag = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (_SALT, _TAG))
        cost = self._cost
        return f"$argon2id$v=19$m={cost.memory_kib},t={cost.time_cost},p={cost.parallelism}${salt}${tag}"

    def hash(self, password: str) -> str:
        """Return the hash to store; raises ValueError for what ``problem`` refuses as text or size, and TooBusy."""
        data = _encode(password)
        if data is None:
            raise ValueError(NOT_TEXT)
        with self._turn():
            return self._hasher.hash(data)

    def verify(self, stored: str | None, password: str) -> Verdict:
        """Check a password against the stored hash; without one, spend the same time and say no. Raises TooBusy."""
        data = _encode(password)
        with self._turn():
            right = self._matches(stored or self._nobody, data or b"")
            if not right or stored is None or data is None:
                return Verdict(right=False)
            weak = self._hasher.check_needs_rehash(stored)
            return Verdict(right=True, upgraded=self._hasher.hash(data) if weak else None)

    def _matches(self, stored: str, data: bytes) -> bool:
        from argon2.exceptions import VerificationError, VerifyMismatchError  # noqa: PLC0415 - see _hasher

        try:
            return self._hasher.verify(stored, data)
        except VerifyMismatchError:
            return False
        except (VerificationError, ValueError):
            # A damaged row must not answer faster than a healthy one: whoever is told apart has been found.
            return stored is not self._nobody and self._matches(self._nobody, data)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for one of the places in which hashes run; raises TooBusy."""
        with self._turns:
            if self._running >= self._places():
                self._wait()
            self._running += 1
        try:
            yield
        finally:
            with self._turns:
                self._running -= 1
                self._turns.notify()

    def _wait(self) -> None:
        if self._waiting >= self._cost.queue:
            raise TooBusy
        self._waiting += 1
        until = monotonic() + _PATIENCE
        try:
            while self._running >= self._places():
                if not self._turns.wait(until - monotonic()):
                    raise TooBusy
        finally:
            self._waiting -= 1

    def _places(self) -> int:
        # Asked each time: a worker is pinned to its CPU only after it was started.
        return self._slots or _cpus()


def problem(password: str, personal: Iterable[str | None] = ()) -> str | None:
    """Say in a sentence why this password is not accepted for somebody of these names, or None when it is.

    Size in bytes of NFC, no composition rules, strength by zxcvbn (NIST SP 800-63B 3.1.1.2).
    """
    data = _text(password)
    if data is None:
        return NOT_TEXT
    if not MIN_BYTES <= len(data) <= MAX_BYTES:
        return TOO_SHORT if len(data) < MIN_BYTES else TOO_LONG
    text = data.decode()
    names = _names(personal)
    if _folded(text) in names:
        return PERSONAL
    return None if any(_score(text[:size], names) >= _MIN_SCORE for size in _ESTIMATED) else TOO_EASY


def _score(text: str, names: frozenset[str]) -> int:
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its word lists take 100 ms and 20 MB

    with _estimating:
        return int(zxcvbn(text, user_inputs=sorted(names))["score"])


def _names(personal: Iterable[str | None]) -> frozenset[str]:
    whole = {_folded(name) for name in personal if name}
    return frozenset(whole | {name.partition("@")[0] for name in whole})


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _encode(password: str) -> bytes | None:
    """Return the bytes that are hashed (RFC 8265 4.2: NFC), or None for what cannot be a password."""
    data = _text(password)
    return data if data is not None and len(data) <= MAX_BYTES else None


def _text(password: str) -> bytes | None:
    """Return the composed form in UTF-8, or None when there is none; what is far too long is not looked at."""
    try:
        return unicodedata.normalize("NFC", password[: 2 * MAX_BYTES]).encode()
    except UnicodeEncodeError:
        return None


def _cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
