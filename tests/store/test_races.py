"""Real processes that do the same thing at the same moment, and one that is killed in the middle."""

import hashlib
import multiprocessing
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from authserver import clock
from authserver.clock import DAY
from authserver.records import Event
from authserver.store import Store
from authserver.store.tables import refresh_tokens
from tests.store import racers
from tests.store.makers import a_grant, a_refresh_token, digest, furnish, start_session

ROOT = Path(__file__).parents[2]
PROCESSES = 8
ROUNDS = 6
Race = Callable[..., list[list[Any]]]


@pytest.fixture(scope="module")
def runners() -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, context, racers.join_race, (barrier,)) as pool:
        yield pool


@pytest.fixture
def race(url: str, runners: ProcessPoolExecutor) -> Race:
    """Race on a database, an act and a name in each round: the results by round."""

    def run(steps: list[tuple[str, str]], redis_url: str | None = None) -> list[list[Any]]:
        futures = [runners.submit(racers.rounds, url, redis_url, steps) for _ in range(PROCESSES)]
        return [list(results) for results in zip(*(future.result(120) for future in futures), strict=True)]

    return run


def names_of(kind: str) -> list[str]:
    return [f"{kind}-{number}" for number in range(ROUNDS)]


def test_of_many_who_redeem_a_code_one_gets_the_grant_and_the_others_revoke_it(store: Store, race: Race):
    furnish(store)
    now = clock.now()
    names = names_of("code")
    for name in names:
        store.grants.open(a_grant(name, now=now), digest(name), now + DAY)
    for results in race([("redeem", name) for name in names]):
        assert sorted(results) == [False] * (PROCESSES - 1) + [True]
    assert store.grants.of_user("sub-1") == ()
    assert len(store.audit.list(0, 1000, "code.reused")) == ROUNDS


def open_chain(store: Store, name: str) -> None:
    """Open a grant with a refresh token; ``racers.refresh`` knows the token by the name."""
    now = clock.now()
    store.grants.open(a_grant(name, now=now))
    token = hashlib.sha256(name.encode()).digest()
    store.tokens.add(None, a_refresh_token(grant_id=name, now=now)._replace(digest=hashlib.sha256(token).digest()))


def live_tokens(store: Store, grant_id: str) -> list[bytes]:
    """Return the digests of the refresh tokens of a grant that were never used."""
    unused = refresh_tokens.c.grant_id == grant_id, refresh_tokens.c.rotated_at.is_(None)
    with store.database.engine.connect() as connection:
        return list(connection.execute(select(refresh_tokens.c.digest).where(*unused)).scalars())


def test_of_many_who_refresh_one_rotates_and_all_get_the_same_successor(store: Store, race: Race):
    furnish(store)
    names = names_of("chain")
    for name in names:
        open_chain(store, name)
    for name, results in zip(names, race([("refresh", name) for name in names]), strict=True):
        assert sorted(outcome for outcome, _ in results) == ["repeated"] * (PROCESSES - 1) + ["rotated"]
        (successor,) = {successor for _, successor in results}
        assert live_tokens(store, name) == [hashlib.sha256(successor).digest()]
        assert store.grants.get(name)
    assert len(store.audit.list(0, 1000, "refresh.repeated")) == ROUNDS * (PROCESSES - 1)


def test_without_a_window_one_rotates_and_the_others_revoke_the_grant_once(store: Store, race: Race):
    furnish(store)
    names = names_of("chain")
    for name in names:
        open_chain(store, name)
    for results in race([("refresh without a window", name) for name in names]):
        outcomes = [outcome for outcome, _ in results]
        assert outcomes.count("rotated") == 1
        assert set(outcomes) <= {"rotated", "reused", "refused"}
        assert "reused" in outcomes
    assert store.grants.of_user("sub-1") == ()
    assert len(store.audit.list(0, 1000, "refresh.reused")) == ROUNDS


def test_of_many_who_take_a_name_one_gets_it(store: Store, race: Race):
    names = names_of("user")
    for results in race([("add", name) for name in names]):
        assert results.count(True) == 1
    assert store.users.count() == ROUNDS


def test_of_many_who_use_the_ephemeral_store_one_is_first(url: str, race: Race):
    check_ephemeral(url, None, race)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_of_many_who_use_valkey_one_is_first(url: str, valkey_url: str, race: Race):
    check_ephemeral(url, valkey_url, race)


def check_ephemeral(url: str, redis_url: str | None, race: Race) -> None:
    store = racers.patient(url, redis_url)
    store.ephemeral.put("swap", "item", "value", 2**60)
    names = names_of("item")
    for name in names:
        store.ephemeral.put("taken", name, "value", 2**60)
    steps = [(act, name) for act in ("put", "take", "first_time", "swap", "count", "born_at") for name in names]
    for (act, _), results in zip(steps, race(steps, redis_url), strict=True):
        if act == "count":
            assert sorted(results) == list(range(1, PROCESSES + 1))
        elif act == "born_at":
            assert set(results) == {store.ephemeral.born_at()}
        else:
            assert results.count(True) == 1, act
    store.close()


def test_everybody_who_enters_a_token_gets_a_place_of_its_own(store: Store, race: Race):
    rounds = race([("status", name) for name in names_of("token")])
    assert len({place for places in rounds for place in places}) == PROCESSES * ROUNDS


def test_verbs_that_cross_each_other_all_finish(store: Store, race: Race):
    furnish(store)
    now = clock.now()
    for sid in ("s", "t"):
        start_session(store, sid)
    names = names_of("mixed")
    for name in names:
        store.grants.open(a_grant(name, now=now, sid="s"), digest(name), now + DAY)
    assert all(all(results) for results in race([("mixed", name) for name in names]))


def killed_inside(url: str, verb: str) -> None:
    """Start a process that begins a verb, and kill it with its transaction open."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.store.racers", url, verb], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout
    assert child.stdout.readline() == "inside\n"
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    assert child.returncode == -signal.SIGKILL


def test_a_process_that_is_killed_inside_a_rotation_leaves_the_token_as_it_was(sqlite_url: str, sqlite_store: Store):
    # On PostgreSQL a rotation is one statement: there is no inside.
    furnish(sqlite_store)
    open_chain(sqlite_store, "grant")
    before = live_tokens(sqlite_store, "grant")
    killed_inside(sqlite_url, "refresh")
    assert live_tokens(sqlite_store, "grant") == before
    outcome, successor = racers.refresh(sqlite_store, "grant")
    assert outcome == "rotated"
    assert successor
    assert live_tokens(sqlite_store, "grant") == [hashlib.sha256(successor).digest()]


def test_a_process_that_is_killed_while_it_changes_a_password_changed_nothing(url: str, store: Store):
    furnish(store)
    start_session(store)
    store.grants.open(a_grant(now=clock.now()))
    before = store.users.get("sub-1")
    killed_inside(url, "replace")
    assert store.users.get("sub-1") == before
    assert [credential.secret for credential in store.credentials.of_user("sub-1", "password")] == ["hash"]
    assert store.grants.get("grant")
    patient_store = racers.patient(url)
    patient_store.credentials.replace("sub-1", "password", "new", Event("tested"))
    patient_store.close()
    assert store.grants.get("grant") is None


def test_the_first_keys_of_many_processes_are_one_set(store: Store, race: Race):
    first, second = race([("first keys", "")] * 2)
    assert first.count(True) == 1
    assert True not in second
    assert len(store.keys.all()) == 3
