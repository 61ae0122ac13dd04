"""The web server: worker processes that each run granian's WSGI worker, and the process that watches over them.

Granian's own master listens on one address and reloads on SIGHUP; ours listens on several (127.0.0.1 and ::1), ends
when its terminal does, and its workers end when it does. Of granian it uses the worker alone.
"""

import ctypes
import gc
import logging
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Final, NamedTuple

from authserver.cli import lifeline
from authserver.settings import Settings, SettingsError

log = logging.getLogger("authserver.serve")

_BACKLOG: Final = 1024
_HEAD: Final = 24 * 1024  # bytes of a head: 8 KiB of URL and 16 KiB of header (DECISIONS, Limits)
_HEAD_MS: Final = 15_000  # time for the head to arrive
_IDLE_THREAD: Final = 60  # seconds after which a thread without work ends
_JOB_STEP: Final = 2.0  # seconds that a step of the work beside the requests may take to end
_YOUNG: Final = 10.0  # seconds; a worker that dies sooner would die again
_TOGETHER: Final = 0.5  # seconds within which all processes of a group have heard a signal
_M_MMAP_THRESHOLD: Final = -3  # mallopt(3)
_LARGE: Final = 1024 * 1024
_ENDINGS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Plan(NamedTuple):
    """What a server is to do."""

    settings: Settings
    addresses: tuple[str, ...]
    port: int
    jobs: bool
    """Run cleaning and key rotation in the first worker."""
    grace: float
    """Seconds that requests under way have to finish when the server ends."""
    certificates: tuple[str, ...] = ()
    """Addresses on which client certificates are asked for, by workers of their own."""


class _Worker(NamedTuple):
    process: BaseProcess
    started_at: float


def run(plan: Plan) -> int:
    """Serve until SIGTERM, SIGINT or SIGHUP; return the exit status."""
    return _Master(plan).run()


class _Master:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        # Forked workers share what is imported; elsewhere than on Linux a fork is not safe.
        self._context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self._workers: dict[int, _Worker] = {}

    def run(self) -> int:
        reading, writing = self._context.Pipe(duplex=False)
        with _signals() as bell:
            # What stands now stays: no collection looks at it again, and its pages stay shared with the workers.
            gc.collect()
            gc.freeze()
            for index in range(_count(self._plan.settings) + _count_tls(self._plan)):
                self._start(index, writing)
            status = self._watch(bell, reading, writing)
        self._stop()
        return status

    def _start(self, index: int, ready: Connection) -> None:
        process = self._context.Process(
            target=_work, args=(self._plan, index, os.getpid(), ready), name=f"worker-{index + 1}"
        )
        # Until the new process has handlers of its own, what it is told waits: it has ours, which ring for us alone.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
        process.start()
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
                        self._tell()
                elif isinstance(source, int):
                    if wait([bell], _TOGETHER):
                        # A signal to the whole group reached the worker a moment earlier (a service manager's stop).
                        return 0
                    if not self._replace(sentinels[source], writing):
                        return 1

    def _tell(self) -> None:
        plan = self._plan
        log.info("listening on %s, port %s", " and ".join(plan.addresses), plan.port)
        if plan.certificates:
            port = plan.settings.mtls.port
            log.info("asking for client certificates on %s, port %s", " and ".join(plan.certificates), port)

    def _replace(self, index: int, ready: Connection) -> bool:
        worker = self._workers[index]
        worker.process.join()
        if time.monotonic() - worker.started_at < _YOUNG:
            log.error("worker %s ended (status %s) soon after its start", index + 1, worker.process.exitcode)
            return False
        log.error("worker %s ended (status %s); another takes its place", index + 1, worker.process.exitcode)
        self._start(index, ready)
        return True

    def _stop(self) -> None:
        until = time.monotonic() + self._plan.grace
        for worker in self._workers.values():
            worker.process.terminate()
        for worker in self._workers.values():
            worker.process.join(max(0.0, until - time.monotonic()))
        for index, worker in self._workers.items():
            if worker.process.is_alive():
                log.warning("worker %s did not finish its requests in %s seconds", index + 1, self._plan.grace)
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

    before = {number: signal.signal(number, ring) for number in _ENDINGS}
    try:
        yield reading
    finally:
        # Whoever stops may be told to stop again: that changes nothing now.
        for number in before:
            signal.signal(number, signal.SIG_IGN)


def _count(settings: Settings) -> int:
    return settings.workers or len(_cpus()) or 1


def _count_tls(plan: Plan) -> int:
    return plan.settings.mtls.workers if plan.certificates else 0


def _cpus() -> list[int]:
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))


def _pin(settings: Settings, index: int) -> None:
    """Keep a worker on one CPU where SQLite makes threads hand over often: that halves the cost of a request."""
    cpus, setaffinity = _cpus(), getattr(os, "sched_setaffinity", None)
    if setaffinity and len(cpus) > 1 and settings.database_url.startswith("sqlite"):
        try:
            setaffinity(0, {cpus[index % len(cpus)]})
        except OSError:
            log.debug("the system does not let a worker choose its CPU")


