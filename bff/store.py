"""The only door to the database; each verb is one step in one transaction, durable when it returns.

What may happen once happens by one statement that says so: a log-in is taken by DELETE ... RETURNING, a lease by a
conditional UPDATE, a refreshed token is stored only over the version that was read.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Table,
    create_engine,
    delete,
    event,
    insert,
    inspect,
    or_,
    select,
    update,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.schema import CreateIndex, CreateTable

from bff.clock import now
from bff.errors import StoreBusyError
from bff.records import HeldToken, Login, Session, User
from bff.tables import access_tokens, logins, logout_tokens, schema, sessions, users

LOGINS_PER_BROWSER = 5
_PURGE_BATCH = 500


class Store:
    """Sessions, users, log-ins and tokens of one BFF; safe for many threads and several processes."""

    def __init__(self, database_url: str) -> None:
        self._engine = _engine(make_url(database_url))
        self._create_tables()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def ready(self) -> bool:
        """Tell whether the database answers and has its tables."""
        try:
            with self._read() as connection:
                connection.execute(select(sessions.c.id).limit(1))
        except StoreBusyError:
            return False
        return True

    def add_login(self, login: Login) -> None:
        """Remember a log-in that begins; the browser's oldest ones give way, some expired ones are removed."""
        with self._write() as connection:
            over = select(logins.c.state_digest).where(logins.c.expires_at <= now()).limit(_PURGE_BATCH)
            connection.execute(delete(logins).where(logins.c.state_digest.in_(over.scalar_subquery())))
            newest = (
                select(logins.c.state_digest)
                .where(logins.c.browser_digest == login.browser_digest)
                .order_by(logins.c.created_at.desc())
                .limit(LOGINS_PER_BROWSER - 1)
            )
            kept = list(connection.scalars(newest))
            connection.execute(
                delete(logins).where(
                    logins.c.browser_digest == login.browser_digest, logins.c.state_digest.not_in(kept)
                )
            )
            connection.execute(
                insert(logins).values(
                    state_digest=login.state_digest,
                    browser_digest=login.browser_digest,
                    nonce=login.nonce,
                    sealed_verifier=login.sealed_verifier,
                    return_to=login.return_to,
                    created_at=login.created_at,
                    expires_at=login.expires_at,
                    acr_values=login.acr_values,
                    max_age=login.max_age,
                )
            )

    def take_login(self, state_digest: str, browser_digest: str) -> Login | None:
        """Take a log-in, once, and only for the browser in which it began."""
        statement = (
            delete(logins)
            .where(
                logins.c.state_digest == state_digest,
                logins.c.browser_digest == browser_digest,
                logins.c.expires_at > now(),
            )
            .returning(*logins.c)
        )
        with self._write() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else Login(**row._mapping)  # noqa: SLF001 -- the documented name (a namedtuple's)

    def open_session(
        self, session: Session, token: HeldToken, replaces: str | None, sid_digest: str | None = None
    ) -> User | None:
        """Create or update the user, open the session with its first token and end the one that it replaces.

        Gives None, and changes nothing else, when the provider has just ended the session of that digest.
        """
        try:
            return self._open_session(session, token, replaces, sid_digest)
        except IntegrityError:
            # Two first log-ins of one person in the same instant: the other one has made the user's row. Or the notice
            # was under way, and is there now.
            return self._open_session(session, token, replaces, sid_digest)

    def _open_session(
        self, session: Session, token: HeldToken, replaces: str | None, sid_digest: str | None
    ) -> User | None:
        moment = session.created_at
        with self._write() as connection:
            user = _save_user(connection, session.user, moment)
            if sid_digest is not None and not _may_begin(connection, sid_digest, moment):
                return None
            if replaces is not None:
                connection.execute(delete(sessions).where(sessions.c.digest == replaces))
            connection.execute(
                insert(sessions).values(
                    id=session.id,
                    digest=session.digest,
                    user_id=user.id,
                    provider_sid=session.provider_sid,
                    scope=session.scope,
                    sealed_id_token=session.sealed_id_token,
                    sealed_refresh_token=session.sealed_refresh_token,
                    version=session.version,
                    created_at=session.created_at,
                    seen_at=session.seen_at,
                    idle_expires_at=session.idle_expires_at,
                    expires_at=session.expires_at,
                    lease_until=0,
                )
            )
            _put_token(connection, token)
            _purge(connection, moment)
            if sid_digest is not None:
                connection.execute(delete(logout_tokens).where(logout_tokens.c.jti_digest == sid_digest))
        return user

    def find_session(self, digest: str) -> Session | None:
        """Find a live session by the digest of its cookie."""
        return self._session(sessions.c.digest == digest)

    def reload_session(self, session_id: str) -> Session | None:
        """Read a live session again by its id."""
        return self._session(sessions.c.id == session_id)

    def touch(self, session_id: str, idle_expires_at: int) -> None:
        """Note that a session is in use."""
        with self._write() as connection:
            connection.execute(
                update(sessions)
                .where(sessions.c.id == session_id)
                .values(seen_at=now(), idle_expires_at=idle_expires_at)
            )

    def end_session(self, session_id: str, version: int | None = None) -> bool:
        """End a session and drop its tokens; with a version only if nobody refreshed it meanwhile."""
        statement = delete(sessions).where(sessions.c.id == session_id)
        if version is not None:
            statement = statement.where(sessions.c.version == version)
        with self._write() as connection:
            return connection.execute(statement).rowcount == 1

    def end_sessions_of(
        self, issuer: str, *, sid: str | None, sub: str | None, jti_digest: str, until: int, sid_digest: str | None
    ) -> int:
        """End the sessions that a logout token names and remember the token; gives their number, -1 for a replay.

        What it names by sid is remembered as long: a log-in that is under way must not open a session after it.
        """
        named = select(users.c.id).where(users.c.issuer == issuer)
        statement = delete(sessions)
        if sub is not None:
            named = named.where(users.c.sub == sub)
        if sid is not None:
            statement = statement.where(sessions.c.provider_sid == sid)
        # What fails twice is a replay; once, it may have been another notice of this session that was under way.
        for _ in range(2):
            with suppress(IntegrityError), self._write() as connection:
                connection.execute(delete(logout_tokens).where(logout_tokens.c.expires_at <= now()))
                connection.execute(insert(logout_tokens).values(jti_digest=jti_digest, expires_at=until))
                if sid_digest is not None:
                    connection.execute(delete(logout_tokens).where(logout_tokens.c.jti_digest == sid_digest))
                    connection.execute(insert(logout_tokens).values(jti_digest=sid_digest, expires_at=until))
                return connection.execute(statement.where(sessions.c.user_id.in_(named))).rowcount
        return -1

    def token(self, session_id: str, resource: str) -> HeldToken | None:
        """Give the access token held for a resource, expired or not."""
        statement = select(access_tokens).where(
            access_tokens.c.session_id == session_id, access_tokens.c.resource == resource
        )
        with self._read() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else HeldToken(**row._mapping)  # noqa: SLF001 -- the documented name

    def tokens(self, session_id: str) -> list[HeldToken]:
        """Give every access token held in a session."""
        with self._read() as connection:
            rows = connection.execute(select(access_tokens).where(access_tokens.c.session_id == session_id)).all()
        return [HeldToken(**row._mapping) for row in rows]  # noqa: SLF001 -- the documented name

    def take_lease(self, session_id: str, owner: str, until: int) -> bool:
        """Take or renew the right to refresh a session's tokens; false while another owner's lease runs."""
        statement = (
            update(sessions)
            .where(
                sessions.c.id == session_id,
                or_(sessions.c.lease_owner == owner, sessions.c.lease_until <= now()),
            )
            .values(lease_owner=owner, lease_until=until)
        )
        with self._write() as connection:
            return connection.execute(statement).rowcount == 1

    def free_lease(self, session_id: str, owner: str) -> None:
        """Give the right to refresh back."""
        statement = update(sessions).where(sessions.c.id == session_id, sessions.c.lease_owner == owner)
        with self._write() as connection:
            connection.execute(statement.values(lease_owner=None, lease_until=0))

    def store_refresh(self, session: Session, sealed_refresh_token: str | None, token: HeldToken) -> bool:
        """Store a refresh's result over the version that was read; false when the session is gone or newer."""
        values: dict[str, Any] = {"version": session.version + 1}
        if sealed_refresh_token is not None:
            values["sealed_refresh_token"] = sealed_refresh_token
        statement = update(sessions).where(sessions.c.id == session.id, sessions.c.version == session.version)
        with self._write() as connection:
            if connection.execute(statement.values(**values)).rowcount != 1:
                return False
            _put_token(connection, token)
        return True

    def drop_token(self, token: HeldToken) -> None:
        """Forget an access token that an API refused, unless it was replaced meanwhile."""
        statement = delete(access_tokens).where(
            access_tokens.c.session_id == token.session_id,
            access_tokens.c.resource == token.resource,
            access_tokens.c.sealed_token == token.sealed_token,
        )
        with self._write() as connection:
            connection.execute(statement)

    def _session(self, condition: Any) -> Session | None:
        moment = now()
        statement = (
            select(sessions, users.c.issuer, users.c.sub, users.c.name, users.c.email)
            .join(users, users.c.id == sessions.c.user_id)
            .where(condition, sessions.c.idle_expires_at > moment, sessions.c.expires_at > moment)
        )
        with self._read() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else _session_of(row)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        try:
            with self._engine.connect().execution_options(bff_read=True) as connection:
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            raise StoreBusyError(type(error).__name__) from None

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeout) as error:
            raise StoreBusyError(type(error).__name__) from None

    def _create_tables(self) -> None:
        try:
            self._create_missing()
        except IntegrityError:
            # Another process made the same table in the same instant.
            self._create_missing()

    def _create_missing(self) -> None:
        with self._write() as connection:
            for table in schema.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                _add_missing_columns(connection, table)
                for index in sorted(table.indexes, key=lambda each: str(each.name)):
                    connection.execute(CreateIndex(index, if_not_exists=True))


