"""Pairwise subjects: what a user is called in each sector of clients (OpenID Connect Core 8.1).

Drawn, not calculated: nothing but this table leads from the one to the other, and no key that is rotated, lost or
stolen changes that. A row is written once and stays as long as its user.
"""

from sqlalchemy import select

from authserver.records import PairwiseSubject
from authserver.store.database import Database
from authserver.store.statement import octets, text
from authserver.store.tables import pairwise_subjects, users


class Subjects:
    """Verbs on pairwise subjects."""

    def __init__(self, database: Database) -> None:
        self._database = database
        row = pairwise_subjects.c
        of_sector = row.sector == text("of_sector")
        known = (row.pairwise, row.session_key)
        self._get = database.prepare(select(*known).where(of_sector, row.sub == text("of_sub")), PairwiseSubject._make)
        drawn = select(text("of_sector"), users.c.sub, text("pairwise"), octets("session_key"))
        insert = database.insert(pairwise_subjects).from_select(
            ["sector", "sub", "pairwise", "session_key"], drawn.where(users.c.sub == text("of_sub"))
        )
        # Of several at once the first one draws, and the others get what it has drawn.
        self._draw = database.prepare(
            insert.on_conflict_do_update(
                index_elements=list(pairwise_subjects.primary_key), set_={"sector": insert.excluded.sector}
            ).returning(*known),
            PairwiseSubject._make,
        )
        self._find = database.prepare(select(row.sub).where(of_sector, row.pairwise == text("named")))

    def of(self, sector: str, sub: str, drawn: PairwiseSubject) -> PairwiseSubject | None:
        """Return what a user is called in a sector, at the first time what was ``drawn``; None without such a user."""
        found = self._database.one(self._get, of_sector=sector, of_sub=sub)
        if found is not None:
            return found
        return self._database.write_one(self._draw, of_sector=sector, of_sub=sub, **drawn._asdict())

    def find(self, sector: str, named: str) -> str | None:
        """Return the ``sub`` of the user who is called so in this sector."""
        row = self._database.one(self._find, of_sector=sector, named=named)
        return None if row is None else str(row[0])
