"""Worker processes, and the process that watches over them: it starts, replaces and ends them."""

import gc
import logging
import math
import multiprocessing
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Final, NamedTuple

from resourceserver.serving import lifeline

_YOUNG: Final = 10.0  # seconds; a worker that dies sooner would die again
_TOGETHER: Final = 0.5  # seconds within which all processes of a group have heard a signal
_ENDINGS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LATE: Final = 2  # seconds after the grace in which a master that lives has ended a worker
_ORDINARY: Final = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR"}
)


class Life:
    """What a worker process hears, and tells."""

    def __init__(self, ready: Connection, grace: float) -> None:
        self._ready = ready
        self._grace = grace
        # A queue of this kind may be used by a handler that interrupts its user. An event may not: told twice, by a
        # service manager and by the master, the second handler would wait for the lock that the first one holds.
        self._told: queue.SimpleQueue[int] = queue.SimpleQueue()
        signal.signal(signal.SIGTERM, self._hear)

    @property
    def over(self) -> bool:
        """Whether it has been told to end."""
        return not self._told.empty()

    def ready(self) -> None:
        """Tell that it serves."""
        self._ready.send_bytes(b"ready")

    def wait(self) -> None:
        """Wait until it is told to end."""
        self._told.get()

    def limit(self) -> None:
        """Have this process end when its grace is over, also where no master is left who would see to that."""
        signal.alarm(math.ceil(self._grace) + _LATE)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if not self.over:
            self.limit()
        self._told.put(number)


Work = Callable[[Life], None]
"""What a worker process does until it is told to end."""


def endings() -> list[signal.Signals]:
    """Return the signals that end this process. Who ignores the end of the terminal is to outlive it (nohup)."""
    return [number for number in _ENDINGS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]


def forget(prefix: str) -> None:
    """Remove settings that have been read: nothing that runs from here on may find a secret in its environment."""
    for name in [name for name in os.environ if name.startswith(prefix)]:
        del os.environ[name]


def keep_ordinary() -> None:
    """Remove from the environment what a server has no use for: other programs' secrets, and their settings.

    What begins with PG stays, for PostgreSQL's own library: with PGSSLMODE gone it would go without TLS.
    """
    for name in [name for name in os.environ if name not in _ORDINARY and not name.startswith("PG")]:
        del os.environ[name]


class _Worker(NamedTuple):
    process: BaseProcess
    started_at: float


def run(works: Sequence[Work], *, grace: float, log: logging.Logger, announce: Callable[[], None]) -> int:
    """Run a process for each work until SIGTERM, SIGINT or SIGHUP; return the exit status.

    ``announce`` is called when all of them serve. Who is told to end has ``grace`` seconds for what is under way.
    Elsewhere than on Linux the works are pickled.
    """
    return _Master(works, grace, log, announce).run()


class _Master:
    def __init__(self, works: Sequence[Work], grace: float, log: logging.Logger, announce: Callable[[], None]) -> None:
        self._works = works
        self._grace = grace
        self._log = log
        self._announce = announce
        # Forked workers share what is imported; elsewhere than on Linux a fork is not safe.
        self._context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self._workers: dict[int, _Worker] = {}

    def run(self) -> int:
        reading, writing = self._context.Pipe(duplex=False)
        if sys.platform != "linux":
            # The first process of this kind brings another one, whose start would take off the mask that `_start` lays.
            resource_tracker.ensure_running()
        try:
            with _signals() as bell:
                # What stands now stays: no collection looks at it again, and its pages stay shared with the workers.
                gc.collect()
                gc.freeze()
                for index in range(len(self._works)):
                    self._start(index, writing)
                return self._watch(bell, reading, writing)
        finally:
            self._stop()

    def _start(self, index: int, ready: Connection) -> None:
        process = self._context.Process(
            target=_live, args=(self._works[index], os.getpid(), ready, self._grace), name=f"worker-{index + 1}"
        )
        # Until the new process has handlers of its own, what it is told waits: it has ours, which ring for us alone.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._workers[index] = _Worker(process, time.monotonic())

    def _watch(self, bell: int, ready: Connection, writing: Connection) -> int:
        waiting = len(self._workers)
        while True:
            sentinels = {worker.process.sentinel: index for index, worker in self._workers.items()}
            for source in wait([bell, ready, *sentinels]):
                if source == bell:
                    return 0
                if source is ready:
                    ready.recv_bytes()
                    waiting -= 1
                    if waiting == 0:
                        self._announce()
                elif isinstance(source, int):
                    if wait([bell], _TOGETHER):
                        # A signal to the whole group reached the worker a moment earlier (a service manager's stop).
                        return 0
                    if not self._replace(sentinels[source], writing):
                        return 1

    def _replace(self, index: int, ready: Connection) -> bool:
        worker = self._workers[index]
        worker.process.join()
        if time.monotonic() - worker.started_at < _YOUNG:
            self._log.error("worker %s ended (status %s) soon after its start", index + 1, worker.process.exitcode)
            return False
        self._log.error("worker %s ended (status %s); another takes its place", index + 1, worker.process.exitcode)
        self._start(index, ready)
        return True

    def _stop(self) -> None:
        until = time.monotonic() + self._grace
        for worker in self._workers.values():
            worker.process.terminate()
        for worker in self._workers.values():
            worker.process.join(max(0.0, until - time.monotonic()))
        for index, worker in self._workers.items():
            if worker.process.is_alive():
                self._log.warning("worker %s did not finish its requests in %s seconds", index + 1, self._grace)
                worker.process.kill()
                worker.process.join()


@contextmanager
def _signals() -> Iterator[int]:
    """Yield a descriptor that becomes readable when the server is told to end."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def ring(_number: int, _frame: FrameType | None) -> None:
        try:
            os.write(writing, b"!")
        except OSError:
            return

    heard = endings()
    for number in heard:
        signal.signal(number, ring)
    try:
        yield reading
    finally:
        # Whoever stops may be told to stop again: that changes nothing now.
        for number in heard:
            signal.signal(number, signal.SIG_IGN)


def _live(work: Work, master: int, ready: Connection, grace: float) -> None:
    # A terminal sends these to the whole group; what becomes of a worker is its master's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    life = Life(ready, grace)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)
    lifeline.follow(master)
    work(life)
    # A forked process runs no exit handlers: what a log has collected is written here.
    logging.shutdown()