def _give_memory_back() -> None:
    """Have glibc return large pieces of memory at once, instead of keeping several argon2 hashes' worth for later."""
    try:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
    except (AttributeError, OSError):
        log.debug("the C library has no mallopt")


def _work(plan: Plan, index: int, master: int, ready: Connection) -> None:
    """Be one worker: build the application, listen on every address, end on SIGTERM."""
    # A terminal sends these to the whole group; what becomes of a worker is its master's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # A queue of this kind may be used by a handler that interrupts its user. An event may not: told twice, by a
    # service manager and by the master, the second handler would wait for the lock that the first one holds.
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    signal.signal(signal.SIGTERM, lambda number, _frame: told.put(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)
    lifeline.follow(master)
    ordinary = index < _count(plan.settings)  # asked before the worker sees one CPU only
    _pin(plan.settings, index)
    _give_memory_back()
    from authserver import log as logs
    from authserver.app import create_app
    from authserver.keys import KeyRingError
    from authserver.store import StoreError

    logs.configure(plan.settings)
    try:
        application = create_app(plan.settings)
    except (SettingsError, KeyRingError, StoreError) as error:
        log.error("worker %s cannot start: %s", index + 1, error)  # noqa: TRY400 - the sentence says it all
        sys.exit(1)
    gc.freeze()
    server = application.extensions["authserver"]
    if ordinary:
        _listen(application, plan, told, ready, jobs=plan.jobs and index == 0)
    elif told.empty():
        from authserver.cli import tls

        tls.serve(application, server, plan.certificates, plan.grace, ready)
    server.deliveries.close()
    server.store.close()
    # A forked process runs no exit handlers: what the access log has collected is written here.
    logging.shutdown()


def _listen(application: Any, plan: Plan, told: queue.SimpleQueue[int], ready: Connection, *, jobs: bool) -> None:
    end_jobs = _start_jobs(application.extensions["authserver"]) if jobs else None
    listeners = _Listeners(application, plan)
    ready.send_bytes(b"ready")
    told.get()
    if end_jobs is not None:
        end_jobs()
    application.extensions["authserver"].feed.close()
    listeners.stop()


def _start_jobs(server: Any) -> Callable[[], None]:
    """Run the work beside the requests in a thread; return what ends it."""
    from authserver.worker import Worker

    worker = Worker(server.store, server.sealer, server.settings, server.deliveries)
    thread = threading.Thread(target=worker.run, name="worker", daemon=True)
    thread.start()

    def end() -> None:
        worker.stop()
        thread.join(_JOB_STEP)

    return end


class _Listeners:
    """One granian worker per address, over the same application."""

    def __init__(self, application: Any, plan: Plan) -> None:
        import asyncio

        from granian import _futures
        from granian._granian import ListenerSpec, WorkerSignal, WSGIWorker
        from granian.http import HTTP1Settings

        logging.getLogger("_granian").setLevel(logging.WARNING)
        self._stopped = threading.Semaphore(0)
        self._signals = [WorkerSignal() for _ in plan.addresses]
        loop = asyncio.new_event_loop()
        answer = _answer(application)
        create: Any = WSGIWorker  # its published signature is an older one
        scheduler: Any = _futures._new_cbscheduler  # noqa: SLF001 - granian's own way to call an application
        for number, (address, signalled) in enumerate(zip(plan.addresses, self._signals, strict=True), 1):
            signalled.add_cb(self._stopped.release)
            worker = create(
                worker_id=number,
                sock=(ListenerSpec(address, plan.port, _BACKLOG), None),
                ipc=None,
                py_threads=plan.settings.threads,
                py_threads_idle_timeout=_IDLE_THREAD,
                backpressure=_BACKLOG,
                http_mode="1",
                http1_opts=HTTP1Settings(header_read_timeout=_HEAD_MS, max_buffer_size=_HEAD),
                metrics=(None, None),
            )
            worker.serve_mtr(scheduler(loop, answer, impl_asyncio=True), loop, signalled)

    def stop(self) -> None:
        """Accept nothing more and wait until the requests under way are answered."""
        for signalled in self._signals:
            signalled.set()
        for _ in self._signals:
            self._stopped.acquire()


def _answer(application: Any) -> Any:
    """Return granian's caller of the application, made while the environment is empty.

    It copies the environment into every request's own: secrets would be in reach of any view that shows its environ,
    and a variable called HTTP_SOMETHING would pass for a header.
    """
    from granian.wsgi import _callback_wrapper

    environment = dict(os.environ)
    os.environ.clear()
    try:
        return _callback_wrapper(application, {}, None)
    finally:
        os.environ.update({name: value for name, value in environment.items() if not name.startswith("AUTHSERVER_")})
