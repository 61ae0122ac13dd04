"""The store: what may happen once happens once, what is over goes away."""

import stat
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import time_machine
from sqlalchemy import event, insert

from bff.clock import now
from bff.records import HeldToken, Login, Session, User
from bff.store import Store
from bff.tables import logins


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    yield made
    made.close()


def session(name: str, sub: str = "user") -> Session:
    return Session(
        id=name,
        digest=f"digest-{name}",
        user=User(f"id-{name}", "https://as.example", sub, None, None),
        provider_sid=None,
        scope="openid",
        sealed_id_token="-",
        sealed_refresh_token="-",
        version=0,
        created_at=now(),
        seen_at=now(),
        idle_expires_at=now() + 100,
        expires_at=now() + 1000,
    )


def token(name: str) -> HeldToken:
    return HeldToken(name, "resource", "-", "", now(), now() + 10)


def count(store: Store, table: str) -> int:
    with store._engine.connect() as connection:
        return connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()  # noqa: S608 -- our own words


def in_threads(number: int, work: Any) -> list[Any]:
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(work())) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_the_database_is_for_its_owner_only(tmp_path: Path):
    Store(f"sqlite:///{tmp_path / 'sub' / 'bff.db'}").close()
    mode = (tmp_path / "sub" / "bff.db").stat().st_mode
    assert stat.S_IMODE(mode) & 0o077 == 0


def test_many_first_log_ins_of_one_person_make_one_user(store: Store):
    names = [str(number) for number in range(12)]

    def open_one() -> str:
        name = names.pop()
        return store.open_session(session(name), token(name), None).id

    assert len(set(in_threads(12, open_one))) == 1
    assert count(store, "bff_users") == 1
    assert count(store, "bff_sessions") == 12


@pytest.mark.parametrize("sub", ["user", None])
@pytest.mark.parametrize("first", ["log-in", "notice"])
def test_of_a_first_log_in_and_a_notice_of_its_session_the_second_sees_the_first(
    postgres_url: str, first: str, sub: str | None
):
    store, named = Store(postgres_url), {"sid": "s", "sub": sub, "sid_digest": "digest of s"}
    opened = replace(session("a"), provider_sid="s")
    acts = {
        "log-in": lambda: store.open_session(opened, token("a"), None, "digest of s"),
        "notice": lambda: store.end_sessions_of("https://as.example", jti_digest="jti", until=now() + 60, **named),
    }
    committing, over = threading.Event(), threading.Event()

    def hold(_connection: object) -> None:
        if not committing.is_set():
            committing.set()
            over.wait(0.3)  # the second one has to wait for the end of the first

    event.listen(store._engine, "commit", hold)
    thread = threading.Thread(target=acts.pop(first))
    thread.start()
    assert committing.wait(60)
    (second,) = acts.values()
    seen = second()
    over.set()
    thread.join()
    assert seen == (1 if first == "log-in" else None)
    assert count(store, "bff_sessions") == 0
    store.close()


def test_a_login_is_taken_once(store: Store):
    login = Login("state", "browser", "nonce", "-", "/", now(), now() + 60)
    store.add_login(login)
    assert store.take_login("state", "other") is None
    taken = in_threads(10, lambda: store.take_login("state", "browser"))
    assert [each for each in taken if each is not None] == [login]


def test_a_lease_has_one_holder_until_it_ends(store: Store):
    store.open_session(session("a"), token("a"), None)
    assert in_threads(8, lambda: store.take_lease("a", threading.current_thread().name, now() + 60)).count(True) == 1
    with time_machine.travel(now() + 61, tick=False):
        store.touch("a", now() + 100)
        assert store.take_lease("a", "next", now() + 60)
        assert store.take_lease("a", "next", now() + 90)
        store.free_lease("a", "stranger")
        assert not store.take_lease("a", "third", now() + 60)
        store.free_lease("a", "next")
        assert store.take_lease("a", "third", now() + 60)


def test_a_refresh_is_stored_over_the_version_that_was_read_only(store: Store):
    store.open_session(session("a"), token("a"), None)
    read = store.reload_session("a")
    assert read is not None
    assert in_threads(8, lambda: store.store_refresh(read, "new", token("a"))).count(True) == 1
    assert not store.end_session("a", read.version)
    assert store.end_session("a")
    assert not store.store_refresh(read, "late", token("a"))
    assert store.token("a", "resource") is None


def test_what_is_over_is_removed_with_the_next_log_in(store: Store):
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False) as clock:
        store.open_session(session("a"), token("a"), None)
        store.add_login(Login("s1", "b", "n", "-", "/", now(), now() + 60))
        clock.shift(101)
        assert store.find_session("digest-a") is None
        store.add_login(Login("s2", "b", "n", "-", "/", now(), now() + 60))
        store.open_session(session("b"), token("b"), None)
        assert count(store, "bff_sessions") == count(store, "bff_access_tokens") == count(store, "bff_logins") == 1


def test_what_is_left_of_a_flood_of_log_ins_is_removed_in_parts(store: Store):
    with store._engine.begin() as connection:
        old = [asdict(Login(f"old-{number}", "b", "n", "-", "/", 1, 2)) for number in range(700)]
        connection.execute(insert(logins), old)
    for left in (201, 2, 3):
        store.add_login(Login(f"new-{left}", f"b-{left}", "n", "-", "/", now(), now() + 60))
        assert count(store, "bff_logins") == left


def test_many_processes_may_start_over_one_empty_database_at_once(database_url: str):
    made = in_threads(6, lambda: Store(database_url))
    assert len(made) == 6
    for each in made:
        each.close()
