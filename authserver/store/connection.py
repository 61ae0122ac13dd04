"""The driver connections of one process.

SQLAlchemy's pool costs more per check-out than a prepared read. Here a verb takes the connection that was given back
last (two atomic steps on a deque) and gives it back: no more connections than verbs that ran at the same moment,
nothing that hangs on a thread which may die, and the most used connection has the warmest caches.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

from authserver.store.errors import Busy
from authserver.store.statement import Cursor


class Link:
    """One driver connection, the cursor on which statements run, and where it is given back."""

    __slots__ = ("cursor", "driver", "home")

    def __init__(self, driver: Any, home: "Links") -> None:
        self.driver = driver
        self.cursor: Cursor = driver.cursor()
        self.home = home


class Links:
    """Open connections, ``limit`` at the most; who finds none waits ``wait`` seconds and gets Busy."""

    def __init__(self, connect: Callable[[], Any], limit: int, wait: float) -> None:
        self._connect = connect
        self._limit = limit
        self._wait = wait
        self._closed = False
        self._abandoned: list[deque[Link]] = []
        self._reset()

    def _reset(self) -> None:
        self._idle: deque[Link] = deque()
        self._count = 0
        self._waiting = 0
        self._changed = threading.Condition()

    def take(self) -> Link:
        """Return a connection for this thread alone; raises Busy or what opening one raises."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._wait_or_open()

    def give(self, link: Link) -> None:
        """Take a connection back that is fit for the next verb."""
        if self._closed:
            self.drop(link)
            return
        self._idle.append(link)
        # Who waits has counted itself before it looked at the deque for the last time, so one of both sees the other.
        if self._waiting:
            with self._changed:
                self._changed.notify()

    def drop(self, link: Link) -> None:
        """Close a connection that nobody should use again."""
        with contextlib.suppress(Exception):
            link.driver.close()
        with self._changed:
            self._count -= 1
            self._changed.notify()

    def clear(self) -> None:
        """Close what is idle: when the server closed one connection, it closed the others, too."""
        while True:
            try:
                link = self._idle.pop()
            except IndexError:
                return
            self.drop(link)

    def close(self) -> None:
        """Close every connection; those in use when they come back."""
        self._closed = True
        self.clear()

    def forget(self) -> None:
        """Start empty in a forked child: the connections are the parent's, and closing them would end them there."""
        self._abandoned.append(self._idle)
        self._reset()

    def _wait_or_open(self) -> Link:
        until = monotonic() + self._wait
        with self._changed:
            self._waiting += 1
            try:
                while self._count >= self._limit:
                    with contextlib.suppress(IndexError):
                        return self._idle.pop()
                    if not self._changed.wait(until - monotonic()):
                        raise Busy("no connection was free in time")
                self._count += 1
            finally:
                self._waiting -= 1
        try:
            return Link(self._connect(), self)
        except BaseException:
            with self._changed:
                self._count -= 1
                self._changed.notify()
            raise
