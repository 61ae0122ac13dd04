"""The notes that people keep at the separate resource server: one SQLite table, seen by their owner only."""

import secrets
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, Index, MetaData, Table, Text, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from resourceserver.database import open_engine

_metadata = MetaData()
_notes = Table(
    "notes",
    _metadata,
    Column("id", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("notes_by_owner", "issuer", "owner", "created_at"),
)


@dataclass(frozen=True, slots=True)
class Note:
    """One note. `created_at` is in microseconds, UTC."""

    id: str
    text: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom notes belong to: a subject, which means something only together with its issuer (OpenID Connect Core 2)."""

    issuer: str
    subject: str


class NotesUnavailableError(Exception):
    """The store cannot be reached or does not answer in time."""


class TooManyNotesError(Exception):
    """The owner keeps as many notes as one may."""


class NoteStore:
    """Opens the database at `url` (SQLite) and makes the table where it is missing. Safe for many threads.

    Raises NotesUnavailableError, as each of its methods does.
    """

    def __init__(self, url: str, *, most_per_owner: int) -> None:
        self._most_per_owner = most_per_owner
        try:
            self._engine = open_engine(url)
        except OSError as failure:
            raise NotesUnavailableError from failure
        weakref.finalize(self, self._engine.dispose).atexit = False
        with self._transaction() as connection:
            _metadata.create_all(connection)

    def of_owner(self, owner: Owner) -> list[Note]:
        """Return the owner's notes, oldest first."""
        statement = (
            select(_notes.c.id, _notes.c.text, _notes.c.created_at)
            .where(_notes.c.issuer == owner.issuer, _notes.c.owner == owner.subject)
            .order_by(_notes.c.created_at, _notes.c.id)
        )
        with self._transaction() as connection:
            return [Note(*row) for row in connection.execute(statement)]

    def add(self, owner: Owner, text: str) -> Note:
        """Keep a note. Raises TooManyNotesError."""
        note = Note(secrets.token_urlsafe(16), text, time.time_ns() // 1000)
        mine = select(func.count()).where(_notes.c.issuer == owner.issuer, _notes.c.owner == owner.subject)
        with self._transaction() as connection:
            if connection.execute(mine).scalar_one() >= self._most_per_owner:
                raise TooManyNotesError
            connection.execute(
                insert(_notes).values(
                    id=note.id, issuer=owner.issuer, owner=owner.subject, text=text, created_at=note.created_at
                )
            )
        return note

    def remove(self, owner: Owner, note_id: str) -> bool:
        """Remove the owner's note; say whether there was one."""
        statement = delete(_notes).where(
            _notes.c.id == note_id, _notes.c.issuer == owner.issuer, _notes.c.owner == owner.subject
        )
        with self._transaction() as connection:
            return connection.execute(statement).rowcount > 0

    def remove_all(self, owner: Owner) -> int:
        """Remove all of the owner's notes; return how many there were."""
        statement = delete(_notes).where(_notes.c.issuer == owner.issuer, _notes.c.owner == owner.subject)
        with self._transaction() as connection:
            return connection.execute(statement).rowcount

    def ready(self) -> bool:
        """Say whether the store answers."""
        try:
            with self._transaction() as connection:
                connection.execute(select(1))
        except NotesUnavailableError:
            return False
        return True

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as failure:
            raise NotesUnavailableError from failure
