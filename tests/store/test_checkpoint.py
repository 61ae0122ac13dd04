"""The write-ahead log goes back into the database beside the requests."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from authserver.store.checkpoint import AFTER, Checkpoints
from tests.store.conftest import OpenStore
from tests.store.makers import an_access_token, digest


def eventually(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 30
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_many_writes_reach_the_file_while_the_store_is_open(sqlite_url: str, opened: OpenStore):
    store = opened(sqlite_url)
    file = Path(str(store.database.engine.url.database))
    before = file.stat().st_size
    for number in range(AFTER):
        store.tokens.add(an_access_token()._replace(digest=digest(str(number))))
    assert eventually(lambda: file.stat().st_size > before)


def test_few_writes_start_no_thread():
    started: list[sqlite3.Connection] = []
    checkpoints = Checkpoints(lambda: started.append(sqlite3.connect(":memory:")) or started[-1])
    for _ in range(AFTER - 1):
        checkpoints.written()
    checkpoints.close()
    assert started == []


def test_a_checkpoint_that_fails_is_tried_again_after_as_many_writes():
    tried = 0

    def connect() -> sqlite3.Connection:
        nonlocal tried
        tried += 1
        raise sqlite3.OperationalError("unable to open database file")

    checkpoints = Checkpoints(connect)
    for times in (1, 2):
        for _ in range(AFTER):
            checkpoints.written()
        assert eventually(lambda times=times: tried == times)
    checkpoints.close()
