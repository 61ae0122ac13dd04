"""PostgreSQL: any number of nodes; statements prepared on the server, one round trip per verb where it can be."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Table, create_engine
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.pool import NullPool

from authserver.clock import SECOND
from authserver.settings import Settings, SettingsError
from authserver.store.connection import Link
from authserver.store.database import Database, T, Transaction
from authserver.store.errors import BadValue, Busy, Conflict, Lost, Stale, StoreError, Unavailable, Undone
from authserver.store.statement import Row, Statement

_PREPARE_AFTER = 1  # executions on one connection
_PREPARED_MAX = 400  # statements per connection; more than the store has
_ADVISORY_LOCK = 0x6175746873727672  # "authsrvr"
_CONNECT_SECONDS = 3
_UNANSWERED_MS = 10_000  # a server that vanished without a word counts as away after so long
_STATEMENT_MS = 30_000
# A deployment may trade the last commits for speed (synchronous_commit=off); what takes away stays out of that trade.
_BEGIN_LASTING = (
    "BEGIN; SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
)


class PostgresDatabase(Database):
    """The database that the URL names, through psycopg 3."""

    dialect_name = "postgresql"

    def __init__(self, url: URL, settings: Settings) -> None:
        """Prepare to connect; raises SettingsError when psycopg is not installed."""
        try:
            import psycopg  # noqa: PLC0415 - an extra: only who uses PostgreSQL needs it
        except ImportError:
            raise SettingsError("PostgreSQL needs psycopg: install authserver[postgres]") from None
        self._driver = psycopg
        self._prepare_after = _PREPARE_AFTER if settings.database.prepare else None
        self._set_up = (
            f"SET lock_timeout = {settings.database.busy_ms}; SET statement_timeout = {_STATEMENT_MS}; "
            f"SET idle_in_transaction_session_timeout = {_STATEMENT_MS}; SET jit = off; "
            # Every statement here looks rows up by their keys: planning it anew costs more than running it.
            "SET plan_cache_mode = force_generic_plan; "
            # A plan that was kept while a table was small would go on reading all of it when it is large.
            "SET enable_seqscan = off"
        )
        known: dict[str, Any] = {
            "connect_timeout": _CONNECT_SECONDS,
            "tcp_user_timeout": _UNANSWERED_MS,
            "application_name": "authserver",
            "client_encoding": "utf8",
        }
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            poolclass=NullPool,
            paramstyle="format",
            connect_args={name: value for name, value in known.items() if name not in url.query},
        )
        self._arguments = known | dict(engine.dialect.create_connect_args(engine.url)[1])
        wait = settings.database.busy_ms / 1000
        super().__init__(engine, settings.database.pool_size, wait, settings.tokens.longest_access * SECOND)

    def insert(self, table: Table) -> Insert:
        return Insert(table)

    def connect(self) -> Any:
        driver = self._driver.connect(**self._arguments, autocommit=True)
        try:
            driver.execute(self._set_up, prepare=False)
        except BaseException:
            driver.close()
            raise
        driver.prepare_threshold = self._prepare_after
        driver.prepared_max = _PREPARED_MAX
        return driver

    @contextmanager
    def exclusively(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            yield connection

    def translate(self, error: Exception, link: Link | None) -> Exception:  # noqa: PLR0911 - one line per kind of error
        if isinstance(error, UnicodeEncodeError | OverflowError):
            return BadValue("a value does not fit the database")
        if not isinstance(error, self._driver.Error):
            return error
        state = error.sqlstate or ""
        if link is not None and (link.driver.closed or link.driver.broken):
            return Lost(f"the connection to the database was lost {state}".rstrip())
        if state.startswith("23"):
            return Conflict(error.diag.constraint_name or "")
        if state == "0A000" and "cached plan" in str(error):
            return Stale("the schema changed")
        if state in {"40001", "40P01"}:
            return Undone(f"the database undid the transaction: {state}")
        if state in {"55P03", "57014", "53300"}:
            return Busy(f"the database is busy: {state}")
        if state.startswith("22") or (not state and isinstance(error, self._driver.DataError)):
            return BadValue("a value does not fit the database")
        if not state or state[:2] in {"08", "53", "57", "58"} or state == "25006":
            return Unavailable(f"the database cannot be used: {type(error).__name__} {state}".rstrip())
        return StoreError(f"{type(error).__name__} {state}")

    def _begin(self, link: Link, *, lasting: bool) -> None:
        link.driver.execute(_BEGIN_LASTING if lasting else "BEGIN", prepare=False)

    def _write(self, statement: Statement[Any], bound: Row) -> tuple[int, list[Row]]:
        try:
            return self._execute(self.links, statement, bound)
        except Undone:
            return self._execute(self.links, statement, bound)

    def _transact(self, work: Callable[[Transaction], T], *, lasting: bool) -> T:
        return self._run(self.links, work, lasting=lasting)
