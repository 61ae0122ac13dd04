"""What clients still have to be told, as administrators see it; what became of the rest is in the audit trail."""

from typing import Any

from authserver.clock import SECOND
from authserver.records import Job
from authserver.store import Store


def waiting(store: Store, after: int, limit: int) -> tuple[Job, ...]:
    """Return the ``limit`` first jobs after a number that are not done."""
    return store.jobs.list(after, limit)


def describe(job: Job) -> dict[str, Any]:
    """Return what may be shown of a job."""
    return {
        "number": job.number,
        "kind": job.kind,
        "client_id": job.client_id,
        "sub": job.sub,
        "sid": job.sid,
        "created_at": job.created_at // SECOND,
        "due_at": job.due_at // SECOND,
        "expires_at": job.expires_at // SECOND,
        "attempts": job.attempts,
        "problem": job.problem,
    }
