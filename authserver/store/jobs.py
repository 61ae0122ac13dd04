"""What has to be sent to clients: written by the transaction that is the reason for it, taken by one at a time.

Who takes a job has it until a time; when that is over (its process was killed, say) another one may take it, and the
first can neither finish it nor put it off any more. So a job is done at least once.
"""

from sqlalchemy import BigInteger, ColumnElement, Text, insert, literal, literal_column, select, update
from sqlalchemy import delete as sql_delete

from authserver import clock
from authserver.clock import DAY
from authserver.records import Event, Job
from authserver.store.database import Database, Transaction
from authserver.store.statement import NOW, Row, Statement, number, text
from authserver.store.tables import clients, grants, jobs, sessions

LOGOUT = "backchannel_logout"
KEPT = DAY  # after this time nobody is told any more
_COLUMNS = tuple(jobs.c[name] for name in Job._fields)
_ADDRESS = '%"backchannel_logout_uri":%'


def notices(database: Database, *which: ColumnElement[bool]) -> Statement[Row]:
    """Return the statement (now) that puts down whom to tell of the sessions that this transaction has ended.

    Every client that was ever given a grant in one of them and has an address to be told at: it may have a session of
    its own, whatever has become of the grant (OpenID Connect Back-Channel Logout 2.3).
    """
    known = sessions.join(grants, grants.c.sid == sessions.c.sid).join(
        clients, clients.c.client_id == grants.c.client_id
    )
    wanted = (
        select(
            literal(LOGOUT, Text),
            grants.c.client_id,
            sessions.c.sub,
            sessions.c.sid,
            NOW,
            NOW,
            NOW + literal(KEPT, BigInteger),
            literal(0, BigInteger),
        )
        .select_from(known)
        # A look at the text: a false hit (a member of that name inside another one) is found out by who sends.
        .where(sessions.c.ended_at == NOW, clients.c.metadata.like(literal(_ADDRESS, Text)), *which)
        .distinct()
    )
    columns = ("kind", "client_id", "sub", "sid", "created_at", "due_at", "expires_at", "attempts")
    return database.prepare(insert(jobs).from_select(columns, wanted))


class Jobs:
    """Verbs on jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        mine = (jobs.c.number == number("of_number"), jobs.c.attempts == number("of_attempt"))
        due = jobs.c.due_at <= NOW
        first = select(jobs.c.number).where(due).order_by(jobs.c.due_at).limit(literal_column("1"))
        self._due = database.prepare(first)
        self._take = database.prepare(
            update(jobs)
            .where(jobs.c.number == first.with_for_update(skip_locked=True).scalar_subquery(), due)
            .values(due_at=number("until"), attempts=jobs.c.attempts + literal(1, BigInteger))
            .returning(*_COLUMNS),
            Job._make,
        )
        self._delete = database.prepare(sql_delete(jobs).where(*mine))
        self._postpone = database.prepare(
            update(jobs).where(*mine).values(due_at=number("new_due_at"), problem=text("new_problem"))
        )
        page = select(*_COLUMNS).where(jobs.c.number > number("after")).order_by(jobs.c.number).limit(number("most"))
        self._page = database.prepare(page, Job._make)

    def take(self, until: int) -> Job | None:
        """Take the job that is due the longest: nobody else can before ``until``."""
        # Looked at first: where nothing is due, which is nearly always, nobody writes.
        if self._database.one(self._due, now=clock.now()) is None:
            return None
        return self._database.write_one(self._take, until=until, now=clock.now())

    def finish(self, job: Job, event: Event) -> bool:
        """Remove a job that was taken, and write what has become of it; say whether it was still the taker's."""

        def work(transaction: Transaction) -> bool:
            gone = transaction.run(self._delete, of_number=job.number, of_attempt=job.attempts)
            return transaction.noted(gone, event)

        return self._database.transaction(work)

    def postpone(self, job: Job, due_at: int, problem: str) -> bool:
        """Let a job that was taken be tried again later; say whether it was still the taker's."""
        mine = {"of_number": job.number, "of_attempt": job.attempts}
        return self._database.write(self._postpone, new_due_at=due_at, new_problem=problem, **mine) > 0

    def list(self, after_number: int, limit: int) -> tuple[Job, ...]:
        """Return the ``limit`` first jobs after a number that are not done."""
        return tuple(self._database.all(self._page, after=after_number, most=limit))
