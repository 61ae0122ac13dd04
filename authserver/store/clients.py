"""Clients: one JSON column of metadata under the names of RFC 7591, and what administrators decide beside it.

What else is known of a client that registered itself lies in the ephemeral table under its id: the digest of its
registration access token, and a mark until its first use.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, and_, case, delete, exists, literal, literal_column, or_, select, update

from authserver import tagged
from authserver.clock import DAY, SECOND
from authserver.records import Client, ClientSecret, Event
from authserver.store.database import Database, Transaction
from authserver.store.errors import Conflict
from authserver.store.json_text import from_text, to_text
from authserver.store.revoking import Announcements, revoke_grants
from authserver.store.statement import NOW, Row, number, text
from authserver.store.tables import clients, consents, ephemeral, grants, users

UNUSED: Final = "client-unused"
"""Space of the marks of clients that registered themselves and have had no grant yet."""
REGISTRATION_ACCESS: Final = "registration-access"
"""Space of the digests of registration access tokens (RFC 7592 3)."""
DOCUMENT_EXPIRES: Final = "document_expires_at"
"""Member of the metadata of a client with a document: when the document is to be fetched again, in seconds."""
NEVER: Final = 2**62
_SETS = frozenset({"grant_types", "response_types", "resource_server_for", "web_origins"})
_LISTS = frozenset({"redirect_uris", "post_logout_redirect_uris", "resources"})
_OWN = frozenset(
    {
        "client_id",
        "profile",
        "secrets",
        "disabled_at",
        "created_at",
        "updated_at",
        "demonstration",
        "origin",
        "metadata",
        "scopes",
    }
)
_MEMBERS = tuple(field.name for field in fields(Client) if field.name not in _OWN)
_COLUMNS = (
    clients.c.client_id,
    clients.c.profile,
    clients.c.metadata,
    clients.c.secrets,
    clients.c.origin,
    clients.c.disabled_at,
    clients.c.demonstration,
    clients.c.created_at,
    clients.c.updated_at,
)


def make_client(  # noqa: PLR0913 - what a row of clients holds
    client_id: str,
    metadata: Mapping[str, Any],
    *,
    profile: str = "oauth21",
    secrets: Sequence[ClientSecret] = (),
    origin: str = "administrator",
    demonstration: bool = False,
    disabled_at: int | None = None,
    created_at: int = 0,
    updated_at: int = 0,
) -> Client:
    """Return the client whose typed members are read from ``metadata`` (RFC 7591 2); what is missing is the default."""
    typed: dict[str, Any] = {name: _typed(name, metadata[name]) for name in _MEMBERS if metadata.get(name) is not None}
    return Client(
        client_id=client_id,
        profile=profile,
        secrets=tuple(secrets),
        disabled_at=disabled_at,
        created_at=created_at,
        updated_at=updated_at,
        demonstration=demonstration,
        origin=origin,
        metadata=metadata,
        scopes=frozenset((metadata.get("scope") or "").split()),
        **typed,
    )


def _typed(name: str, value: Any) -> Any:
    if name in _SETS:
        return frozenset(value)
    return tuple(value) if name in _LISTS else value


def from_row(row: Row) -> Client:
    """Read a client from its row."""
    client_id, profile, metadata, secrets, origin, disabled_at, demonstration, created_at, updated_at = row
    return make_client(
        client_id,
        from_text(metadata),
        profile=profile,
        secrets=tuple(_secret(stored) for stored in from_text(secrets)),
        origin=origin,
        demonstration=bool(demonstration),
        disabled_at=disabled_at,
        created_at=created_at,
        updated_at=updated_at,
    )


def to_row(client: Client) -> dict[str, Any]:
    """Write what an administrator may change of a client; the times and the state are the verbs' business."""
    return {
        "client_id": client.client_id,
        "profile": client.profile,
        "metadata": to_text(client.metadata),
        "secrets": to_text([_stored(secret) for secret in client.secrets]),
        "origin": client.origin,
        "demonstration": int(client.demonstration),
    }


def _secret(stored: Mapping[str, Any]) -> ClientSecret:
    return ClientSecret(
        digest=_octets(stored.get("digest")),
        sealed=_octets(stored.get("sealed")),
        created_at=stored["created_at"],
        expires_at=stored.get("expires_at"),
    )


