"""What is told of each revocation: by the verb itself, or not at all, and in the order in which it counts."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, select

from authserver import clock
from authserver.clock import DAY, HOUR, MINUTE, SECOND
from authserver.records import Cursor, Event, Resource
from authserver.store import BadValue, Store
from authserver.store.database import Transaction
from authserver.store.revocations import BEGINNING
from authserver.store.tables import revocations
from tests.store.at_once import at_once
from tests.store.conftest import OpenStore, StillClock
from tests.store.makers import (
    EVENT,
    NOW,
    a_client,
    a_consent,
    a_grant,
    a_refresh_token,
    a_user,
    an_access_token,
    digest,
    furnish,
    start_session,
)

Description = dict[str, Any]
Told = Callable[[], list[Description]]
WRITERS, EACH = 8, 25
MARGIN = 2 * MINUTE


@pytest.fixture
def told(store: Store, still: StillClock) -> Told:
    """What was told since the last time that this was asked, in a furnished store."""
    del still
    furnish(store)
    place = store.revocations.latest().number

    def since() -> list[Description]:
        nonlocal place
        rows = store.revocations.since(place, 100)
        place = rows[-1].number if rows else place
        return [json.loads(row.description) for row in rows]

    return since


def before(moment: int, **members: Any) -> Description:
    return {**members, "issued_before": moment / SECOND}


# Each verb that takes away.


def test_a_revoked_grant_is_told_once(store: Store, told: Told):
    store.grants.open(a_grant())
    assert store.grants.revoke("grant", "r", EVENT)
    assert told() == [{"grant_id": "grant"}]
    assert not store.grants.revoke("grant", "r", EVENT)
    assert told() == []


def test_a_code_that_comes_again_is_told(store: Store, told: Told):
    store.grants.open(a_grant(), digest("code"), NOW + MINUTE)
    store.grants.redeem(digest("code"), "client")
    assert told() == []
    for _ in range(2):
        store.grants.redeem(digest("code"), "client")
    assert told() == [{"grant_id": "grant"}]


def test_a_refresh_token_that_comes_again_is_told(store: Store, told: Told):
    store.grants.open(a_grant())
    store.tokens.add(None, a_refresh_token())
    arguments = {"salt": b"s", "sliding_us": DAY, "grace_us": 0, "access": None}
    outcomes = [
        store.tokens.rotate(digest("refresh"), "client", successor_digest=digest(f"next-{number}"), **arguments).outcome
        for number in range(3)
    ]
    assert outcomes == ["rotated", "reused", "refused"]
    assert told() == [{"grant_id": "grant"}]


def test_the_grants_of_a_user_a_client_or_both_are_told_in_a_word(store: Store, told: Told):
    owners = ({"sub": "sub-1"}, {"client_id": "client"}, {"sub": "sub-1", "client_id": "client"})
    for number, owner in enumerate(owners):
        for name in "ab":
            store.grants.open(a_grant(f"{name}{number}"))
        assert store.grants.revoke_all(**owner, reason="r", event=EVENT) == 2
        assert told() == [before(NOW, **owner, granted=True)]
        assert store.grants.revoke_all(**owner, reason="r", event=EVENT) == 0
        assert told() == []


def test_of_an_ended_session_the_grants_are_told_that_do_not_outlive_it(store: Store, told: Told, still: StillClock):
    for sid in ("s", "t", "u"):
        start_session(store, sid)
        store.grants.open(a_grant(f"{sid}-bound", sid=sid))
        store.grants.open(a_grant(f"{sid}-offline", sid=sid, offline=1))
    store.grants.open(a_grant("alone"))
    store.sessions.end(["t", "s"], "logout", EVENT)
    assert told() == [{"grant_id": "s-bound"}, {"grant_id": "t-bound"}]
    still.move(1)
    store.sessions.end(["t"], "logout", EVENT)
    assert told() == []
    store.sessions.end_all("sub-1", "logout", EVENT, keep_sid="u")
    assert told() == []
    store.sessions.end_all("sub-1", "logout", EVENT)
    assert told() == [{"grant_id": "u-bound"}]


def test_a_withdrawn_consent_is_told_where_it_had_led_to_something(store: Store, told: Told):
    store.consents.allow([a_consent()])
    store.consents.withdraw("sub-1", "client", EVENT)
    assert told() == []
    store.grants.open(a_grant())
    store.consents.withdraw("sub-1", "client", EVENT)
    assert told() == [before(NOW, sub="sub-1", client_id="client", granted=True)]


def test_a_changed_password_and_a_disabled_user_are_told(store: Store, told: Told, still: StillClock):
    now = still.move(SECOND // 4)
    store.credentials.replace("sub-1", "password", "new", EVENT)
    assert told() == [before(now, sub="sub-1", granted=True)]
    now = still.move(SECOND // 4)
    store.users.set_disabled("sub-1", True, EVENT)
    assert told() == [before(now, sub="sub-1", granted=True)]
    store.users.set_disabled("sub-1", False, EVENT)
    assert told() == []


def test_a_disabled_or_deleted_client_is_told_with_the_tokens_that_it_got_for_itself(
    store: Store, told: Told, still: StillClock
):
    now = still.move(SECOND // 4)
    store.clients.set_disabled("client", True, EVENT)
    assert told() == [before(now, client_id="client")]
    store.clients.set_disabled("client", True, EVENT)
    store.clients.set_disabled("client", False, EVENT)
    assert told() == []
    store.clients.delete("client", EVENT)
    assert told() == [before(now, client_id="client")]
    store.clients.delete("client", EVENT)
    assert told() == []


def test_all_tokens_of_a_client_are_dead_with_the_second_and_the_client_goes_on(
    store: Store, told: Told, still: StillClock
):
    store.grants.open(a_grant())
    store.tokens.add(an_access_token("own", grant_id=None, sub="client"))
    own_jwt = {"jti": "j", "grant_id": None, "client_id": "client", "sub": "client", "issued_at": NOW}
    still.move(SECOND // 4)
    assert store.tokens.find_jwt(**own_jwt)
    assert store.clients.revoke_tokens("client", EVENT) == 1
    assert told() == [before(NOW + SECOND, client_id="client")]
    assert store.tokens.find(digest("own")) is None
    assert not store.tokens.find_jwt(**own_jwt)
    assert store.grants.get("grant") is None
    still.time = NOW + SECOND
    store.tokens.add(an_access_token("next", grant_id=None, sub="client", issued_at=still.time))
    assert store.tokens.find(digest("next"))
    assert store.tokens.find_jwt(**own_jwt | {"issued_at": still.time})
    assert store.clients.revoke_tokens("nobody", EVENT) is None
    assert told() == []


def test_one_revoked_token_is_told_once_whatever_its_form(store: Store, told: Told, still: StillClock):
    store.tokens.add(an_access_token("opaque", grant_id=None))
    for _ in range(2):
        still.move(1)
        assert store.tokens.revoke(digest("opaque"), "client")
        store.tokens.revoke_jti("jwt", NOW + MINUTE)
    assert told() == [{"jti": "opaque"}, {"jti": "jwt"}]
    assert not store.tokens.revoke(digest("opaque"), "another")
    assert told() == []


def test_what_takes_nothing_away_tells_nothing(store: Store, told: Told):
    store.clients.update(a_client(scope="openid"), EVENT)
    store.users.update(a_user(username="alicia"), EVENT)
    store.grants.open(a_grant(), digest("code"), NOW + MINUTE)
    store.grants.redeem(digest("code"), "another")
    store.tokens.add(an_access_token(), a_refresh_token())
    assert told() == []


# The same transaction.


@pytest.mark.parametrize("verb", ["revoke", "end_all", "replace", "set_disabled", "delete"])
def test_a_verb_that_fails_has_told_nothing(store: Store, told: Told, verb: str):
    start_session(store)
    store.grants.open(a_grant(sid="session"))
    unwritable = Event("tested", facts={"why": object()})
    acts: dict[str, Callable[[], object]] = {
        "revoke": lambda: store.grants.revoke("grant", "r", unwritable),
        "end_all": lambda: store.sessions.end_all("sub-1", "r", unwritable),
        "replace": lambda: store.credentials.replace("sub-1", "password", "new", unwritable),
        "set_disabled": lambda: store.users.set_disabled("sub-1", True, unwritable),
        "delete": lambda: store.clients.delete("client", unwritable),
    }
    with pytest.raises(BadValue):
        acts[verb]()
    assert store.grants.get("grant")
    assert told() == []


# How long it is told.


def test_a_revocation_is_told_until_no_token_can_be_alive(store: Store, told: Told):
    del told
    store.tokens.revoke_jti("jwt", NOW + 5 * SECOND)
    store.clients.set_disabled("client", True, EVENT)
    store.resources.add(Resource("urn:long", "Long", access_token_seconds=7200), EVENT)
    store.clients.delete("client", EVENT)
    ends = [row.expires_at for row in store.revocations.since(0, 10)]
    assert ends == [NOW + 5 * SECOND + MARGIN, NOW + HOUR + MARGIN, NOW + 2 * HOUR + MARGIN]


def test_tokens_that_live_long_by_the_settings_are_told_of_as_long(url: str, opened: OpenStore, still: StillClock):
    store = opened(url, tokens={"access_token_seconds": 3 * 3600})
    furnish(store)
    store.users.set_disabled("sub-1", True, EVENT)
    assert [row.expires_at for row in store.revocations.since(0, 10)] == [still.time + 3 * HOUR + MARGIN]


def test_what_has_expired_is_not_told_and_goes_but_for_the_last(store: Store, still: StillClock):
    for number in range(3):
        store.tokens.revoke_jti(str(number), NOW + MINUTE)
    last = store.revocations.latest()
    still.move(MINUTE + MARGIN)
    assert store.revocations.since(0, 10) == ()
    still.move(1)
    assert store.purge()["revocations"] == 2
    assert store.purge()["revocations"] == 0
    assert store.revocations.latest() == last
    assert store.revocations.knows(last)


# Places.


def test_a_place_is_known_by_number_and_time(store: Store, still: StillClock):
    assert store.revocations.latest() == BEGINNING
    assert store.revocations.knows(BEGINNING)
    store.tokens.revoke_jti("jwt", still.time + MINUTE)
    place = store.revocations.latest()
    assert place.at == still.time
    assert store.revocations.knows(place)
    assert not store.revocations.knows(place._replace(at=place.at + 1))
    assert not store.revocations.knows(place._replace(number=place.number + 1))
    assert not store.revocations.knows(Cursor(2**80, 0))
    assert store.revocations.since(2**80, 10) == ()


def test_numbers_never_come_again(store: Store):
    ends = clock.now() + MINUTE
    store.tokens.revoke_jti("first", ends)
    before_it = store.revocations.latest()
    with store.database.engine.begin() as connection:
        connection.execute(delete(revocations))
    assert store.revocations.latest() == BEGINNING
    store.tokens.revoke_jti("second", ends)
    assert store.revocations.latest().number > before_it.number
    assert not store.revocations.knows(before_it)


def test_a_page_ends_where_it_was_told_to(store: Store):
    ends = clock.now() + MINUTE
    for number in range(5):
        store.tokens.revoke_jti(str(number), ends)
    pages, place = [], 0
    while rows := store.revocations.since(place, 2):
        place = rows[-1].number
        pages.append([json.loads(row.description)["jti"] for row in rows])
    assert pages == [["0", "1"], ["2", "3"], ["4"]]


# Order.


class Follower(threading.Thread):
    """Reads on and on behind the last number that it has seen."""

    def __init__(self, store: Store) -> None:
        super().__init__(daemon=True)
        self.seen: list[int] = []
        self.is_over = threading.Event()
        self._store = store

    def run(self) -> None:
        while True:
            over = self.is_over.is_set()
            rows = self._store.revocations.since(self.seen[-1] if self.seen else 0, 1000)
            self.seen += [row.number for row in rows]
            if over and not rows:
                return


def test_who_follows_misses_nothing_while_many_write(url: str, opened: OpenStore):
    store = opened(url, database={"busy_ms": 60_000})
    furnish(store)
    names = iter([f"grant-{number}" for number in range(WRITERS * EACH)])
    for number in range(WRITERS * EACH):
        store.grants.open(a_grant(f"grant-{number}", now=clock.now()))
    followers = [Follower(store) for _ in range(2)]
    for follower in followers:
        follower.start()
    own, lock = threading.local(), threading.Lock()

    def write() -> None:
        own.name = threading.current_thread().name
        for number in range(EACH):
            with lock:
                name = next(names)
            store.grants.revoke(name, "r", EVENT)
            store.tokens.revoke_jti(f"{own.name}-{number}", clock.now() + DAY)

    at_once(write, WRITERS)
    for follower in followers:
        follower.is_over.set()
        follower.join(60)
    with store.database.engine.connect() as connection:
        there = list(connection.execute(select(revocations.c.number).order_by(revocations.c.number)).scalars())
    assert len(there) == 2 * WRITERS * EACH
    assert all(follower.seen == there for follower in followers)


def test_a_number_is_not_seen_before_the_ones_below_it(prepared_postgres_url: str, opened: OpenStore):
    store = opened(prepared_postgres_url, database={"busy_ms": 60_000})
    furnish(store)
    for name in ("first", "second"):
        store.grants.open(a_grant(name, now=clock.now()))
    drawn, may_commit = threading.Event(), threading.Event()

    def slowly(transaction: Transaction) -> None:
        store.grants._announcements.tell(transaction, grant_id="first")
        drawn.set()
        assert may_commit.wait(60)

    first = threading.Thread(target=lambda: store.database.transaction(slowly), daemon=True)
    second = threading.Thread(target=lambda: store.grants.revoke("second", "r", EVENT), daemon=True)
    first.start()
    assert drawn.wait(60)
    second.start()
    second.join(0.2)
    assert second.is_alive()
    assert store.revocations.latest() == BEGINNING
    may_commit.set()
    first.join(60)
    second.join(60)
    rows = store.revocations.since(0, 10)
    assert [json.loads(row.description)["grant_id"] for row in rows] == ["first", "second"]
