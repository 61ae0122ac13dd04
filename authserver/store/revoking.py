"""Statements that several verbs share: grants revoked, sessions ended, and what is told of it (``revocations``).

Each verb that takes away tells, in its own transaction and as the last of it, which tokens are dead. A description is
a JSON object, and it means the access tokens that all of its members fit: ``jti``, ``sub`` and ``client_id`` are those
claims; ``grant_id`` is what stands before the dot of the ``jti``, and ``granted`` says that there is one;
``issued_before`` is a time that lies behind ``iat``.
"""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, case, func, insert, literal, select, update

from authserver.clock import HOUR, MINUTE, SECOND
from authserver.store.database import Database, Transaction
from authserver.store.jobs import notices
from authserver.store.json_text import to_text
from authserver.store.statement import NOW, Row, Statement, text
from authserver.store.tables import grants, resources, revocations, sessions

_MARGIN = 2 * MINUTE  # for what is being issued at this moment, and for the clocks of resource servers
_COLUMNS = ("at", "description", "expires_at")


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


def tell_grants(database: Database, *which: ColumnElement[bool]) -> Statement[Row]:
    """Return the statement (now) that tells of the grants of this description that this transaction has revoked."""
    # Identifiers of ours are base64url: nothing in them means anything to JSON.
    description = literal('{"grant_id":"', Text) + grants.c.grant_id + literal('"}', Text)
    revoked = select(NOW, description, _end(database)).where(grants.c.revoked_at == NOW, *which)
    return database.prepare(insert(revocations).from_select(_COLUMNS, revoked))


class Announcements:
    """What verbs tell that know in a word which tokens are dead."""

    def __init__(self, database: Database) -> None:
        described = select(NOW, text("description"), _end(database))
        self._insert = database.prepare(insert(revocations).from_select(_COLUMNS, described))
        self._insert_until = database.prepare(insert(revocations).inline(), keys=_COLUMNS)

    def tell(self, transaction: Transaction, **description: Any) -> None:
        """Tell that the tokens of this description are dead."""
        transaction.take_turn()
        transaction.run(self._insert, description=to_text(description), now=transaction.now)

    def tell_before(self, transaction: Transaction, moment: int, **description: Any) -> None:
        """Tell that the tokens of this description are dead that were issued before a moment."""
        self.tell(transaction, **description, issued_before=moment / SECOND)

    def tell_token(self, transaction: Transaction, jti: str, expires_at: int) -> None:
        """Tell that one token is dead."""
        transaction.take_turn()
        description = to_text({"jti": jti})
        transaction.run(
            self._insert_until, description=description, at=transaction.now, expires_at=expires_at + _MARGIN
        )


def _end(database: Database) -> ColumnElement[int]:
    """Return when no token is alive any more that was issued until now."""
    seconds = select(func.coalesce(func.max(resources.c.access_token_seconds), literal(0, BigInteger)))
    of_resources = seconds.scalar_subquery() * literal(SECOND, BigInteger)
    least = literal(max(HOUR, database.token_life), BigInteger)
    return NOW + case((of_resources > least, of_resources), else_=least) + literal(_MARGIN, BigInteger)


class UserRevocation:
    """Everything that a user has: grants and sessions, but for one session that may stay."""

    def __init__(self, database: Database) -> None:
        self._announcements = Announcements(database)
        self._revoke = revoke_grants(database, grants.c.sub == text("of_sub"))
        self._end = end_sessions(database, sessions.c.sub == text("of_sub"), sessions.c.sid != text("keep_sid"))
        self._notify = notices(database, sessions.c.sub == text("of_sub"))

    def run(self, transaction: Transaction, sub: str, reason: str, keep_sid: str | None = None) -> None:
        """Revoke all grants, offline ones too, end the sessions, and tell of it, which has to come last."""
        transaction.run(self._revoke, of_sub=sub, now=transaction.now, reason=reason)
        transaction.run(self._end, of_sub=sub, keep_sid=keep_sid or "", now=transaction.now, reason=reason)
        transaction.run(self._notify, of_sub=sub, now=transaction.now)
        self._announcements.tell_before(transaction, transaction.now, sub=sub, granted=True)