def _octets(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def _stored(secret: ClientSecret) -> dict[str, Any]:
    return {
        "digest": None if secret.digest is None else secret.digest.hex(),
        "sealed": None if secret.sealed is None else secret.sealed.hex(),
        "created_at": secret.created_at,
        "expires_at": secret.expires_at,
    }


class Clients:
    """Verbs on clients."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._announcements = Announcements(database)
        self._get = database.prepare(select(*_COLUMNS).where(clients.c.client_id == text("client_id")), from_row)
        self._all = database.prepare(select(*_COLUMNS).order_by(clients.c.created_at, clients.c.client_id), from_row)
        page = select(*_COLUMNS).order_by(clients.c.client_id).limit(number("most"))
        self._page = database.prepare(page.where(clients.c.client_id > text("after")), from_row)
        self._insert = database.prepare(clients.insert())
        self._sub = database.prepare(select(literal_column("1")).where(users.c.sub == text("client_id")))
        of_client = clients.c.client_id == text("of_client")
        self._update = database.prepare(
            update(clients)
            .where(of_client)
            .values(
                profile=text("profile"),
                metadata=text("metadata"),
                secrets=text("secrets"),
                origin=text("origin"),
                demonstration=number("demonstration"),
                updated_at=NOW,
            )
        )
        self._disable = database.prepare(
            update(clients).where(of_client, clients.c.disabled_at.is_(None)).values(disabled_at=NOW, not_before=NOW)
        )
        since = case((clients.c.not_before < number("second"), number("second")), else_=clients.c.not_before)
        self._enable = database.prepare(
            update(clients)
            .where(of_client, clients.c.disabled_at.is_not(None))
            .values(disabled_at=None, not_before=since)
        )
        self._outdate = database.prepare(update(clients).where(of_client).values(not_before=number("not_before")))
        self._revoke = revoke_grants(database, grants.c.client_id == text("of_client"))
        self._forget_consents = database.prepare(delete(consents).where(consents.c.client_id == text("of_client")))
        self._delete = database.prepare(delete(clients).where(of_client))
        self._mark = database.prepare(ephemeral.insert())
        own = ephemeral.c.key == text("of_client")
        self._forget_items = database.prepare(delete(ephemeral).where(own, _in(UNUSED) | _in(REGISTRATION_ACCESS)))
        granted = exists(select(grants.c.grant_id).where(grants.c.client_id == ephemeral.c.key).correlate(ephemeral))
        self._mark_used = database.prepare(delete(ephemeral).where(_in(UNUSED), granted))
        self._idle = database.prepare(select(clients.c.client_id).where(_idle()).limit(number("most")))

    def get(self, client_id: str) -> Client | None:
        """Return a client, disabled ones too."""
        return self._database.one(self._get, client_id=client_id)

    def all(self) -> tuple[Client, ...]:
        """Return every client, the oldest first."""
        return tuple(self._database.all(self._all))

    def page(self, after: str, limit: int) -> tuple[Client, ...]:
        """Return a page of clients in the order of ``client_id``: the ``limit`` first ones after one of them."""
        return tuple(self._database.all(self._page, after=after, most=limit))

    def add(self, client: Client, event: Event) -> None:
        """Add a client; raises Conflict when its id is taken, by a client or as a user's sub (RFC 9700 4.15)."""
        row = to_row(client)

        def work(transaction: Transaction) -> None:
            if transaction.one(self._sub, client_id=client.client_id):
                raise Conflict("client_id")
            now = transaction.now
            times = {"created_at": now, "updated_at": now, "not_before": now, "disabled_at": client.disabled_at}
            transaction.run(self._insert, **row, **times)
            if client.origin == "registration":
                self._mark_unused(transaction, client.client_id)
            transaction.audit(event)

        self._database.transaction(work)

    def keep_document(self, client: Client) -> None:
        """Store a client as its document describes it now, with the time of the document as that of the change.

        A client of the same id that an administrator has registered stays as it is.
        """
        row = to_row(client)

        def work(transaction: Transaction) -> None:
            old = transaction.one(self._get, client_id=client.client_id)
            if old is None:
                now = transaction.now
                times = {"created_at": now, "updated_at": client.updated_at, "not_before": now, "disabled_at": None}
                transaction.run(self._insert, **row, **times)
            elif old.origin == "document" and old.updated_at < client.updated_at:
                changed = {name: value for name, value in row.items() if name != "client_id"}
                transaction.run(self._update, now=client.updated_at, of_client=client.client_id, **changed)
                self._ask_again(transaction, old, client)
            event = _document_event(old, client)
            if event is not None:
                transaction.audit(event)

        self._database.transaction(work)

    def update(self, client: Client, event: Event) -> bool:
        """Replace metadata, profile, secrets and origin of a client; say whether it exists."""
        row = to_row(client)
        row["of_client"] = row.pop("client_id")

        def work(transaction: Transaction) -> bool:
            self._ask_again(transaction, transaction.one(self._get, client_id=client.client_id), client)
            return transaction.noted(transaction.run(self._update, now=transaction.now, **row), event)

        return self._database.transaction(work, lasting=True)

    def _ask_again(self, transaction: Transaction, old: Client | None, new: Client) -> None:
        """Forget what people have allowed a client once it is shown as something else than what they allowed it as."""
        if old is not None and _says_otherwise(old, new):
            transaction.run(self._forget_consents, of_client=new.client_id)

    def set_disabled(self, client_id: str, disabled: bool, event: Event) -> bool:  # noqa: FBT001 - a state, named by the verb
        """Disable a client, which revokes its grants and its tokens for good, or enable it; say whether that is new."""

        def work(transaction: Transaction) -> bool:
            now = transaction.now
            if not disabled:
                # A JWT of the second in which the client was disabled is not told from a later one of that second.
                second = now // SECOND * SECOND
                return transaction.noted(transaction.run(self._enable, of_client=client_id, second=second), event)
            changed = transaction.run(self._disable, of_client=client_id, now=now)
            revoked = transaction.run(self._revoke, of_client=client_id, now=now, reason="client.disabled")
            if changed or revoked:
                self._announcements.tell_before(transaction, now, client_id=client_id)
            return transaction.noted(changed, event)

        return self._database.transaction(work, lasting=True)

    def revoke_tokens(self, client_id: str, event: Event) -> int | None:
        """Revoke every token and grant of a client, which goes on; return how many grants, None without such a client.

        Of a JWT only the second is known in which it was issued, so what is issued in the rest of this one dies, too.
        """

        def work(transaction: Transaction) -> int | None:
            not_before = (transaction.now // SECOND + 1) * SECOND
            if not transaction.run(self._outdate, of_client=client_id, not_before=not_before):
                return None
            revoked = transaction.run(self._revoke, of_client=client_id, now=transaction.now, reason="administrator")
            self._announcements.tell_before(transaction, not_before, client_id=client_id)
            transaction.audit(event)
            return revoked

        return self._database.transaction(work, lasting=True)

    def delete(self, client_id: str, event: Event) -> bool:
        """Delete a client with its consents, and revoke its grants; say whether it was there.

        Its tokens are dead without it and go with the cleaner. A later client of the same id does not revive them: none
        accepts tokens from before it was added.
        """

        def work(transaction: Transaction) -> bool:
            transaction.run(self._revoke, of_client=client_id, now=transaction.now, reason="client.deleted")
            transaction.run(self._forget_consents, of_client=client_id)
            transaction.run(self._forget_items, of_client=client_id)
            deleted = transaction.run(self._delete, of_client=client_id)
            if deleted:
                self._announcements.tell_before(transaction, transaction.now, client_id=client_id)
            return transaction.noted(deleted, event)

        return self._database.transaction(work, lasting=True)

    def expire(self, registered_before: int, limit: int = 100) -> int:
        """Delete clients of their own making of which there is nothing; return how many.

        One that registered itself before this time and has never had a grant; one with a document of which no grant and
        no consent is left (it comes back with its next use). Grants are seen here before the cleaner takes them.
        """

        def work(transaction: Transaction) -> int:
            transaction.run(self._mark_used)
            times = {"registered_before": registered_before, "described_before": transaction.now - DAY}
            found = transaction.all(self._idle, most=limit, **times)
            for (client_id,) in found:
                transaction.run(self._forget_items, of_client=client_id)
                transaction.run(self._delete, of_client=client_id)
                transaction.audit(Event("client.expired", "worker", client_id))
            return len(found)

        return self._database.transaction(work)

    def _mark_unused(self, transaction: Transaction, client_id: str) -> None:
        mark = {"space": UNUSED, "key": client_id, "value": "", "version": transaction.now, "owner": ""}
        transaction.run(self._mark, expires_at=NEVER, **mark)


def _in(space: str) -> ColumnElement[bool]:
    return ephemeral.c.space == literal(space, Text)


def _idle() -> ColumnElement[bool]:
    """Say that nobody misses a client; the arguments are the two times of ``expire``."""
    marked = exists(
        select(ephemeral.c.key).where(_in(UNUSED), ephemeral.c.key == clients.c.client_id).correlate(clients)
    )
    granted = exists(select(grants.c.grant_id).where(grants.c.client_id == clients.c.client_id).correlate(clients))
    allowed = exists(select(consents.c.sub).where(consents.c.client_id == clients.c.client_id).correlate(clients))
    return or_(
        and_(
            clients.c.origin == literal("registration", Text),
            clients.c.created_at < number("registered_before"),
            marked,
            ~granted,
        ),
        and_(
            clients.c.origin == literal("document", Text),
            clients.c.updated_at < number("described_before"),
            clients.c.disabled_at.is_(None),
            ~granted,
            ~allowed,
        ),
    )


def _document_event(old: Client | None, new: Client) -> Event | None:
    """Return the event of a client that is used for the first time, or whose document says something else now."""
    if old is None:
        return Event("client.added", "document", new.client_id, facts={"profile": new.profile})
    if old.origin != "document" or old.updated_at >= new.updated_at or _described(old) == _described(new):
        return None
    return Event("client.updated", "document", new.client_id, facts={"profile": new.profile})


def _says_otherwise(old: Client, new: Client) -> bool:
    """Say whether people have to look again: at any change where nobody vouches for the client, else at what they see.

    Only a further translation of what an administrator says of a client says nothing else.
    """
    if new.origin != "administrator":
        return _described(old) != _described(new)
    before, after = (
        {name: said for name, said in client.metadata.items() if tagged.untagged(name) in tagged.OF_CLIENTS}
        for client in (old, new)
    )
    said_before = {tagged.untagged(name) for name in before}
    return any(after.get(name) != said for name, said in before.items()) or any(
        name in tagged.OF_CLIENTS or tagged.untagged(name) not in said_before for name in after.keys() - before.keys()
    )


def _described(client: Client) -> dict[str, Any]:
    return {name: value for name, value in client.metadata.items() if name != DOCUMENT_EXPIRES}
