"""How statements run: reads, single writes and transactions, with what SQLAlchemy would do around the driver.

A read is one statement without a transaction; so is a write of one statement. ``transaction`` is the only place that
begins one. Lost connections, collisions and driver errors are dealt with here; verbs see the store's own errors only.
"""

import logging
import os
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.sql import Executable

from authserver import clock
from authserver.records import Event
from authserver.store.connection import Link, Links
from authserver.store.errors import BadValue, Lost, Stale, Undone
from authserver.store.json_text import to_text
from authserver.store.statement import Cursor, R, Row, Statement, as_is
from authserver.store.tables import audit

# One of the two is enough at run time, and each takes a while to import.
if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

logger = logging.getLogger("authserver.audit")

T = TypeVar("T")
_ATTEMPTS = 4
_PAUSE = 0.005  # seconds; grows with each attempt
_TURN = 0x7265766F6B696E67  # "revoking": the advisory lock of who numbers revocations

_open_databases: "weakref.WeakSet[Database]" = weakref.WeakSet()


class Transaction:
    """What a transaction's work may do; ``now`` is its one time."""

    __slots__ = ("_cursor", "_database", "now")

    def __init__(self, database: "Database", cursor: Cursor) -> None:
        self._database = database
        self._cursor = cursor
        self.now = clock.now()

    def one(self, statement: Statement[R], /, **arguments: Any) -> R | None:
        """Run a statement that answers rows; return the first."""
        self._cursor.execute(statement.sql, statement.bind(**arguments))
        rows = self._cursor.fetchall()
        return statement.make(rows[0]) if rows else None

    def all(self, statement: Statement[R], /, **arguments: Any) -> list[R]:
        """Run a statement that answers rows; return them all."""
        self._cursor.execute(statement.sql, statement.bind(**arguments))
        return [statement.make(row) for row in self._cursor.fetchall()]

    def run(self, statement: Statement[Any], /, **arguments: Any) -> int:
        """Run a statement that answers no rows; return how many it changed."""
        self._cursor.execute(statement.sql, statement.bind(**arguments))
        return self._cursor.rowcount

    def lock(self, table: Table) -> None:
        """Keep other writers out of a table until the end; SQLite's transaction does so anyway."""
        if self._database.dialect_name == "postgresql":
            self._cursor.execute(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE")

    def take_turn(self) -> None:
        """Wait for the others that number revocations, and keep them waiting: numbers come in the order of the commits.

        It is the last thing that a transaction waits for, so no two wait for each other. On SQLite they never overlap.
        """
        if self._database.dialect_name == "postgresql":
            self._cursor.execute(f"SELECT pg_advisory_xact_lock({_TURN})")

    def audit(self, event: Event) -> None:
        """Write the event that this transaction is: both happen or neither."""
        tell(event)
        self.run(self._database.append_audit, **audit_values(event, self.now))

    def noted(self, changed: int, event: Event) -> bool:
        """Write the event if rows were changed; say whether they were."""
        if changed:
            self.audit(event)
        return changed > 0


class Database(ABC):
    """One database as this process sees it; SQLite and PostgreSQL differ in what is abstract here."""

    dialect_name: str

    def __init__(self, engine: Engine, limit: int, wait: float, token_life: int) -> None:
        self.engine = engine
        self.token_life = token_life  # microseconds after which no access token of the settings' making is alive
        self.links = Links(self.open, limit, wait)
        self.append_audit = self.prepare(audit.insert().inline(), keys=AUDIT_COLUMNS)
        _open_databases.add(self)

    @overload
    def prepare(self, core: Executable, *, keys: Sequence[str] | None = None) -> Statement[Row]: ...

    @overload
    def prepare(self, core: Executable, make: Callable[[Any], R]) -> Statement[R]: ...

    def prepare(
        self, core: Executable, make: Callable[[Any], Any] = as_is, *, keys: Sequence[str] | None = None
    ) -> Statement[Any]:
        """Compile a statement for this database; see ``Statement``."""
        return Statement(core, self.engine.dialect, make, keys)

    def one(self, statement: Statement[R], /, **arguments: Any) -> R | None:
        """Read one record; a value that no row can hold finds none."""
        rows = self._read(statement, statement.bind(**arguments))
        return statement.make(rows[0]) if rows else None

    def all(self, statement: Statement[R], /, **arguments: Any) -> list[R]:
        """Read records; a value that no row can hold finds none."""
        return [statement.make(row) for row in self._read(statement, statement.bind(**arguments))]

    def write(self, statement: Statement[Any], /, **arguments: Any) -> int:
        """Run a writing statement that is a whole transaction; return how many rows it changed."""
        return self._write(statement, statement.bind(**arguments))[0]

    def write_one(self, statement: Statement[R], /, **arguments: Any) -> R | None:
        """Run a writing statement that is a whole transaction and answers rows; return the first."""
        rows = self._write(statement, statement.bind(**arguments))[1]
        return statement.make(rows[0]) if rows else None

    def transaction(self, work: Callable[[Transaction], T], *, lasting: bool = False) -> T:
        """Run ``work`` in one transaction, again if the database undid it; ``lasting`` survives power loss, too."""
        for attempt in range(1, _ATTEMPTS):
            try:
                return self._transact(work, lasting=lasting)
            except Undone:
                time.sleep(_PAUSE * attempt)
        return self._transact(work, lasting=lasting)

    def close(self) -> None:
        """Close the connections."""
        self.links.close()
        self.engine.dispose()

    def after_fork(self) -> None:
        """Start anew in a forked child."""
        self.links.forget()

    @abstractmethod
    def insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        """Return the dialect's own INSERT, which knows ON CONFLICT."""

    @abstractmethod
    def connect(self) -> Any:
        """Open a driver connection, ready to use; raises the driver's errors."""

    @abstractmethod
    def exclusively(self) -> AbstractContextManager[Connection]:
        """Hold the schema: a Core connection inside a transaction that no second process gets at the same time."""

    @abstractmethod
    def translate(self, error: Exception, link: Link | None) -> Exception:
        """Return the store's error for a driver's; any other exception comes back as it is."""

    @abstractmethod
    def _begin(self, link: Link, *, lasting: bool) -> None:
        """Begin a transaction; ``lasting`` ones survive power loss."""

    @abstractmethod
    def _write(self, statement: Statement[Any], bound: Row) -> tuple[int, list[Row]]:
        """Run one writing statement; return its row count and rows."""

    @abstractmethod
    def _transact(self, work: Callable[[Transaction], T], *, lasting: bool) -> T:
        """Run a transaction once."""

    def open(self) -> Any:
        """Open a driver connection; raises the store's errors."""
        try:
            return self.connect()
        except Exception as error:  # noqa: BLE001 - whatever the driver raises becomes the store's own error
            raise self.translate(error, None) from None

    def _read(self, statement: Statement[Any], bound: Row) -> list[Row]:
        try:
            return self._execute(self.links, statement, bound)[1]
        except (Lost, Undone):
            return self._execute(self.links, statement, bound)[1]
        except BadValue:
            return []

    def _execute(self, links: Links, statement: Statement[Any], bound: Row) -> tuple[int, list[Row]]:
        """Run one statement on a connection in autocommit mode."""
        link = links.take()
        cursor = link.cursor
        try:
            cursor.execute(statement.sql, bound)
            # All rows, at once: SQLite holds its write lock until a RETURNING statement is read to its end.
            rows = cursor.fetchall() if statement.returns else []
            count = cursor.rowcount
        except BaseException as error:  # noqa: BLE001 - the connection must find its way back, whatever happened
            raise self._failed(link, error) from None
        links.give(link)
        return count, rows

    def _run(self, links: Links, work: Callable[[Transaction], T], *, lasting: bool) -> T:
        """Run BEGIN, the work and COMMIT or ROLLBACK on one connection."""
        link = links.take()
        cursor = link.cursor
        try:
            self._begin(link, lasting=lasting)
        except BaseException as error:  # noqa: BLE001 - as above
            failure = self._failed(link, error)
            raise Undone("lost before anything began") if isinstance(failure, Lost) else failure from None
        try:
            result = work(Transaction(self, cursor))
            cursor.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - as above
            raise self._rolled_back(link, error) from None
        links.give(link)
        return result

    def _rolled_back(self, link: Link, error: BaseException) -> BaseException:
        try:
            link.cursor.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 - a connection that cannot roll back is of no use, whatever it says
            link.home.drop(link)
            link.home.clear()
            return self.translate(error, link) if isinstance(error, Exception) else error
        return self._failed(link, error)

    def _failed(self, link: Link, error: BaseException) -> BaseException:
        """Give back or close the connection on which ``error`` happened; return what to raise."""
        if not isinstance(error, Exception):
            # Interrupted between two steps: nobody knows what the connection is in the middle of.
            link.home.drop(link)
            return error
        failure = self.translate(error, link)
        if isinstance(failure, Lost | Stale):
            # What ended or outdated this connection did the same to the idle ones.
            link.home.drop(link)
            link.home.clear()
        else:
            link.home.give(link)
        return failure


AUDIT_COLUMNS = ("at", "name", "actor", "client_id", "sub", "facts")


def tell(event: Event) -> None:
    """Say in the log, too, what goes into the audit trail; somebody else has held a token that is used again."""
    level = logging.WARNING if event.name.endswith(".reused") else logging.INFO
    facts = {"actor": event.actor, "client_id": event.client_id, "sub": event.sub, **event.facts}
    logger.log(level, event.name.replace("%", ""), {name: value for name, value in facts.items() if value})


def audit_values(event: Event, now: int) -> dict[str, Any]:
    """Return the column values of an audit event."""
    return {
        "at": now,
        "name": event.name,
        "actor": event.actor,
        "client_id": event.client_id,
        "sub": event.sub,
        "facts": to_text(event.facts),
    }


def _after_fork() -> None:
    for database in _open_databases:
        database.after_fork()


os.register_at_fork(after_in_child=_after_fork)
