"""What clients have to be told until they have heard it: taken out of the store and sent, by a few threads.

A message is put into the store by the transaction that is the reason for it (``store.jobs``), so nothing is lost when a
process dies, and every process that has such threads sends what is due: right after its own requests (``nudge``), and
those of the worker also later. Whoever takes a job has it for a while, alone. An answer of success ends it; no answer,
or one that says "not now", puts it off, each time for longer; any other refusal is final. Redirects are not followed.

A client that does not answer rests for a while: of ten thousand messages for it, each of which would hold a thread up
until its time is over, few are tried, and those for others come through.
"""

import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock, Thread, current_thread
from time import monotonic
from typing import Final

from authserver.clock import HOUR, MINUTE, SECOND, now
from authserver.courier import Message
from authserver.outbound import DEADLINE, Outbound, OutboundError
from authserver.records import Event, Job
from authserver.store import Store
from authserver.store.errors import StoreError

logger = logging.getLogger(__name__)

Write = Callable[[Job], Message]
"""Makes the message of a job; raises Unwritten."""

THREADS: Final = 8
LEASE: Final = MINUTE  # that a job is its taker's
_SENDING: Final = round((DEADLINE + 5) * SECOND)  # of the lease, at least, when the sending begins
_FIRST: Final = 2 * SECOND
_LONGEST: Final = HOUR
_DOUBLINGS: Final = 20  # more would be the longest anyway
_REST: Final = MINUTE  # of a client that does not answer, at the longest
_REMEMBERED: Final = 10_000
_ACTOR: Final = "worker"


class Unwritten(Exception):
    """A message cannot be written; the argument is a fixed phrase. It may be tried again unless it is ``final``."""

    def __init__(self, reason: str, *, final: bool) -> None:
        super().__init__(reason)
        self.final = final


class Deliveries:
    """Sends for this process; safe for many threads, and for a fork before the first nudge."""

    def __init__(self, store: Store, outbound: Outbound, writers: Mapping[str, Write]) -> None:
        self._store = store
        self._outbound = outbound
        self._writers = writers
        self._lock = Lock()
        self._threads: set[Thread] = set()
        self._asked = False
        self._closed = False
        self._resting: dict[str, tuple[int, int]] = {}  # failures in a row, and until when nothing is tried

    def nudge(self) -> None:
        """Have what is due sent, now, by other threads; the caller waits for nothing."""
        with self._lock:
            self._asked = True
            if len(self._threads) >= THREADS or self._closed:
                return
            # A daemon: a slow receiver must not hold up the end of the process, after which another one goes on.
            thread = Thread(target=self._work, name="deliveries", daemon=True)
            # Before the lock is free: who waits for the threads can only wait for what has begun. A machine that has no
            # thread to give now is asked again with the next nudge.
            with suppress(RuntimeError):
                thread.start()
                self._threads.add(thread)

    def close(self, seconds: float = 2.0) -> None:
        """Take nothing more; give what is under way a moment to end."""
        self._closed = True
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        """Wait until the threads that are at work now have ended, so long at the most."""
        with self._lock:
            threads = tuple(self._threads)
        until = monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))

    def run(self) -> int:
        """Send what is due, in this thread and others, until nothing is; return how many this one has tried."""
        tried = 0
        while not self._closed:
            job = self._store.jobs.take(now() + LEASE)
            if job is None:
                break
            # There may be more: another thread looks, so that a slow receiver holds nobody up.
            self.nudge()
            self._deliver(job)
            tried += 1
        return tried

    def _work(self) -> None:
        while self._is_asked():
            try:
                self.run()
            except StoreError as error:
                # Asked again every second, and the others who miss the store say so, too.
                logger.debug("deliveries were put off: %s", error)
            except Exception:
                logger.exception("deliveries failed and will be tried again")

    def _is_asked(self) -> bool:
        """Say whether somebody has asked since the last look; else the thread that asks here counts as ended."""
        with self._lock:
            goes_on, self._asked = self._asked and not self._closed, False
            if not goes_on:
                self._threads.discard(current_thread())
            return goes_on

    def _deliver(self, job: Job) -> None:
        facts: dict[str, str | int] = {"kind": job.kind, "sid": job.sid, "attempts": job.attempts}
        failures, rests_until = self._resting.get(job.client_id, (0, 0))
        # The upper bound is for a clock that was set back.
        if 0 < rests_until - now() <= _REST and rests_until < job.expires_at:
            # Each time for longer, this way too: ten thousand that only wait are not to be written anew every minute.
            due_at = max(rests_until + pause(1), now() + pause(job.attempts))
            self._store.jobs.postpone(job, min(due_at, job.expires_at), "the client did not answer others")
            return
        if failures:
            # One looks whether the client is back; the other threads go on with what is for others.
            self._let_rest(job.client_id, failures)
        reason, final = self._send(job)
        if reason is None:
            self._resting.pop(job.client_id, None)
            self._end(job, "job.delivered", facts)
            return
        if not final:
            self._let_rest(job.client_id, failures + 1)
        due_at = now() + pause(job.attempts)
        if final or due_at >= job.expires_at:
            self._end(job, "job.failed", {**facts, "reason": reason})
            return
        logger.warning("not delivered yet", extra={**facts, "client_id": job.client_id, "reason": reason})
        self._store.jobs.postpone(job, due_at, reason)

    def _let_rest(self, client_id: str, failures: int) -> None:
        if len(self._resting) >= _REMEMBERED:
            self._resting = {}
        self._resting[client_id] = failures, now() + min(pause(failures), _REST)

    def _send(self, job: Job) -> tuple[str | None, bool]:
        """Try once; return what was wrong, None where nothing was, and whether that is final."""
        if job.kind not in self._writers:
            return "switched off since", True
        if job.expires_at <= now():
            return "nobody has tried in time", True
        try:
            message = self._writers[job.kind](job)
            if now() > job.due_at - _SENDING:
                # Held up on the way (a key that had to be fetched, a machine that slept): it may be another's soon.
                return "it took too long to begin", False
            status = self._outbound.post(message.url, message.headers, message.body)
        except Unwritten as problem:
            return str(problem), problem.final
        except OutboundError as error:
            return str(error), False
        except StoreError:
            raise
        except Exception:
            logger.exception("a message could not be made", extra={"kind": job.kind, "client_id": job.client_id})
            return "a mistake of ours", False
        return (None, True) if 200 <= status < 300 else (f"status {status}", is_final(status))

    def _end(self, job: Job, name: str, facts: Mapping[str, str | int]) -> None:
        self._store.jobs.finish(job, Event(name, _ACTOR, job.client_id, job.sub, facts))


def is_final(status: int) -> bool:
    """Say whether an answer says that trying again would change nothing (RFC 9110 15.5)."""
    return 400 <= status < 500 and status not in {408, 429}


def pause(attempts: int) -> int:
    """Return how long to wait after so many attempts: longer each time, and never for all at the same moment."""
    longest = min(_FIRST * 2 ** min(attempts - 1, _DOUBLINGS), _LONGEST)
    return random.randint(longest // 2, longest)  # noqa: S311 - nobody gains by guessing it
