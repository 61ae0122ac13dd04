"""Granian's WSGI worker, one per address, over the same application."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from granian import _futures
from granian._granian import ListenerSpec, WorkerSignal, WSGIWorker
from granian.http import HTTP1Settings
from granian.wsgi import _callback_wrapper

_BACKLOG: Final = 1024
_HEAD_MS: Final = 15_000  # time for the head to arrive
_IDLE_THREAD: Final = 60  # seconds after which a thread without work ends

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Listeners:
    """Listen on every address from now on; ``head`` is the most bytes that the head of a request may have."""

    def __init__(
        self, application: Application, addresses: Sequence[str], port: int, *, threads: int, head: int
    ) -> None:
        logging.getLogger("_granian").setLevel(logging.WARNING)
        self._stopped = threading.Semaphore(0)
        self._signals = [WorkerSignal() for _ in addresses]
        loop = asyncio.new_event_loop()
        answer = bare_answer(application)
        create: Any = WSGIWorker  # its published signature is an older one
        scheduler: Any = _futures._new_cbscheduler  # noqa: SLF001 - granian's own way to call an application
        for number, (address, signalled) in enumerate(zip(addresses, self._signals, strict=True), 1):
            signalled.add_cb(self._stopped.release)
            worker = create(
                worker_id=number,
                sock=(ListenerSpec(address, port, _BACKLOG), None),
                ipc=None,
                py_threads=threads,
                py_threads_idle_timeout=_IDLE_THREAD,
                backpressure=_BACKLOG,
                http_mode="1",
                http1_opts=HTTP1Settings(header_read_timeout=_HEAD_MS, max_buffer_size=head),
                metrics=(None, None),
            )
            worker.serve_mtr(scheduler(loop, answer, impl_asyncio=True), loop, signalled)

    def stop(self) -> None:
        """Accept nothing more and wait until the requests under way are answered."""
        for signalled in self._signals:
            signalled.set()
        for _ in self._signals:
            self._stopped.acquire()


def bare_answer(application: Application) -> Any:
    """Return granian's caller of the application, made while the environment is empty.

    It copies the environment into every request's own: secrets would be in reach of any view that shows its environ,
    and a variable called HTTP_SOMETHING would pass for a header.
    """
    environment = dict(os.environ)
    os.environ.clear()
    try:
        return _callback_wrapper(application, {}, None)
    finally:
        os.environ.update(environment)
