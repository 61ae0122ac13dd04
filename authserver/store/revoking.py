"""Statements that several verbs share: grants revoked and sessions ended, by user, client, session or grant."""

from sqlalchemy import ColumnElement, update

from authserver.store.database import Database, Transaction
from authserver.store.statement import NOW, Row, Statement, text
from authserver.store.tables import grants, sessions


def revoke_grants(database: Database, *which: ColumnElement[bool]) -> Statement[Row]:
    """Return the statement (now, reason) that revokes the grants of this description that are not revoked yet."""
    return database.prepare(
        update(grants)
        .where(grants.c.revoked_at.is_(None), *which)
        .values(revoked_at=NOW, revoked_reason=text("reason"))
    )


def end_sessions(database: Database, *which: ColumnElement[bool]) -> Statement[Row]:
    """Return the statement (now, reason) that ends the sessions of this description that are not ended yet."""
    return database.prepare(
        update(sessions).where(sessions.c.ended_at.is_(None), *which).values(ended_at=NOW, ended_reason=text("reason"))
    )


class UserRevocation:
    """Everything that a user has: grants and sessions, but for one session that may stay."""

    def __init__(self, database: Database) -> None:
        self._revoke = revoke_grants(database, grants.c.sub == text("of_sub"))
        self._end = end_sessions(database, sessions.c.sub == text("of_sub"), sessions.c.sid != text("keep_sid"))

    def run(self, transaction: Transaction, sub: str, reason: str, keep_sid: str | None = None) -> None:
        """Revoke all grants, offline ones too, and end the sessions."""
        transaction.run(self._revoke, of_sub=sub, now=transaction.now, reason=reason)
        transaction.run(self._end, of_sub=sub, keep_sid=keep_sid or "", now=transaction.now, reason=reason)
