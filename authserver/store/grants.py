"""Grants: acts of authorization, each with its code as a state of it."""

from sqlalchemy import ColumnElement, and_, exists, func, not_, select, update

from authserver import clock
from authserver.records import Event, Grant
from authserver.store.database import Database, Transaction
from authserver.store.liveness import grant_lives
from authserver.store.revoking import Announcements, revoke_grants
from authserver.store.statement import NOW, octets, text
from authserver.store.tables import grants, sessions, users

COLUMNS = tuple(grants.c[name] for name in Grant._fields)


class Grants:
    """Verbs on grants."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._announcements = Announcements(database)
        one = grants.c.grant_id == text("of_grant")
        of_sub = grants.c.sub == text("of_sub")
        of_client = grants.c.client_id == text("of_client")
        own_code = and_(grants.c.code_digest == octets("of_code"), of_client)
        self._insert = database.prepare(grants.insert(), keys=[*Grant._fields, "code_digest", "code_expires_at"])
        self._redeem = database.prepare(
            update(grants)
            .where(
                own_code,
                grants.c.redeemed_at.is_(None),
                grants.c.code_expires_at > NOW,
                grant_lives(),
                # A code is only ever a person's: without a user it opens nothing.
                exists(select(users.c.sub).where(users.c.sub == grants.c.sub).correlate(grants)),
                not_(_of_outdated_session()),
            )
            # A public client's tokens stay with the key that it has proven here, unless the request named one before.
            .values(redeemed_at=NOW, cnf=func.coalesce(grants.c.cnf, text("of_cnf")))
            .returning(*COLUMNS),
            Grant._make,
        )
        self._bind = database.prepare(update(grants).where(one, grants.c.cnf.is_(None)).values(cnf=text("of_cnf")))
        self._reuse = database.prepare(
            update(grants)
            .where(own_code, grants.c.redeemed_at.is_not(None), grants.c.revoked_at.is_(None))
            .values(revoked_at=NOW, revoked_reason=text("reason"))
            .returning(grants.c.grant_id, grants.c.sub)
        )
        live = select(*COLUMNS).where(grant_lives())
        self._get = database.prepare(live.where(one), Grant._make)
        self._of_user = database.prepare(live.where(of_sub).order_by(grants.c.created_at.desc()), Grant._make)
        given_in = select(grants.c.client_id).where(grants.c.sid == text("of_sid")).distinct()
        self._clients_of_session = database.prepare(given_in.order_by(grants.c.client_id))
        self._revoke = revoke_grants(database, one)
        self._revoke_of_user = revoke_grants(database, of_sub)
        self._revoke_of_client = revoke_grants(database, of_client)
        self._revoke_of_pair = revoke_grants(database, of_sub, of_client)

    def open(self, grant: Grant, code_digest: bytes | None = None, code_expires_at: int | None = None) -> None:
        """Store a grant, with its code where it has one; raises Conflict when the grant or the code is there."""
        self._database.write(self._insert, code_digest=code_digest, code_expires_at=code_expires_at, **grant._asdict())

    def redeem(self, code_digest: bytes, client_id: str, cnf: str | None = None) -> Grant | None:
        """Take a code: the grant for exactly one caller, None for every other; ``cnf`` binds it, if nothing has yet.

        A client that presents its own redeemed code again revokes the grant, durably, also after the code's expiry
        (RFC 6749 4.1.2, 10.5); a code of another client, an expired or unknown one changes nothing.
        """
        grant = self._database.write_one(
            self._redeem, of_code=code_digest, of_client=client_id, of_cnf=cnf, now=clock.now()
        )
        if grant is None:
            self._database.transaction(
                lambda transaction: self._judge(transaction, code_digest, client_id), lasting=True
            )
        return grant

    def _judge(self, transaction: Transaction, code_digest: bytes, client_id: str) -> None:
        """Revoke the grant whose code was redeemed before."""
        arguments = {"of_code": code_digest, "of_client": client_id, "now": transaction.now, "reason": "code.reused"}
        revoked = transaction.one(self._reuse, **arguments)
        if revoked is not None:
            grant_id, sub = revoked
            self._announcements.tell(transaction, grant_id=grant_id)
            transaction.audit(Event("code.reused", client_id, client_id, sub, {"grant_id": grant_id}))

    def bind(self, grant_id: str, cnf: str) -> bool:
        """Bind a grant to what ``cnf`` names; say whether nothing had bound it before."""
        return self._database.write(self._bind, of_grant=grant_id, of_cnf=cnf) > 0

    def get(self, grant_id: str) -> Grant | None:
        """Return a grant if it is in force."""
        return self._database.one(self._get, of_grant=grant_id, now=clock.now())

    def of_user(self, sub: str) -> tuple[Grant, ...]:
        """Return the grants of a user that are in force, the latest first."""
        return tuple(self._database.all(self._of_user, of_sub=sub, now=clock.now()))

    def clients_of_session(self, sid: str) -> tuple[str, ...]:
        """Return the clients that were ever given a grant in a session, whatever has become of it."""
        return tuple(row[0] for row in self._database.all(self._clients_of_session, of_sid=sid))

    def revoke(self, grant_id: str, reason: str, event: Event) -> bool:
        """Revoke a grant and so everything issued from it; say whether it was not revoked before."""

        def work(transaction: Transaction) -> bool:
            revoked = transaction.run(self._revoke, of_grant=grant_id, reason=reason, now=transaction.now)
            if revoked:
                self._announcements.tell(transaction, grant_id=grant_id)
            return transaction.noted(revoked, event)

        return self._database.transaction(work, lasting=True)

    def revoke_all(self, *, sub: str | None = None, client_id: str | None = None, reason: str, event: Event) -> int:
        """Revoke the grants of a user, of a client, or of the pair; return how many were not revoked before."""
        owners = {name: value for name, value in (("sub", sub), ("client_id", client_id)) if value is not None}
        if not owners:
            raise ValueError("revoke_all needs a user or a client")
        which = {"sub": "of_sub", "client_id": "of_client"}
        given = {which[name]: value for name, value in owners.items()}
        one_side = self._revoke_of_client if sub is None else self._revoke_of_user
        statement = self._revoke_of_pair if len(given) > 1 else one_side

        def work(transaction: Transaction) -> int:
            revoked = transaction.run(statement, reason=reason, now=transaction.now, **given)
            if revoked:
                self._announcements.tell_before(transaction, transaction.now, **owners, granted=True)
            transaction.noted(revoked, event)
            return revoked

        return self._database.transaction(work, lasting=True)


def _of_outdated_session() -> ColumnElement[bool]:
    """Say that a grant was opened in a session from before its user's password was changed or the account disabled.

    Such a grant was on its way into the table when the others of its user were revoked, and was opened after them.
    """
    session = select(sessions.c.sid).join_from(sessions, users, users.c.sub == sessions.c.sub)
    outdated = session.where(sessions.c.sid == grants.c.sid, sessions.c.created_at < users.c.not_before)
    return exists(outdated.correlate(grants))
