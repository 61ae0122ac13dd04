"""The used DPoP proofs of the separate resource server (RFC 9449 section 11.1): one SQLite table for all processes.

https://www.rfc-editor.org/rfc/rfc9449#section-11.1
"""

import time
import weakref
from collections.abc import Callable

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, delete, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from resourceserver.database import open_engine
from resourceserver.replays import ReplaysUnavailableError

TIDY_SECONDS = 1.0

_metadata = MetaData()
_used = Table(
    "used_proofs",
    _metadata,
    Column("key", Text, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)


class UsedProofs:
    """A memory of used proofs (`resourceserver.replays.Replays`) that processes share and that outlives them.

    It holds `most` at a time; what comes within a second beyond that is not counted. Safe for many threads. Raises
    ReplaysUnavailableError, as its method does.
    """

    def __init__(self, url: str, *, most: int, clock: Callable[[], float] = time.time) -> None:
        self._most = most
        self._clock = clock
        self._tidy_at = float("-inf")
        self._full = False
        try:
            self._engine = open_engine(url)
            weakref.finalize(self, self._engine.dispose).atexit = False
            with self._engine.begin() as connection:
                _metadata.create_all(connection)
        except (OSError, SQLAlchemyError) as failure:
            raise ReplaysUnavailableError from failure

    def first_time(self, key: str, expires_at: int) -> bool:
        now = self._clock()
        if expires_at <= now:
            return False
        # A row of the same key that is over serves again.
        new = insert(_used).values(key=key, expires_at=expires_at)
        new = new.on_conflict_do_update(
            index_elements=["key"], set_={"expires_at": new.excluded.expires_at}, where=_used.c.expires_at <= now
        )
        try:
            with self._engine.begin() as connection:
                self._tidy(connection, now)
                if self._full:
                    raise ReplaysUnavailableError
                return connection.execute(new).rowcount > 0
        except SQLAlchemyError as failure:
            raise ReplaysUnavailableError from failure

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _tidy(self, connection: Connection, now: float) -> None:
        """Once a second, remove what is over and see whether there is room: counting costs as much as there is."""
        if 0 <= now - self._tidy_at < TIDY_SECONDS:
            return
        connection.execute(delete(_used).where(_used.c.expires_at <= now))
        self._full = connection.execute(select(func.count()).select_from(_used)).scalar_one() >= self._most
        self._tidy_at = now
