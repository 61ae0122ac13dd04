"""How often people and clients may try: atomic counters in the store, and a local count while the store is away.

A rate limit that cannot be kept over all nodes is kept by each process alone (DECISIONS, Faults): it slows guessing
down either way, and a limit that refuses everybody would be an attack by itself. Keys are digests: what a stranger
types is bounded in size and never stored.
"""

import hashlib
import logging
import threading
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Final, TypeVar

from authserver.clock import HOUR, MINUTE, SECOND, now
from authserver.records import Client
from authserver.settings import Settings
from authserver.store import Store
from authserver.store.errors import StoreError

logger = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_DELAY: Final = 300  # seconds
_TRIES: Final = "sign-in.tries"
_PAUSE: Final = "sign-in.pause"
_OWNER: Final = "sign-in.owner"
_ADDRESS: Final = "sign-in.address"
_STRANGER: Final = "stranger.address"
_CLIENT: Final = "client.failures"
_LOCAL_KEYS: Final = 10_000


class Exceeded(Exception):
    """Too many tries; the next one counts after ``retry_after`` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many tries")
        self.retry_after = retry_after


class Limits:
    """The limits of one deployment, as one process sees them."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._limits = settings.limits
        self._local = LocalCounters()
        self._here = LocalCounters()
        self._refused = LocalCounters()  # clients over their limit, and until when: asked at every token request

    def check_client(self, client_id: str, address: str) -> None:
        """Raise Exceeded when this client failed to authenticate too often from this address.

        It asks memory alone: a process that has not seen the limit passed learns it from its own next failure.
        """
        if self._refused.empty:
            return
        key = _key(client_id, network_of(address))
        _, until = self._refused.counted(_CLIENT, key)
        if until:
            raise Exceeded(_seconds_until(until))

    def count_client_failure(self, client_id: str, address: str) -> None:
        """Count a failed authentication (20 a minute per client and address)."""
        key = _key(client_id, network_of(address))
        if self._count(_CLIENT, key, MINUTE) >= self._limits.client_failures:
            self._refused.count(_CLIENT, key, MINUTE)

    def count_sign_in_from(self, address: str) -> None:
        """Count a sign-in from an address (for IPv6 its /64); raises Exceeded past 30 a minute."""
        self.count(_ADDRESS, network_of(address), MINUTE, self._limits.sign_in_per_address)

    def count_stranger(self, address: str) -> None:
        """Count what is kept for a browser that is not known yet; raises Exceeded past 600 a minute."""
        self.count(_STRANGER, network_of(address), MINUTE, self._limits.strangers_per_address)

    def count(self, space: str, key: str, window_us: int, most: int) -> None:
        """Count one try of whatever kind; raises Exceeded when it is more than ``most`` in the window."""
        if self._count(space, _key(key), window_us) > most:
            raise Exceeded(max(1, window_us // SECOND))

    def uncount(self, space: str, key: str, window_us: int) -> None:
        """Take back a count: what was counted before it was looked at was not what is limited."""
        self._count(space, _key(key), window_us, -1)

    def count_here(self, space: str, key: str, window_us: int, most: int) -> None:
        """Count one try in this process alone, without asking the store; raises Exceeded past ``most``."""
        if self._here.count(space, _key(key), window_us) > most:
            raise Exceeded(max(1, window_us // SECOND))

    def reserve_try(self, account: str) -> None:
        """Take one of the tries on an account; raises Exceeded while it has to wait.

        Five are free, and then there is one after 1, 2, 4 … 300 s; all is forgotten an hour after the first. A try is
        taken before the password is looked at, so that a hundred at once are not a hundred guesses.
        """
        key, free = _key(account), self._limits.sign_in_free
        tries = self._counted(_TRIES, key)
        if tries >= free:
            self._pause(key, tries - free + 1)
            self._count(_TRIES, key, HOUR)
            return
        number = self._count(_TRIES, key, HOUR)
        # The last free try begins the first pause: whoever cannot begin it was overtaken, and did not try.
        if number > free or (number == free and not self._first_time(key, SECOND)):
            self._count(_TRIES, key, HOUR, -1)
            raise Exceeded(1)

    def return_try(self, account: str) -> None:
        """Give back a try that was not one: the server was too busy to look at the password."""
        self._count(_TRIES, _key(account), HOUR, -1)

    def forget_tries(self, account: str) -> None:
        """Forget the tries on an account after the right password."""
        key = _key(account)
        self._forget(_TRIES, key)
        self._forget(_PAUSE, key)

    def remember_owner(self, counter: str, until: int) -> None:
        """Remember that an owner's browser has a counter of its own; forgetting it costs a wait, nothing else."""
        self._ask(lambda: self._store.ephemeral.first_time(_OWNER, _key(counter), until), lambda: False)

    def is_owner(self, counter: str) -> bool:
        """Say whether this counter is that of an owner's browser."""
        return self._ask(lambda: self._store.ephemeral.get(_OWNER, _key(counter)) is not None, lambda: False)

    def _pause(self, key: str, step: int) -> None:
        """Begin the pause after this try, which exactly one caller can; raises Exceeded for the others."""
        length = min(2 ** min(step, 16), LONGEST_DELAY)
        if not self._first_time(key, length * SECOND):
            raise Exceeded(self._ask(lambda: self._left(key), lambda: 1))

    def _left(self, key: str) -> int:
        item = self._store.ephemeral.get(_PAUSE, key)
        return _seconds_until(item.expires_at) if item else 1

    def _first_time(self, key: str, length_us: int) -> bool:
        return self._ask(
            lambda: self._store.ephemeral.first_time(_PAUSE, key, now() + length_us),
            lambda: self._local.count(_PAUSE, key, length_us) == 1,
        )

    def _forget(self, space: str, key: str) -> None:
        self._local.forget(space, key)
        self._ask(lambda: self._store.ephemeral.forget(space, key), lambda: None)

    def _count(self, space: str, key: str, window_us: int, amount: int = 1) -> int:
        return self._ask(
            lambda: self._store.ephemeral.count(space, key, window_us, amount),
            lambda: self._local.count(space, key, window_us, amount),
        )

    def _counted(self, space: str, key: str) -> int:
        return self._ask(
            lambda: self._store.ephemeral.counted(space, key)[0], lambda: self._local.counted(space, key)[0]
        )

    @staticmethod
    def _ask(store: Callable[[], T], local: Callable[[], T]) -> T:
        try:
            return store()
        except StoreError as error:
            logger.warning("a limit is counted by this process alone: %s", type(error).__name__)
            return local()


class LocalCounters:
    """Counters of one process, a bounded number of them: the oldest window goes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}

    def count(self, space: str, key: str, window_us: int, amount: int = 1) -> int:
        """Add to a counter that begins anew ``window_us`` after its first count; return the sum."""
        moment = now()
        with self._lock:
            total, until = self._counts.get((space, key), (0, 0))
            if until <= moment:
                self._counts.pop((space, key), None)
                total, until = 0, moment + window_us
                if len(self._counts) >= _LOCAL_KEYS:
                    del self._counts[next(iter(self._counts))]
            self._counts[space, key] = total + amount, until
            return total + amount

    @property
    def empty(self) -> bool:
        """Say whether nothing was ever counted, or all of it was removed."""
        return not self._counts

    def counted(self, space: str, key: str) -> tuple[int, int]:
        """Return a counter's sum and the end of its window; (0, 0) when nothing was counted."""
        total, until = self._counts.get((space, key), (0, 0))
        return (total, until) if until > now() else (0, 0)

    def forget(self, space: str, key: str) -> None:
        """Remove a counter."""
        with self._lock:
            self._counts.pop((space, key), None)


def sender_of(client: Client, address: str) -> str:
    """Name who sends a request: a client that has proven itself, or one that anybody may name, by its network, too."""
    return f"{client.client_id}\0{network_of(address)}" if client.public else client.client_id


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Return what one subscriber holds: the address itself, for IPv6 its /64 (a household has 2^64 of them)."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))


def _key(*parts: str) -> str:
    data = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()


def _seconds_until(moment: int) -> int:
    return max(1, -((now() - moment) // SECOND))
