"""Who follows the revocations in this process, and the one thread that looks for new ones for all of them.

A follower holds a thread of the web server as long as it listens, so there are seats, and only so many. The thread runs
while a seat is taken. Each of its looks wakes everybody who sits: also when nothing is new, they can say so.
"""

import logging
import secrets
import threading
from time import monotonic
from typing import Final, NamedTuple
from weakref import WeakSet

from authserver.store.errors import StoreError
from authserver.store.revocations import Revocations

log = logging.getLogger("authserver.feed")

PAUSE: Final = 0.2  # seconds between two looks
_SHORTEST: Final = 180  # seconds that a seat may be held, and up to so many more: not everybody comes again at once
_MORE: Final = 120
LONGEST: Final = _SHORTEST + _MORE


class Look(NamedTuple):
    """What was seen: the number of the last revocation there was when the look began (monotonic seconds)."""

    latest: int
    began: float


class Feed:
    """The seats of a process, and the look-out."""

    def __init__(self, revocations: Revocations, seats: int) -> None:
        self._revocations = revocations
        self._limit = seats
        # Weak: whatever a web server does with an answer that nobody reads, its seat becomes free with it.
        self._seats: WeakSet[Seat] = WeakSet()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self.looked = threading.Condition()
        self.looks = 0
        self.last = Look(0, 0.0)

    def sit_down(self) -> "Seat | None":
        """Return a seat; None when all are taken, nobody can look out, or this process is ending."""
        with self.looked:
            if len(self._seats) >= self._limit or self._ended.is_set():
                return None
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="revocations", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    # The machine has no thread to give: followers poll, and the next one tries again.
                    log.warning("revocations cannot be looked for: no thread")
                    return None
                self._thread = thread
            seat = Seat(self)
            self._seats.add(seat)
            return seat

    def leave(self, seat: "Seat") -> None:
        """Give a seat back."""
        with self.looked:
            self._seats.discard(seat)

    def close(self) -> None:
        """Have everybody leave, and let nobody sit down any more."""
        self._ended.set()
        with self.looked:
            self._clear()

    def _clear(self) -> None:
        for seat in self._seats:
            seat.over = True
        self._seats.clear()
        self.looked.notify_all()

    def _watch(self) -> None:
        while True:
            look = self._look()
            with self.looked:
                if look is None:
                    self._clear()
                else:
                    self.last = look
                    self.looks += 1
                    self.looked.notify_all()
                if not self._seats:
                    self._thread = None
                    return
            self._ended.wait(PAUSE)

    def _look(self) -> Look | None:
        """Look for the last revocation; None when nobody can say."""
        began = monotonic()
        try:
            return Look(self._revocations.latest().number, began)
        except StoreError as error:
            log.warning("nobody is told of revocations: %s", type(error).__name__)
        except Exception:
            log.exception("unexpected failure while looking for revocations")
        return None


class Seat:
    """One follower's place."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._seen = feed.looks
        self._until = monotonic() + _SHORTEST + secrets.randbelow(_MORE)
        self.over = False

    def wait(self) -> Look | None:
        """Wait for the end of the next look and return it, None to leave."""
        feed = self._feed
        with feed.looked:
            feed.looked.wait_for(lambda: self.over or feed.looks > self._seen, self._until - monotonic())
            if self.over or feed.looks == self._seen or monotonic() >= self._until:
                return None
            self._seen = feed.looks
            return feed.last

    def leave(self) -> None:
        """Give the seat back."""
        self._feed.leave(self)