def _add_missing_columns(connection: Connection, table: Table) -> None:
    """Add what a table of an earlier version lacks; such columns may be empty."""
    known = {column["name"] for column in inspect(connection).get_columns(table.name)}
    # Two processes may look at once; SQLite lets only one of them write, and so look.
    unless = "IF NOT EXISTS " if connection.dialect.name == "postgresql" else ""
    for column in table.columns:
        if column.name not in known:
            kind = column.type.compile(connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {unless}{column.name} {kind}")


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, hide_parameters=True)
    if url.database and url.database != ":memory:":
        path = Path(url.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": 10})

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        # The driver begins no transaction of its own: BEGIN below says which kind.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read = connection.get_execution_options().get("bff_read", False)
        connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")

    return engine


def _session_of(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        digest=row.digest,
        user=User(row.user_id, row.issuer, row.sub, row.name, row.email),
        provider_sid=row.provider_sid,
        scope=row.scope,
        sealed_id_token=row.sealed_id_token,
        sealed_refresh_token=row.sealed_refresh_token,
        version=row.version,
        created_at=row.created_at,
        seen_at=row.seen_at,
        idle_expires_at=row.idle_expires_at,
        expires_at=row.expires_at,
    )


def _save_user(connection: Connection, user: User, moment: int) -> User:
    values = {"name": user.name, "email": user.email, "logged_in_at": moment}
    same = (users.c.issuer == user.issuer, users.c.sub == user.sub)
    found = connection.execute(update(users).where(*same).values(**values).returning(users.c.id)).scalar_one_or_none()
    if found is None:
        new = {"id": user.id, "issuer": user.issuer, "sub": user.sub, "created_at": moment, **values}
        connection.execute(insert(users).values(**new))
    return User(found or user.id, user.issuer, user.sub, user.name, user.email)


def _may_begin(connection: Connection, sid_digest: str, moment: int) -> bool:
    """Tell whether no notice has named this session; takes the notice's own row, for the time of the transaction.

    Whichever of log-in and notice comes second waits at that row, and then sees the other.
    """
    row = logout_tokens.c.jti_digest == sid_digest
    connection.execute(delete(logout_tokens).where(row, logout_tokens.c.expires_at <= moment))
    if connection.execute(select(logout_tokens.c.jti_digest).where(row)).first() is not None:
        return False
    connection.execute(insert(logout_tokens).values(jti_digest=sid_digest, expires_at=moment))
    return True


def _put_token(connection: Connection, token: HeldToken) -> None:
    same = (access_tokens.c.session_id == token.session_id, access_tokens.c.resource == token.resource)
    values = {
        "sealed_token": token.sealed_token,
        "scope": token.scope,
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
    }
    if connection.execute(update(access_tokens).where(*same).values(**values)).rowcount == 0:
        new = {"session_id": token.session_id, "resource": token.resource, **values}
        connection.execute(insert(access_tokens).values(**new))


def _purge(connection: Connection, moment: int) -> None:
    """Remove ended sessions, a bounded number with each log-in, so that tables stay as small as their use."""
    ended = or_(sessions.c.idle_expires_at <= moment, sessions.c.expires_at <= moment)
    batch = select(sessions.c.id).where(ended).limit(_PURGE_BATCH).scalar_subquery()
    connection.execute(delete(sessions).where(sessions.c.id.in_(batch)))
