"""Consents: what users once allowed clients; only remembered, never checked by a token."""

from collections.abc import Iterable

from sqlalchemy import delete, select

from authserver.records import Consent, Event
from authserver.store.database import Database, Transaction
from authserver.store.revoking import Announcements, revoke_grants
from authserver.store.statement import text
from authserver.store.tables import consents, grants


class Consents:
    """Verbs on consents."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._announcements = Announcements(database)
        columns = select(*(consents.c[name] for name in Consent._fields))
        of_user = consents.c.sub == text("of_sub")
        of_client = consents.c.client_id == text("of_client")
        at = consents.c.redirect_origin == text("redirect_origin")
        self._find = database.prepare(columns.where(of_user, of_client, at), Consent._make)
        self._of_user = database.prepare(columns.where(of_user).order_by(consents.c.updated_at.desc()), Consent._make)
        insert = database.insert(consents)
        self._allow = database.prepare(
            insert.on_conflict_do_update(
                index_elements=list(consents.primary_key),
                set_={name: insert.excluded[name] for name in ("scope", "sid", "updated_at")},
            )
        )
        self._forget = database.prepare(delete(consents).where(of_user, of_client))
        self._revoke = revoke_grants(database, grants.c.sub == text("of_sub"), grants.c.client_id == text("of_client"))

    def find(self, sub: str, client_id: str, redirect_origin: str) -> tuple[Consent, ...]:
        """Return what a user allowed a client at this origin, one record per resource; who asks looks at ``sid``."""
        arguments = {"of_sub": sub, "of_client": client_id, "redirect_origin": redirect_origin}
        return tuple(self._database.all(self._find, **arguments))

    def of_user(self, sub: str) -> tuple[Consent, ...]:
        """Return everything that a user allowed, the latest first."""
        return tuple(self._database.all(self._of_user, of_sub=sub))

    def allow(self, allowed: Iterable[Consent], event: Event | None = None) -> None:
        """Remember consents, each with exactly the scope given here; the times are now."""
        records = sorted(allowed)

        def work(transaction: Transaction) -> None:
            for record in records:
                now = {"created_at": transaction.now, "updated_at": transaction.now}
                transaction.run(self._allow, **(record._asdict() | now))
            if event is not None:
                transaction.audit(event)

        self._database.transaction(work)

    def withdraw(self, sub: str, client_id: str, event: Event) -> bool:
        """Forget all that a user allowed a client and revoke the grants made under it; say whether there was any."""

        def work(transaction: Transaction) -> bool:
            arguments = {"of_sub": sub, "of_client": client_id}
            now = transaction.now
            forgotten = transaction.run(self._forget, **arguments)
            revoked = transaction.run(self._revoke, **arguments, now=now, reason="consent.withdrawn")
            if revoked:
                self._announcements.tell_before(transaction, now, sub=sub, client_id=client_id, granted=True)
            return transaction.noted(forgotten + revoked, event)

        return self._database.transaction(work, lasting=True)
