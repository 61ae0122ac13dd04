"""SQLite: one file, several processes of one machine; one writer at a time, readers never wait.

Write-ahead log; BEGIN IMMEDIATE guards every read-then-write. In a process, writers queue at a lock that wakes the next
at once (SQLite itself polls with growing sleeps). After one of them waited in vain, the next half second's writers try
without waiting, so that waits do not add up while another process holds the database.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self

from sqlalchemy import URL, Connection, Table, create_engine
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.pool import NullPool

from authserver.clock import SECOND
from authserver.settings import Settings, SettingsError
from authserver.store.checkpoint import LONGEST_LOG, Checkpoints
from authserver.store.connection import Link, Links
from authserver.store.database import Database, T, Transaction
from authserver.store.errors import BadValue, Busy, Conflict, StoreError, Unavailable
from authserver.store.statement import Row, Statement

_OLDEST = (3, 35)  # RETURNING
_SPARE = 8  # connections beside one per thread: jobs, the command line
_UPGRADE_SECONDS = 60  # for another process that is upgrading
_PAUSE = 0.005  # seconds between tries to switch a new file to the write-ahead log
_AWAY = {
    "SQLITE_CANTOPEN",
    "SQLITE_IOERR",
    "SQLITE_FULL",
    "SQLITE_READONLY",
    "SQLITE_NOTADB",
    "SQLITE_CORRUPT",
    "SQLITE_PERM",
}


class _Cursor(sqlite3.Cursor):
    """A cursor that takes what PostgreSQL takes: no text with a NUL character, where many a tool would cut it off."""

    def execute(self, sql: str, parameters: Row = ()) -> Self:  # type: ignore[override] # called by position only
        for value in parameters:
            if value.__class__ is str and "\0" in value:
                raise BadValue("a value does not fit the database")
        return super().execute(sql, parameters)


class _Connection(sqlite3.Connection):
    """A connection whose cursors are ours."""

    def cursor(self) -> _Cursor:  # type: ignore[override] # there is only one kind
        return super().cursor(_Cursor)


class SqliteDatabase(Database):
    """The database in the file that the URL names."""

    dialect_name = "sqlite"

    def __init__(self, url: URL, settings: Settings) -> None:
        """Make the folder and the file, readable by their owner only; raises SettingsError when SQLite is too old."""
        check_version(sqlite3.sqlite_version)
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise SettingsError("AUTHSERVER_DATABASE_URL must name a file: a database in memory ends with its process")
        self._path = Path(url.database)
        self._busy = settings.database.busy_ms / 1000
        self._busy_ms = settings.database.busy_ms
        self._full = settings.database.synchronous == "full"
        engine = create_engine(
            url, poolclass=NullPool, connect_args={"isolation_level": None, "timeout": _UPGRADE_SECONDS}
        )
        super().__init__(engine, settings.threads + _SPARE, self._busy, settings.tokens.longest_access * SECOND)
        # Only who holds the gate takes one of these, so there is one of each. Taking-away verbs survive power loss.
        self._lasting = Links(lambda: self.open_as(full=True), 1, self._busy)
        self._hurried = Links(lambda: self.open_as(full=True, wait=0), 1, self._busy)
        self._checkpoints = Checkpoints(self.connect)
        self._reset_gate()

    def _reset_gate(self) -> None:
        self._gate = threading.Lock()
        self._hurry_until = 0.0

    def after_fork(self) -> None:
        super().after_fork()
        self._lasting.forget()
        self._hurried.forget()
        self._checkpoints.reset()
        self._reset_gate()

    def close(self) -> None:
        self._checkpoints.close()
        super().close()
        self._lasting.close()
        self._hurried.close()

    def insert(self, table: Table) -> Insert:
        return Insert(table)

    def connect(self) -> sqlite3.Connection:
        return self._connect(full=self._full, wait=self._busy)

    def open_as(self, *, full: bool, wait: float | None = None) -> sqlite3.Connection:
        """Open a connection that syncs each commit (``full``) or waits ``wait`` seconds for locks."""
        try:
            return self._connect(full=full, wait=self._busy if wait is None else wait)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises becomes the store's own error
            raise self.translate(error, None) from None

    @contextmanager
    def exclusively(self) -> Iterator[Connection]:
        self.open_as(full=True, wait=_UPGRADE_SECONDS).close()
        with self.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA synchronous=FULL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def _connect(self, *, full: bool, wait: float) -> sqlite3.Connection:
        _make_file(self._path)
        driver = sqlite3.connect(
            self._path,
            timeout=wait,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=_Connection,
        )
        try:
            _write_ahead(driver, wait)
            driver.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            driver.execute("PRAGMA foreign_keys=ON")
            driver.execute(f"PRAGMA wal_autocheckpoint={LONGEST_LOG}")
        except BaseException:
            driver.close()
            raise
        return driver

    def translate(self, error: Exception, link: Link | None) -> Exception:  # noqa: ARG002 - PostgreSQL looks at it
        if isinstance(error, sqlite3.IntegrityError):
            # "UNIQUE constraint failed: users.username_canonical": names of the schema, never a value.
            return Conflict(str(error).rpartition(": ")[2])
        if isinstance(error, UnicodeEncodeError | OverflowError | sqlite3.DataError):
            return BadValue("a value does not fit the database")
        if isinstance(error, OSError):
            return Unavailable(f"the database file cannot be opened: {type(error).__name__}")
        if not isinstance(error, sqlite3.Error):
            return error
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Busy("the database is locked")
        if name in _AWAY or name.startswith("SQLITE_IOERR"):
            return Unavailable(f"the database cannot be used: {name}")
        return StoreError(f"{type(error).__name__} {name}: {error}")

    def _begin(self, link: Link, *, lasting: bool) -> None:  # noqa: ARG002 - which connection it is decides what lasts
        link.cursor.execute("BEGIN IMMEDIATE")

    def _write(self, statement: Statement[Any], bound: Row) -> tuple[int, list[Row]]:
        return self._alone(lambda links: self._execute(links, statement, bound), self.links)

    def _transact(self, work: Callable[[Transaction], T], *, lasting: bool) -> T:
        links = self._lasting if lasting else self.links
        return self._alone(lambda links: self._run(links, work, lasting=lasting), links)

    def _alone(self, act: Callable[[Links], T], links: Links) -> T:
        """Act as this process's only writer; raises Busy when that, or the database's lock, takes too long."""
        hurry = self._hurry_until > 0 and monotonic() < self._hurry_until
        if not self._gate.acquire(timeout=0 if hurry else self._busy):
            raise Busy("another writer took too long")
        try:
            result = act(self._hurried if hurry else links)
        except Busy:
            self._hurry_until = monotonic() + self._busy
            raise
        else:
            self._hurry_until = 0.0
            self._checkpoints.written()
            return result
        finally:
            self._gate.release()


def check_version(version: str) -> None:
    """Raise SettingsError when this Python's SQLite library is too old."""
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise SettingsError(f"SQLite {version} is too old: 3.35 or newer is needed (this Python was built with it)")


def _write_ahead(driver: sqlite3.Connection, wait: float) -> None:
    """Switch a new file to the write-ahead log: SQLite does not wait by itself when two processes do it at once."""
    deadline = monotonic() + wait
    while driver.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            driver.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or monotonic() >= deadline:
                raise
            sleep(_PAUSE)
        else:
            return


def _make_file(path: Path) -> None:
    """Make the database file before SQLite does, so that only its owner may read it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
