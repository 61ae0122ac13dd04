"""What clients have to be told until they have heard it: retried, alone, for a bounded time, and never waited for."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier, Event, Lock
from typing import Any, cast

import pytest

from authserver import clock, deliveries
from authserver.clock import DAY, HOUR, MINUTE, SECOND, now
from authserver.courier import Message
from authserver.deliveries import Deliveries, Unwritten, pause
from authserver.outbound import Outbound, OutboundError
from authserver.records import Job
from authserver.settings import Settings
from authserver.store import Store, open_store
from authserver.store.jobs import LOGOUT
from tests.store.makers import EVENT, a_client, a_grant, a_user

_PATIENCE = 10
PLACE = "https://app.example/bye"


class Door:
    """Takes the place of the way out; ``answers`` says what the next attempts get, the last one for all the rest."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers) or [200]
        self.sent: list[str] = []
        self.inside = lambda: None
        self._lock = Lock()

    def post(self, url: str, _headers: tuple[tuple[str, str], ...], _body: bytes) -> int:
        with self._lock:
            self.sent.append(url)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.inside()
        if isinstance(answer, Exception):
            raise answer
        return answer


class OneByOne(Deliveries):
    def nudge(self) -> None:
        """Leave everything to the thread that runs."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(Settings(development=True, database_url=f"sqlite:///{tmp_path / 'authserver.db'}"))
    opened.upgrade()
    yield opened
    clock.shift(0)
    opened.close()


def put(store: Store, *clients: str) -> None:
    """Put down that these clients have to be told."""
    if store.users.get("sub-1") is None:
        store.users.add(a_user(), None, EVENT)
    for client in clients:
        store.clients.add(a_client(client, backchannel_logout_uri=PLACE), EVENT)
        sid = f"of-{client}"
        store.sessions.start(
            sid=sid, browser=sid.encode(), sub="sub-1", acr="", amr="", user_agent="", address="",
            expires_at=now() + DAY, event=EVENT,
        )  # fmt: skip
        store.grants.open(a_grant(client, client_id=client, sid=sid))
        store.sessions.end([sid], "logout", EVENT)


def again_away(store: Store, count: int) -> None:
    """Put down that the client ``away`` has to be told of so many sessions more."""
    for _ in range(count):
        again = f"of-{now()}"
        store.sessions.start(
            sid=again, browser=again.encode(), sub="sub-1", acr="", amr="", user_agent="", address="",
            expires_at=now() + DAY, event=EVENT,
        )  # fmt: skip
        store.grants.open(a_grant(again, client_id="away", sid=again))
        store.sessions.end([again], "logout", EVENT)


def write(job: Job) -> Message:
    return Message(job.client_id, f"{PLACE}/{job.client_id}", (), b"")


def deliver(store: Store, door: Door, writer: Callable[[Job], Message] = write) -> Deliveries:
    return Deliveries(store, cast(Outbound, door), {LOGOUT: writer})


def told(store: Store) -> list[tuple[str, Any]]:
    events = [line.event for line in store.audit.list(0, 1000) if line.event.name.startswith("job.")]
    return [(event.name, event.facts.get("reason")) for event in events]


@pytest.mark.parametrize("status", [200, 204])
def test_success_is_the_end_of_it(store: Store, status: int):
    put(store, "shop")
    door = Door(status)
    assert deliver(store, door).run() == 1
    assert door.sent == [f"{PLACE}/shop"]
    assert store.jobs.list(0, 10) == ()
    assert told(store) == [("job.delivered", None)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 422])
def test_a_refusal_is_final(store: Store, status: int):
    put(store, "shop")
    assert deliver(store, Door(status)).run() == 1
    assert store.jobs.list(0, 10) == ()
    assert told(store) == [("job.failed", f"status {status}")]


@pytest.mark.parametrize("answer", [408, 429, 500, 502, 503, 301, 307, OutboundError("no connection")])
def test_not_now_is_tried_again_later(store: Store, answer: int | Exception):
    put(store, "shop")
    door = Door(answer, 200)
    sender = deliver(store, door)
    assert sender.run() == 1, "not at once"
    (job,) = store.jobs.list(0, 10)
    assert job.problem == (f"status {answer}" if isinstance(answer, int) else "no connection")
    assert now() + SECOND // 2 < job.due_at < now() + 3 * SECOND
    assert told(store) == []
    clock.shift(4)
    assert sender.run() == 1
    assert told(store) == [("job.delivered", None)]


def test_pauses_grow_to_an_hour_and_differ():
    assert all(SECOND <= pause(1) <= 2 * SECOND for _ in range(50))
    assert all(HOUR // 2 <= pause(attempts) <= HOUR for attempts in (12, 30, 10**6))
    assert len({pause(8) for _ in range(50)}) > 40


def test_who_never_answers_is_given_up_after_a_day(store: Store):
    put(store, "shop")
    door = Door(503)
    sender, begun = deliver(store, door), now()
    while store.jobs.list(0, 10):
        (job,) = store.jobs.list(0, 10)
        clock.shift((job.due_at - begun) / SECOND + 1)
        sender.run()
    assert told(store) == [("job.failed", "status 503")]
    assert 20 < len(door.sent) < 80
    assert now() < begun + DAY + HOUR


def test_what_nobody_has_tried_in_time_is_not_sent_any_more(store: Store):
    put(store, "shop")
    clock.shift(2 * 86400)
    door = Door()
    deliver(store, door).run()
    assert door.sent == []
    assert told(store) == [("job.failed", "nobody has tried in time")]


def test_a_message_that_cannot_be_written_is_given_up_or_tried_again_as_it_says(store: Store):
    put(store, "gone", "later", "broken")

    def refuse(job: Job) -> Message:
        if job.client_id == "broken":
            raise RuntimeError
        raise Unwritten("no such client", final=job.client_id == "gone")

    door = Door()
    sender = deliver(store, door, refuse)
    sender.run()
    sender.wait(_PATIENCE)
    assert door.sent == []
    assert told(store) == [("job.failed", "no such client")]
    assert [job.problem for job in store.jobs.list(0, 10)] == ["no such client", "a mistake of ours"]


def test_what_was_switched_off_is_sent_to_nobody(store: Store):
    put(store, "shop")
    door = Door()
    Deliveries(store, cast(Outbound, door), {}).run()
    assert (door.sent, store.jobs.list(0, 10)) == ([], ())


def test_nothing_is_sent_by_who_was_held_up_until_it_may_be_anothers(store: Store):
    put(store, "shop")

    def slow(job: Job) -> Message:
        clock.shift(55)
        return write(job)

    door = Door()
    deliver(store, door, slow).run()
    assert door.sent == []
    assert len(store.jobs.list(0, 10)) == 1


def test_a_nudge_returns_at_once_and_many_are_told_in_parallel(store: Store):
    put(store, *(f"client-{number}" for number in range(deliveries.THREADS + 4)))
    door, all_there = Door(), Barrier(deliveries.THREADS + 1)
    free = Event()

    def wait() -> None:
        if not free.is_set():
            all_there.wait(_PATIENCE)
            free.wait(_PATIENCE)

    door.inside = wait
    sender = deliver(store, door)
    sender.nudge()
    all_there.wait(_PATIENCE)
    assert len(door.sent) == deliveries.THREADS
    free.set()
    sender.wait(_PATIENCE)
    assert len(set(door.sent)) == len(door.sent) == deliveries.THREADS + 4, "each of them once"


def test_a_client_that_does_not_answer_rests_and_holds_up_nobody_else(store: Store):
    put(store, "away")
    again_away(store, 5)
    put(store, "shop")
    door = Door(OutboundError("the answer took too long"), 200)
    sender = OneByOne(store, cast(Outbound, door), {LOGOUT: write})
    assert sender.run() == 7
    assert door.sent == [f"{PLACE}/away", f"{PLACE}/shop"]
    assert len(store.jobs.list(0, 10)) == 6
    clock.shift(8)
    sender.run()
    assert store.jobs.list(0, 10) == ()
    assert len(told(store)) == 7


def test_those_that_only_wait_for_a_client_are_taken_ever_more_seldom(store: Store):
    put(store, "away")
    again_away(store, 40)
    sender, begun = OneByOne(store, cast(Outbound, Door(503)), {LOGOUT: write}), now()
    for minute in range(60):
        clock.shift(60 * minute)
        sender.run()
    assert now() - begun < HOUR
    assert all(job.attempts < 20 for job in store.jobs.list(0, 100))


def test_while_one_looks_whether_a_client_is_back_the_others_wait(store: Store):
    put(store, "away")
    again_away(store, 2)
    door = Door(503)
    sender = OneByOne(store, cast(Outbound, door), {LOGOUT: write})
    sender.run()
    clock.shift(8)
    # Another thread comes by while the first one waits for the answer.
    door.inside = lambda: setattr(door, "inside", lambda: None) or sender.run()  # type: ignore[func-returns-value]
    sender.run()
    assert len(door.sent) == 2


def test_a_clock_that_is_set_back_gives_nobody_a_longer_rest(store: Store):
    clock.shift(HOUR // SECOND)
    put(store, "away")
    door = Door(503, 200)
    sender = OneByOne(store, cast(Outbound, door), {LOGOUT: write})
    sender.run()
    clock.shift(0)
    again_away(store, 1)
    assert sender.run() == 1
    assert told(store) == [("job.delivered", None)]


def test_threads_end_when_there_is_nothing_left_and_come_again(store: Store):
    door, sent = Door(), Event()
    door.inside = sent.set
    sender = deliver(store, door)
    for name in ("first", "second"):
        put(store, name)
        sent.clear()
        sender.nudge()
        assert sent.wait(_PATIENCE)
    sender.close(_PATIENCE)
    assert not sender._threads
    sender.nudge()
    assert len(door.sent) == 2
    assert told(store) == [("job.delivered", None)] * 2


def test_who_is_killed_while_sending_leaves_it_to_another(store: Store):
    put(store, "shop")
    assert store.jobs.take(now() + deliveries.LEASE) is not None  # and then nothing more is heard of it
    door = Door()
    assert deliver(store, door).run() == 0
    clock.shift(deliveries.LEASE / SECOND + 1)
    assert deliver(store, door).run() == 1
    assert told(store) == [("job.delivered", None)]
    assert deliveries.LEASE == MINUTE
