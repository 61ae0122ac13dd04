"""What has to be sent to clients: put down with its reason, taken by one at a time, done at least once."""

from collections.abc import Callable

import pytest

from authserver.clock import DAY, MINUTE
from authserver.records import Event, Job
from authserver.store import Store
from tests.store.at_once import at_once
from tests.store.conftest import OpenStore, StillClock
from tests.store.makers import EVENT, NOW, a_client, a_grant, a_user, furnish, start_session

PLACE = {"backchannel_logout_uri": "https://app.example/bye"}
ENDINGS: dict[str, Callable[[Store], object]] = {
    "one session": lambda store: store.sessions.end(["session"], "logout", EVENT),
    "all sessions": lambda store: store.sessions.end_all("sub-1", "administrator", EVENT),
    "disabled": lambda store: store.users.set_disabled("sub-1", True, EVENT),
    "password": lambda store: store.credentials.replace("sub-1", "password", "new", EVENT),
}


def signed_in(store: Store, *clients: str, sid: str = "session") -> None:
    """Start a session, in which these clients were given something; they want to be told."""
    if store.users.get("sub-1") is None:
        furnish(store)
    start_session(store, sid, browser=sid.encode())
    for client in clients:
        if store.clients.get(client) is None:
            store.clients.add(a_client(client, **PLACE), EVENT)
        store.grants.open(a_grant(f"{sid}-{client}", client_id=client, sid=sid))


def waiting(store: Store) -> list[tuple[str, str, str]]:
    return [(job.client_id, job.sub, job.sid) for job in store.jobs.list(0, 100)]


@pytest.mark.parametrize("ending", ENDINGS)
def test_whatever_ends_a_session_puts_down_whom_to_tell(store: Store, still: StillClock, ending: str):
    signed_in(store, "shop", "bank")
    store.grants.open(a_grant("again", client_id="shop", sid="session"))
    store.grants.open(a_grant("quiet", sid="session"))  # of a client without an address
    store.grants.revoke("session-bank", "withdrawn", EVENT)
    ENDINGS[ending](store)
    assert sorted(waiting(store)) == [("bank", "sub-1", "session"), ("shop", "sub-1", "session")]
    assert {(job.created_at, job.due_at, job.expires_at) for job in store.jobs.list(0, 100)} == {(NOW, NOW, NOW + DAY)}
    still.move(MINUTE)
    ENDINGS[ending](store)
    assert len(waiting(store)) == 2, "what is over does not end again"


def test_other_sessions_and_other_users_are_nobodys_business(store: Store, still: StillClock):
    signed_in(store, "shop")
    signed_in(store, "bank", sid="kept")
    store.users.add(a_user("sub-2", "bob", None), None, EVENT)
    start_session(store, "bobs", "sub-2", b"c" * 32)
    store.grants.open(a_grant("bobs", client_id="shop", sub="sub-2", sid="bobs"))
    store.sessions.end_all("sub-1", "user", EVENT, keep_sid="kept")
    assert waiting(store) == [("shop", "sub-1", "session")]
    still.move(MINUTE)
    store.credentials.replace("sub-1", "password", "new", EVENT, keep_sid="kept")
    assert waiting(store) == [("shop", "sub-1", "session")]


def test_a_name_that_looks_like_the_member_is_no_address(store: Store):
    furnish(store)
    store.clients.add(a_client("sly", client_name='"backchannel_logout_uri":"https://x.example"'), EVENT)
    signed_in(store, "sly")
    store.sessions.end(["session"], "logout", EVENT)
    assert waiting(store) == []


def test_what_is_undone_puts_nothing_down(store: Store, still: StillClock, monkeypatch: pytest.MonkeyPatch):
    signed_in(store, "shop")

    def fail(*_arguments: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("authserver.store.database.Transaction.noted", fail)
    with pytest.raises(RuntimeError):
        store.sessions.end(["session"], "logout", EVENT)
    assert waiting(store) == []


def one_job(store: Store) -> Job:
    signed_in(store, "shop")
    store.sessions.end(["session"], "logout", EVENT)
    (job,) = store.jobs.list(0, 10)
    return job


def test_a_job_is_taken_by_one_of_many_and_by_another_when_that_one_is_late(store: Store, still: StillClock):
    one_job(store)
    assert store.jobs.take(NOW + MINUTE) is not None
    assert store.jobs.take(NOW + MINUTE) is None
    still.move(MINUTE - 1)
    assert store.jobs.take(NOW + 2 * MINUTE) is None
    still.move(1)
    again = store.jobs.take(NOW + 2 * MINUTE)
    assert again is not None
    assert again.attempts == 2


def test_who_comes_late_can_neither_finish_it_nor_put_it_off(store: Store, still: StillClock):
    one_job(store)
    first = store.jobs.take(NOW + MINUTE)
    still.move(MINUTE)
    second = store.jobs.take(NOW + 2 * MINUTE)
    assert first is not None
    assert second is not None
    assert not store.jobs.finish(first, Event("job.delivered"))
    assert not store.jobs.postpone(first, NOW, "late")
    assert store.audit.list(0, 100, "job.delivered") == ()
    assert store.jobs.finish(second, Event("job.delivered"))
    assert len(store.audit.list(0, 100, "job.delivered")) == 1
    assert waiting(store) == []


def test_what_is_put_off_is_due_later_and_says_why(store: Store, still: StillClock):
    one_job(store)
    job = store.jobs.take(NOW + MINUTE)
    assert job is not None
    assert store.jobs.postpone(job, NOW + 3 * MINUTE, "status 503")
    still.move(2 * MINUTE)
    assert store.jobs.take(NOW + 10 * MINUTE) is None
    still.move(MINUTE)
    again = store.jobs.take(NOW + 10 * MINUTE)
    assert again is not None
    assert (again.attempts, again.problem) == (2, "status 503")


def test_of_many_at_once_each_gets_another_job(url: str, opened: OpenStore):
    store = opened(url)
    signed_in(store, *(f"client-{number}" for number in range(12)))
    store.sessions.end(["session"], "logout", EVENT)
    stores = [opened(url), opened(url)]
    taken: list[int] = []

    def take_all() -> list[int]:
        at = stores[len(taken) % 2]
        taken.append(0)
        mine = []
        while (job := at.jobs.take(2**60)) is not None:
            mine.append(job.number)
        return mine

    numbers = [number for mine in at_once(take_all, 8) for number in mine]
    assert sorted(numbers) == sorted(set(numbers))
    # On PostgreSQL a row that another one is just taking is passed over; it is taken, or still there.
    left = [job.number for job in store.jobs.list(0, 100) if job.attempts == 0]
    assert len(numbers) + len(left) == 12
