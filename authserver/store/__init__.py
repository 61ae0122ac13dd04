"""Persistence: the only door to the database and to Redis.

Each verb is one business step in one transaction, durable when it returns; records go in and out, never rows. Errors
are those of ``errors``. Times are read inside the verbs, from ``clock``.
"""

from sqlalchemy import literal_column, make_url, select
from sqlalchemy.exc import ArgumentError

from authserver.settings import Settings, SettingsError
from authserver.store.audit import Audit
from authserver.store.clients import Clients
from authserver.store.consents import Consents
from authserver.store.credentials import Credentials
from authserver.store.database import Database
from authserver.store.ephemeral import Ephemeral, SqlEphemeral
from authserver.store.errors import BadValue, Busy, Conflict, StoreError, Unavailable
from authserver.store.grants import Grants
from authserver.store.jobs import Jobs
from authserver.store.keys import Keys
from authserver.store.migrate import is_current, upgrade
from authserver.store.purge import Purge
from authserver.store.resources import Resources
from authserver.store.revocations import Revocations
from authserver.store.sessions import Sessions
from authserver.store.statuses import Statuses
from authserver.store.subjects import Subjects
from authserver.store.tokens import Tokens
from authserver.store.users import Users

__all__ = ["BadValue", "Busy", "Conflict", "Ephemeral", "Store", "StoreError", "Unavailable", "open_store"]


class Store:
    """The parts of the store, and what concerns all of them."""

    def __init__(self, database: Database, ephemeral: Ephemeral | None = None) -> None:
        self.database = database
        self.clients = Clients(database)
        self.resources = Resources(database)
        self.users = Users(database)
        self.subjects = Subjects(database)
        self.credentials = Credentials(database)
        self.sessions = Sessions(database)
        self.consents = Consents(database)
        self.grants = Grants(database)
        self.tokens = Tokens(database)
        self.statuses = Statuses(database)
        self.revocations = Revocations(database)
        self.jobs = Jobs(database)
        self.keys = Keys(database)
        self.audit = Audit(database)
        # What mints tokens when used twice (device codes, initial access tokens) is in the database, never in Redis.
        self.single_use = SqlEphemeral(database)
        self.ephemeral: Ephemeral = ephemeral or self.single_use
        self._purge = Purge(database)
        self._alive = database.prepare(select(literal_column("1")))

    def purge(self, limit: int = 1000) -> dict[str, int]:
        """Remove what is over, ``limit`` rows of each table at the most; return how many by table."""
        return self._purge.run(limit)

    def ping(self) -> None:
        """Raise Unavailable (or Busy) when the database or Redis does not answer."""
        self.database.one(self._alive)
        self.ephemeral.get("store", "born")

    def is_current(self) -> bool:
        """Say whether the database has the newest schema; raises Unavailable when it is away."""
        return is_current(self.database)

    def upgrade(self) -> None:
        """Bring the database to the newest schema; of several processes at once, one does and the others wait."""
        upgrade(self.database)

    def close(self) -> None:
        """Close every connection."""
        self.database.close()
        self.ephemeral.close()


def open_store(settings: Settings) -> Store:
    """Return the store that the settings name; connects to the database when it is first used.

    Raises SettingsError when the URL, a driver or a library version will not do, and where Redis is used also when it
    evicts keys; Unavailable when Redis is away.
    """
    database = _open_database(settings)
    if settings.redis_url is None:
        return Store(database)
    from authserver.store.ephemeral_redis import RedisEphemeral  # noqa: PLC0415 - an extra: only who uses Redis needs it

    return Store(database, RedisEphemeral(settings.redis_url.get_secret_value()))


def _open_database(settings: Settings) -> Database:
    # Only the one that is used is imported: it takes its part of the time to the first answer.
    try:
        url = make_url(settings.database_url)
        if url.drivername in {"sqlite", "sqlite+pysqlite"}:
            from authserver.store.sqlite import SqliteDatabase  # noqa: PLC0415 - see above

            return SqliteDatabase(url, settings)
        if url.drivername in {"postgresql", "postgresql+psycopg"}:
            from authserver.store.postgresql import PostgresDatabase  # noqa: PLC0415 - see above

            return PostgresDatabase(url, settings)
    except (ArgumentError, ValueError):
        raise SettingsError("AUTHSERVER_DATABASE_URL is not a database URL") from None
    raise SettingsError("AUTHSERVER_DATABASE_URL must begin with sqlite:/// or postgresql://")
