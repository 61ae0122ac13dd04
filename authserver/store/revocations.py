"""What was revoked, in the order in which it counts; ``revoking`` writes it, inside the verbs that take away.

Numbers are drawn one transaction after the other (``Transaction.take_turn``): who has seen a number has missed none
below it. They never come again, and the last row stays, so that whoever has seen it can go on from there.
"""

from sqlalchemy import literal_column, select

from authserver import clock
from authserver.records import Cursor, Revocation
from authserver.store.database import Database
from authserver.store.statement import NOW, number
from authserver.store.tables import revocations

BEGINNING = Cursor(0, 0)


class Revocations:
    """Verbs on revocations; all of them look at the key alone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        row = revocations.c
        last = select(row.number, row.at).order_by(row.number.desc()).limit(literal_column("1"))
        self._latest = database.prepare(last, Cursor._make)
        since = select(*(row[name] for name in Revocation._fields))
        since = since.where(row.number > number("after"), row.expires_at > NOW)
        self._since = database.prepare(since.order_by(row.number).limit(number("most")), Revocation._make)
        this = (row.number == number("number"), row.at == number("at"))
        self._known = database.prepare(select(literal_column("1")).where(*this))

    def latest(self) -> Cursor:
        """Return the place of the last revocation; ``BEGINNING`` while there is none."""
        return self._database.one(self._latest) or BEGINNING

    def since(self, after: int, limit: int) -> tuple[Revocation, ...]:
        """Return the first ``limit`` revocations after a number of which a token may still be alive."""
        return tuple(self._database.all(self._since, after=after, most=limit, now=clock.now()))

    def knows(self, cursor: Cursor) -> bool:
        """Say whether this is a place of this database, from which can be gone on."""
        return cursor == BEGINNING or self._database.one(self._known, **cursor._asdict()) is not None
