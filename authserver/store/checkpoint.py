"""Copying SQLite's write-ahead log back into the database, beside the requests.

SQLite does it itself, in the commit that finds the log long enough: that request, and every writer behind it in this
process, then waits for two flushes of the disk, half a second where the disk is busy. So a thread of its own does it,
without keeping readers or writers out; what SQLite does is left for the case that the thread cannot.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Final

logger = logging.getLogger(__name__)

AFTER: Final = 1000  # writes; some 4,000 pages
LONGEST_LOG: Final = 16_000  # pages (64 MiB), after which SQLite's own way applies


class Checkpoints:
    """Counts the writes of this process and starts a checkpoint now and then."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self.reset()

    def reset(self) -> None:
        """Start anew in a forked child, where the thread does not exist."""
        self._written = 0
        self._due = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def written(self) -> None:
        """Count a write; called by one thread at a time."""
        self._written += 1
        if self._written < AFTER or self._closed:
            return
        self._written = 0
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
            self._thread.start()
        self._due.set()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._due.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while self._due.wait() and not self._closed:
            self._due.clear()
            try:
                with closing(self._connect()) as connection:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except Exception as error:  # noqa: BLE001 - the next one, or SQLite's own, makes up for it
                logger.warning("no checkpoint: %s", type(error).__name__)
