"""The cleaner: removes what is over, in small pieces, so that nobody waits for it.

A row whose end is now is not over yet: it goes with a later call, when no verb of any node can still be looking at it.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Table,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    update,
)

from authserver import clock
from authserver.clock import DAY, SECOND
from authserver.store.database import Database
from authserver.store.statement import NOW, number
from authserver.store.tables import (
    access_tokens,
    audit,
    consents,
    ephemeral,
    grants,
    refresh_tokens,
    revocations,
    revoked_jtis,
    sessions,
    token_statuses,
)

_AUDIT_KEPT = 400 * DAY
_LONGEST_WINDOW = 300 * SECOND


class Purge:
    """One statement per table, each a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        ended_session = ~exists(
            select(sessions.c.sid)
            .where(sessions.c.sid == consents.c.sid, sessions.c.ended_at.is_(None), sessions.c.expires_at >= NOW)
            .correlate(consents)
        )
        newer = grants.alias("newer")
        superseded = exists(
            select(newer.c.grant_id)
            .where(
                newer.c.sid == grants.c.sid,
                newer.c.client_id == grants.c.client_id,
                newer.c.created_at > grants.c.created_at,
            )
            .correlate(grants)
        )
        open_session = exists(
            select(sessions.c.sid)
            .where(sessions.c.sid == grants.c.sid, sessions.c.ended_at.is_(None), sessions.c.expires_at >= NOW)
            .correlate(grants)
        )
        later = revocations.alias("later")
        chained = exists(
            select(refresh_tokens.c.digest).where(refresh_tokens.c.grant_id == grants.c.grant_id).correlate(grants)
        )
        last = select(func.max(later.c.number)).scalar_subquery()
        over = {
            access_tokens: access_tokens.c.expires_at < NOW,
            refresh_tokens: refresh_tokens.c.expires_at < NOW,
            revoked_jtis: revoked_jtis.c.expires_at < NOW,
            token_statuses: token_statuses.c.expires_at < NOW,
            # The last one stays, so that whoever follows them can go on from there.
            revocations: (revocations.c.expires_at < NOW) & (revocations.c.number < last),
            ephemeral: ephemeral.c.expires_at < NOW,
            consents: consents.c.sid.is_not(None) & ended_session,
            sessions: sessions.c.expires_at < NOW,
            # As long as a grant is there, its code and its refresh tokens are known when they come back; and a client's
            # last one in a session says whom to tell of its end (OpenID Connect Back-Channel Logout 2.3).
            grants: (grants.c.expires_at < NOW)
            & or_(grants.c.code_expires_at.is_(None), grants.c.code_expires_at < NOW)
            & ~chained
            & (superseded | ~open_session),
            audit: audit.c.at < NOW - literal(_AUDIT_KEPT, BigInteger),
        }
        self._statements = {
            table.name: database.prepare(delete(table).where(_first(table, condition)))
            for table, condition in over.items()
        }
        closed = refresh_tokens.c.rotated_at < NOW - literal(_LONGEST_WINDOW, BigInteger)
        self._statements["salts"] = database.prepare(
            update(refresh_tokens)
            .where(_first(refresh_tokens, refresh_tokens.c.successor_salt.is_not(None) & closed))
            .values(successor_salt=null())
        )

    def run(self, limit: int) -> dict[str, int]:
        """Remove up to ``limit`` rows of each table; return how many, by table."""
        return {name: self._database.write(st, most=limit, now=clock.now()) for name, st in self._statements.items()}


def _first(table: Table, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Limit a condition to some of its rows."""
    key = list(table.primary_key)
    chosen: Any = select(*key).where(condition).limit(number("most")).correlate(None)
    return tuple_(*key).in_(chosen) if len(key) > 1 else key[0].in_(chosen)
