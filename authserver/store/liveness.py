"""What keeps a grant and its tokens alive, as one condition that every look-up and every redemption joins.

Nothing of this is stored with a token: a client that is disabled, a session that is ended or a password that is changed
counts with the next statement, on every node.
"""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, and_, exists, literal, literal_column, or_, select

from authserver.clock import SECOND
from authserver.store.statement import NOW
from authserver.store.tables import clients, grants, revoked_jtis, sessions, users

_LAST_OF_SECOND = SECOND - 1


def owners(start: FromClause, sub: Any, grant: FromClause) -> FromClause:
    """Join the client with the user and the session of a grant; the grant's session counts unless it is offline."""
    return start.outerjoin(users, users.c.sub == sub).outerjoin(
        sessions, and_(sessions.c.sid == grant.c.sid, grant.c.offline == 0)
    )


def owners_allow(issued_at: Any) -> ColumnElement[bool]:
    """Say that client, user and session allow what was issued at this time."""
    return and_(
        clients.c.disabled_at.is_(None),
        clients.c.not_before <= issued_at,
        or_(users.c.sub.is_(None), and_(users.c.disabled_at.is_(None), users.c.not_before <= issued_at)),
        sessions.c.ended_at.is_(None),
    )


def in_force(client_id: Any, sub: Any, issued_at: Any, grant: FromClause = grants) -> ColumnElement[bool]:
    """Say that client, user and session allow it, inside a statement that names ``grant``."""
    owned: Select[Any] = select(literal_column("1")).select_from(owners(clients, sub, grant))
    return exists(
        owned.where(clients.c.client_id == client_id, owners_allow(issued_at)).correlate_except(
            clients, users, sessions
        )
    )


def grant_lives(grant: FromClause = grants) -> ColumnElement[bool]:
    """Say that a grant is in force: not revoked, not expired, its client, user and session allow it."""
    return and_(
        grant.c.revoked_at.is_(None),
        grant.c.expires_at > NOW,
        in_force(grant.c.client_id, grant.c.sub, grant.c.created_at, grant),
    )


def jwt_in_force(jti: Any, grant_id: Any, client_id: Any, sub: Any, iat: Any) -> Select[Any]:
    """Return the query that finds a row when a JWT of these claims is in force; ``iat`` is in microseconds.

    That claim counts whole seconds, so the JWT may have been issued at any moment of its second: it is not held against
    a user or client who changed in the same one.
    """
    granted = clients.outerjoin(grants, grants.c.grant_id == grant_id)
    return (
        select(literal_column("1"))
        .select_from(owners(granted, sub, grants))
        .where(
            clients.c.client_id == client_id,
            or_(grant_id.is_(None), and_(grants.c.revoked_at.is_(None), grants.c.expires_at > NOW)),
            owners_allow(iat + literal(_LAST_OF_SECOND, BigInteger)),
            ~exists(select(revoked_jtis.c.jti).where(revoked_jtis.c.jti == jti).correlate_except(revoked_jtis)),
        )
    )
