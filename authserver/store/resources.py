"""Protected resources and the scopes that they know (RFC 8707)."""

from typing import Any

from sqlalchemy import delete, select, update

from authserver.records import Event, Resource, Scope
from authserver.store.database import Database, Transaction
from authserver.store.json_text import from_text, to_text
from authserver.store.statement import Row, number, text
from authserver.store.tables import resources

_COLUMNS = (
    resources.c.identifier,
    resources.c.name,
    resources.c.scopes,
    resources.c.token_format,
    resources.c.access_token_seconds,
    resources.c.signing_alg,
    resources.c.created_at,
    resources.c.demonstration,
    resources.c.encryption,
    resources.c.status_list,
)


def from_row(row: Row) -> Resource:
    """Read a resource from its row."""
    identifier, name, scopes, token_format, seconds, signing_alg, created_at, demonstration, encryption, status = row
    known = tuple(Scope(scope.pop("name"), scope.pop("description"), scope) for scope in from_text(scopes))
    return Resource(
        identifier,
        name,
        known,
        token_format,
        seconds,
        signing_alg,
        created_at,
        bool(demonstration),
        None if encryption is None else from_text(encryption),
        bool(status),
    )


def to_row(resource: Resource) -> dict[str, Any]:
    """Write what an administrator may change of a resource."""
    return {
        "name": resource.name,
        "scopes": to_text(
            [{**scope.texts, "name": scope.name, "description": scope.description} for scope in resource.scopes]
        ),
        "token_format": resource.token_format,
        "access_token_seconds": resource.access_token_seconds,
        "signing_alg": resource.signing_alg,
        "demonstration": int(resource.demonstration),
        "encryption": None if resource.encryption is None else to_text(resource.encryption),
        "status_list": int(resource.status_list),
    }


class Resources:
    """Verbs on resources."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._get = database.prepare(select(*_COLUMNS).where(resources.c.identifier == text("identifier")), from_row)
        self._all = database.prepare(
            select(*_COLUMNS).order_by(resources.c.created_at, resources.c.identifier), from_row
        )
        self._insert = database.prepare(resources.insert())
        same = resources.c.identifier == text("of_resource")
        self._update = database.prepare(
            update(resources)
            .where(same)
            .values(
                name=text("name"),
                scopes=text("scopes"),
                token_format=text("token_format"),
                access_token_seconds=number("access_token_seconds"),
                signing_alg=text("signing_alg"),
                demonstration=number("demonstration"),
                encryption=text("encryption"),
                status_list=number("status_list"),
            )
        )
        self._delete = database.prepare(delete(resources).where(same))

    def get(self, identifier: str) -> Resource | None:
        """Return a resource by its identifier, compared as a string."""
        return self._database.one(self._get, identifier=identifier)

    def all(self) -> tuple[Resource, ...]:
        """Return every resource, the oldest first."""
        return tuple(self._database.all(self._all))

    def add(self, resource: Resource, event: Event) -> None:
        """Add a resource; raises Conflict when the identifier is taken."""
        row = to_row(resource)

        def work(transaction: Transaction) -> None:
            transaction.run(self._insert, identifier=resource.identifier, created_at=transaction.now, **row)
            transaction.audit(event)

        self._database.transaction(work)

    def update(self, resource: Resource, event: Event) -> bool:
        """Replace all but the identifier; say whether the resource exists."""
        row = to_row(resource)

        def work(transaction: Transaction) -> bool:
            return transaction.noted(transaction.run(self._update, of_resource=resource.identifier, **row), event)

        return self._database.transaction(work)

    def delete(self, identifier: str, event: Event) -> bool:
        """Delete a resource; say whether it was there."""

        def work(transaction: Transaction) -> bool:
            return transaction.noted(transaction.run(self._delete, of_resource=identifier), event)

        return self._database.transaction(work, lasting=True)
