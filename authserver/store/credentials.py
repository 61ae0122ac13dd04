"""What users prove: password hashes, sealed secrets of authenticator apps, digests of recovery codes."""

from collections.abc import Iterable

from sqlalchemy import delete, select, update

from authserver.crypto import new_id
from authserver.records import Credential, Event
from authserver.store.database import Database, Transaction
from authserver.store.revoking import UserRevocation
from authserver.store.statement import NOW, Row, text
from authserver.store.tables import credentials, sessions, users

_COLUMNS = (
    credentials.c.credential_id,
    credentials.c.sub,
    credentials.c.kind,
    credentials.c.secret,
    credentials.c.created_at,
    credentials.c.updated_at,
)


def from_row(row: Row) -> Credential:
    """Read a credential from its row."""
    return Credential(*row)


class Credentials:
    """Verbs on credentials."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._everything = UserRevocation(database)
        of_user = (credentials.c.sub == text("of_sub"), credentials.c.kind == text("of_kind"))
        one = credentials.c.credential_id == text("of_credential")
        self._of_user = database.prepare(select(*_COLUMNS).where(*of_user).order_by(credentials.c.created_at), from_row)
        self._insert = database.prepare(credentials.insert())
        self._replace = database.prepare(
            update(credentials).where(*of_user).values(secret=text("secret"), updated_at=NOW)
        )
        self._upgrade = database.prepare(
            update(credentials).where(one, credentials.c.secret == text("old_secret")).values(secret=text("new_secret"))
        )
        self._remove = database.prepare(delete(credentials).where(one))
        self._remove_kind = database.prepare(delete(credentials).where(*of_user))
        self._of_kind = database.prepare(
            select(*_COLUMNS).where(credentials.c.kind == text("of_kind")).order_by(credentials.c.credential_id),
            from_row,
        )
        self._not_before = database.prepare(update(users).where(users.c.sub == text("of_sub")).values(not_before=NOW))
        self._keep = database.prepare(
            update(sessions)
            .where(sessions.c.sid == text("keep_sid"), sessions.c.sub == text("of_sub"))
            .values(created_at=NOW)
        )

    def of_user(self, sub: str, kind: str) -> tuple[Credential, ...]:
        """Return a user's credentials of one kind, the oldest first."""
        return tuple(self._database.all(self._of_user, of_sub=sub, of_kind=kind))

    def of_kind(self, kind: str) -> tuple[Credential, ...]:
        """Return everybody's credentials of one kind."""
        return tuple(self._database.all(self._of_kind, of_kind=kind))

    def add(self, credential: Credential, event: Event) -> None:
        """Add a credential; raises Conflict when its id is taken or there is no such user."""

        def work(transaction: Transaction) -> None:
            self._add(transaction, credential)
            transaction.audit(event)

        self._database.transaction(work)

    def exchange(self, sub: str, kinds: Iterable[str], added: Iterable[Credential], event: Event) -> int:
        """Remove a user's credentials of these kinds and add others; return how many were removed.

        Raises Conflict, and changes nothing, when the id of an added one is taken or there is no such user.
        """
        gone, fresh = tuple(kinds), tuple(added)

        def work(transaction: Transaction) -> int:
            removed = sum(transaction.run(self._remove_kind, of_sub=sub, of_kind=kind) for kind in gone)
            for credential in fresh:
                self._add(transaction, credential)
            transaction.noted(removed + len(fresh), event)
            return removed

        return self._database.transaction(work, lasting=True)

    def replace(self, sub: str, kind: str, secret: str, event: Event, keep_sid: str | None = None) -> None:
        """Change a password: everything that the old one opened is over, but for the session ``keep_sid``.

        Grants are revoked, sessions ended, and what was prepared before now (a code on its way here) is dead.
        """

        def work(transaction: Transaction) -> None:
            now = transaction.now
            if not transaction.run(self._replace, of_sub=sub, of_kind=kind, secret=secret, now=now):
                times = {"created_at": now, "updated_at": now}
                transaction.run(self._insert, credential_id=new_id(), sub=sub, kind=kind, secret=secret, **times)
            transaction.run(self._not_before, of_sub=sub, now=now)
            if keep_sid is not None:
                # Older sessions than the user's not_before are dead: the one that stays begins anew.
                transaction.run(self._keep, keep_sid=keep_sid, of_sub=sub, now=now)
            self._everything.run(transaction, sub, f"{kind}.replaced", keep_sid)
            transaction.audit(event)

        self._database.transaction(work, lasting=True)

    def upgrade(self, credential_id: str, old_secret: str, new_secret: str) -> bool:
        """Store a stronger hash of the same password, unless it was changed meanwhile; say whether it was stored."""
        arguments = {"of_credential": credential_id, "old_secret": old_secret, "new_secret": new_secret}
        return self._database.write(self._upgrade, **arguments) > 0

    def remove(self, credential_id: str, event: Event) -> bool:
        """Remove a credential; say whether it was there."""

        def work(transaction: Transaction) -> bool:
            return transaction.noted(transaction.run(self._remove, of_credential=credential_id), event)

        return self._database.transaction(work, lasting=True)

    def _add(self, transaction: Transaction, credential: Credential) -> None:
        transaction.run(
            self._insert,
            credential_id=credential.credential_id,
            sub=credential.sub,
            kind=credential.kind,
            secret=credential.secret,
            created_at=transaction.now,
            updated_at=transaction.now,
        )
