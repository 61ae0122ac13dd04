"""The worker processes of the authorization server, and what each of them does."""

import ctypes
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from authserver.settings import Settings, SettingsError
from resourceserver.serving import processes
from resourceserver.serving.processes import Life

log = logging.getLogger("authserver.serve")

_HEAD: Final = 24 * 1024  # bytes of a head: 8 KiB of URL and 16 KiB of header (DECISIONS, Limits)
_JOB_STEP: Final = 2.0  # seconds that a step of the work beside the requests may take to end
_M_MMAP_THRESHOLD: Final = -3  # mallopt(3)
_LARGE: Final = 1024 * 1024


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


def run(plan: Plan) -> int:
    """Serve until SIGTERM, SIGINT or SIGHUP; return the exit status."""
    ordinary = plan.settings.workers or len(_cpus()) or 1
    asking = plan.settings.mtls.workers if plan.certificates else 0
    works = [partial(_work, plan, index, certificates=index >= ordinary) for index in range(ordinary + asking)]
    return processes.run(works, grace=plan.grace, log=log, announce=partial(_announce, plan))


def _announce(plan: Plan) -> None:
    log.info("listening on %s, port %s", " and ".join(plan.addresses), plan.port)
    if plan.certificates:
        port = plan.settings.mtls.port
        log.info("asking for client certificates on %s, port %s", " and ".join(plan.certificates), port)


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


def _work(plan: Plan, index: int, life: Life, *, certificates: bool) -> None:
    """Be one worker: build the application, listen on every address, end when told to."""
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
    processes.forget("AUTHSERVER_")
    gc.freeze()
    server = application.extensions["authserver"]
    if certificates:
        from authserver.cli import tls

        tls.serve(application, server, plan.certificates, plan.grace, life)
    else:
        _listen(application, plan, life, jobs=plan.jobs and index == 0)
    server.deliveries.close()
    server.store.close()


def _listen(application: Any, plan: Plan, life: Life, *, jobs: bool) -> None:
    from resourceserver.serving.listeners import Listeners

    server = application.extensions["authserver"]
    end_jobs = _start_jobs(server) if jobs else None
    listeners = Listeners(application, plan.addresses, plan.port, threads=plan.settings.threads, head=_HEAD)
    life.ready()
    life.wait()
    if end_jobs is not None:
        end_jobs()
    server.feed.close()
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
