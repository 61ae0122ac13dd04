"""What clients have not been told yet, the oldest first."""

from typing import Final

from authserver.api.fields import PAGE
from authserver.api.operation import Call, Operation
from authserver.api.paging import page
from authserver.manage import jobs
from authserver.oauth.request import Answer


def list_(call: Call) -> Answer:
    """List what is waiting to be told to clients, by number; what became of the rest is in the audit trail."""
    return page(
        call,
        "jobs",
        lambda after, most: jobs.waiting(call.store, int(after or 0), most),
        lambda job: str(job.number),
        jobs.describe,
    )


OPERATIONS: Final = (Operation("GET", "/jobs", "audit", list_, takes=PAGE),)
