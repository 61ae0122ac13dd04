"""The connections of one process: as many as verbs run at the same moment, and never more than allowed."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from authserver.store import Busy, Store
from authserver.store.connection import Links
from tests.store.at_once import at_once
from tests.store.conftest import OpenStore
from tests.store.makers import EVENT, a_client, a_user

ROOT = Path(__file__).parents[2]


class Driver:
    """A connection that only counts how many are open."""

    opened = 0

    def __init__(self) -> None:
        type(self).opened += 1

    def cursor(self) -> Any:
        return object()

    def close(self) -> None:
        type(self).opened -= 1


@pytest.fixture
def links() -> Links:
    Driver.opened = 0
    return Links(Driver, 2, 0.2)


def test_the_connection_that_was_given_back_last_is_taken_first(links: Links):
    first, second = links.take(), links.take()
    links.give(first)
    links.give(second)
    assert links.take() is second
    assert links.take() is first
    assert Driver.opened == 2


def test_who_finds_no_connection_waits_and_then_hears_busy(links: Links):
    held = [links.take(), links.take()]
    with pytest.raises(Busy):
        links.take()
    waiting = threading.Timer(0.05, links.give, [held[0]])
    waiting.start()
    assert links.take() is held[0]
    waiting.join()
    assert Driver.opened == 2


def test_a_dropped_connection_makes_room_for_one_who_waits(links: Links):
    held = [links.take(), links.take()]
    waiting = threading.Timer(0.05, links.drop, [held[0]])
    waiting.start()
    assert links.take() not in held
    waiting.join()
    assert Driver.opened == 2


def test_a_connection_that_cannot_be_opened_leaves_room(links: Links, monkeypatch: pytest.MonkeyPatch):
    def fail(self: Driver) -> None:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(Driver, "__init__", fail)
        for _ in range(3):
            with pytest.raises(OSError):
                links.take()
    assert links.take() is not links.take()


def test_closing_closes_idle_connections_now_and_others_when_they_come_back(links: Links):
    held, idle = links.take(), links.take()
    links.give(idle)
    links.close()
    assert Driver.opened == 1
    links.give(held)
    assert Driver.opened == 0


def test_many_threads_never_hold_more_than_allowed(links: Links):
    most = []

    def work() -> None:
        for _ in range(200):
            link = links.take()
            most.append(Driver.opened)
            links.give(link)

    at_once(work, 8)
    assert max(most) <= 2


def test_threads_that_come_and_go_leave_nothing_open(store: Store):
    store.clients.add(a_client(), EVENT)
    for _ in range(30):
        thread = threading.Thread(target=store.clients.get, args=["client"])
        thread.start()
        thread.join()
    assert len(store.database.links._idle) == 1


def test_sixty_four_threads_are_served(url: str, opened: OpenStore):
    store = opened(url, database={"busy_ms": 20_000})
    store.users.add(a_user(), None, EVENT)

    def work() -> bool:
        store.ephemeral.count("threads", "counter", 10**9)
        return store.users.get("sub-1") is not None

    assert at_once(work, 64) == [True] * 64
    assert store.ephemeral.counted("threads", "counter")[0] == 64


FORK = """
import os, sys, threading
from tests.store.settings import patient

store = patient(sys.argv[1])
store.ephemeral.count("fork", "counter", 10**9)
parent = store.database.links._idle[0].driver
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        threads = [threading.Thread(target=store.ephemeral.count, args=("fork", "counter", 10**9)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        own = all(link.driver is not parent for link in store.database.links._idle)
        store.close()
        os._exit(0 if own else 1)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert codes == [0, 0, 0], codes
assert store.database.links._idle[0].driver is parent
assert store.ephemeral.count("fork", "counter", 10**9) == 1 + 3 * 4 + 1
store.close()
"""


def test_a_store_that_was_used_before_a_fork_serves_parent_and_children(url: str):
    done = subprocess.run(
        [sys.executable, "-c", FORK, url], check=False, capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_an_interrupted_verb_closes_its_connection(store: Store, monkeypatch: pytest.MonkeyPatch):
    class Interrupted:
        rowcount = 0

        def execute(self, *arguments: Any) -> None:
            raise KeyboardInterrupt

    store.ping()
    store.database.links._idle[-1].cursor = Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        store.clients.get("client")
    assert len(store.database.links._idle) == 0
    started = time.monotonic()
    store.ping()
    assert time.monotonic() - started < 30
