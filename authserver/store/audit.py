"""The audit trail."""

from sqlalchemy import select

from authserver import clock
from authserver.records import AuditLine, Event
from authserver.store.database import Database, audit_values, tell
from authserver.store.json_text import from_text
from authserver.store.statement import Row, number, text
from authserver.store.tables import audit

_COLUMNS = (audit.c.number, audit.c.at, audit.c.name, audit.c.actor, audit.c.client_id, audit.c.sub, audit.c.facts)


def from_row(row: Row) -> AuditLine:
    """Read a line from its row."""
    line, at, name, actor, client_id, sub, facts = row
    return AuditLine(line, at, Event(name, actor, client_id, sub, from_text(facts)))


class Audit:
    """Verbs on the audit trail; what changes something else writes its event in its own transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        page = select(*_COLUMNS).where(audit.c.number > number("after")).order_by(audit.c.number).limit(number("most"))
        self._page = database.prepare(page, from_row)
        self._page_of = database.prepare(page.where(audit.c.name == text("of_name")), from_row)

    def append(self, event: Event) -> None:
        """Write an event that changes nothing else."""
        tell(event)
        self._database.write(self._database.append_audit, **audit_values(event, clock.now()))

    def list(self, after_number: int, limit: int, name: str | None = None) -> tuple[AuditLine, ...]:
        """Return the ``limit`` first lines after a number, of one event name or of all."""
        if name is None:
            return tuple(self._database.all(self._page, after=after_number, most=limit))
        return tuple(self._database.all(self._page_of, after=after_number, most=limit, of_name=name))
