"""The audit trail: read, the oldest first."""

from typing import Any, Final

from authserver.api.fields import PAGE, event
from authserver.api.operation import Call, Operation
from authserver.api.paging import page
from authserver.clock import SECOND
from authserver.oauth.request import Answer
from authserver.records import AuditLine


def list_(call: Call) -> Answer:
    """List what happened, by number; of one event where name says which."""
    return page(
        call,
        "events",
        lambda after, most: call.store.audit.list(int(after or 0), most, call.given.get("name")),
        lambda line: str(line.number),
        _described,
    )


OPERATIONS: Final = (Operation("GET", "/audit", "audit", list_, takes={**PAGE, "name": event}),)


def _described(line: AuditLine) -> dict[str, Any]:
    told = line.event
    return {
        "number": line.number,
        "at": line.at // SECOND,
        "name": told.name,
        "actor": told.actor,
        "client_id": told.client_id,
        "sub": told.sub,
        "facts": dict(told.facts),
    }
