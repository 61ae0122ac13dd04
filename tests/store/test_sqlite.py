"""SQLite: one writer at a time, readers that never wait, and what survives what."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from authserver.settings import SettingsError
from authserver.store import BadValue, Busy, Store, Unavailable
from authserver.store.database import Database, Transaction
from authserver.store.sqlite import check_version
from authserver.store.statement import Statement
from tests.store.at_once import at_once
from tests.store.conftest import OpenStore
from tests.store.makers import EVENT, a_client, a_grant, an_access_token, digest, furnish, start_session


def path_of(store: Store) -> str:
    return str(store.database.engine.url.database)


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Hold the write lock as another process would."""
    other = sqlite3.connect(path_of(store), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_the_file_and_its_companions_are_for_their_owner_only(tmp_path: Path, opened: OpenStore):
    store = opened(f"sqlite:///{tmp_path / 'new folder' / 'a.db'}")
    store.upgrade()
    store.clients.add(a_client(), EVENT)
    files = list((tmp_path / "new folder").iterdir())
    assert {file.name for file in files} >= {"a.db", "a.db-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_log_is_written_ahead_and_references_are_checked(sqlite_store: Store):
    link = sqlite_store.database.links.take()
    found = [link.driver.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "foreign_keys")]
    sqlite_store.database.links.give(link)
    assert found == ["wal", 1]


def synchronous(transaction: Transaction) -> int:
    return int(transaction._cursor.execute("PRAGMA synchronous").fetchone()[0])


def test_only_what_takes_away_waits_for_the_disk(sqlite_url: str, opened: OpenStore):
    store = opened(sqlite_url)
    assert store.database.transaction(synchronous) == 1
    assert store.database.transaction(synchronous, lasting=True) == 2
    assert store.database.transaction(synchronous) == 1
    assert opened(sqlite_url, database={"synchronous": "full"}).database.transaction(synchronous) == 2


@pytest.mark.parametrize("verb", range(13))
def test_every_verb_that_takes_away_survives_power_loss(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch, verb: int
):
    store = sqlite_store
    furnish(store)
    start_session(store)
    store.grants.open(a_grant(), digest("code"), 2**60)
    store.tokens.add(an_access_token())
    verbs = [
        lambda: store.clients.update(a_client(), EVENT),
        lambda: store.clients.set_disabled("client", True, EVENT),
        lambda: store.clients.delete("client", EVENT),
        lambda: store.resources.delete("urn:x", EVENT),
        lambda: store.users.set_disabled("sub-1", True, EVENT),
        lambda: store.credentials.replace("sub-1", "password", "x", EVENT),
        lambda: store.credentials.remove("sub-1.password", EVENT),
        lambda: store.sessions.end(["session"], "logout", EVENT),
        lambda: store.sessions.end_all("sub-1", "logout", EVENT),
        lambda: store.consents.withdraw("sub-1", "client", EVENT),
        lambda: store.grants.revoke("grant", "r", EVENT),
        lambda: store.tokens.revoke(digest("access"), "client"),
        lambda: store.tokens.revoke_jti("j", 2**60),
    ]
    seen: list[int] = []
    begun = Transaction.__init__

    def watch(self: Transaction, *arguments: object) -> None:
        begun(self, *arguments)  # type: ignore[arg-type]
        seen.append(synchronous(self))

    monkeypatch.setattr(Transaction, "__init__", watch)
    verbs[verb]()
    assert seen == [2]


def test_while_another_process_writes_reads_go_on_and_writers_hear_busy_in_bounded_time(
    sqlite_url: str, opened: OpenStore
):
    store = opened(sqlite_url, database={"busy_ms": 300})
    store.clients.add(a_client(), EVENT)
    with locked(store):
        started = monotonic()
        with pytest.raises(Busy):
            store.clients.set_disabled("client", True, EVENT)
        assert monotonic() - started >= 0.25
        assert store.clients.get("client")
        # Waits do not add up: who comes next tries without waiting.
        assert store.database._hurry_until > monotonic()  # type: ignore[attr-defined]
        with pytest.raises(Busy):
            store.ephemeral.count("space", "key", 1)
        with pytest.raises(Busy):
            store.tokens.revoke_jti("j", 1)
    assert store.ephemeral.count("space", "key", 10**9) == 1
    assert store.database._hurry_until == 0  # type: ignore[attr-defined]
    store.tokens.revoke_jti("j", 1)


def test_a_writer_waits_for_another_in_its_process_no_longer_than_the_bound(sqlite_url: str, opened: OpenStore):
    store = opened(sqlite_url, database={"busy_ms": 200})
    inside, done = threading.Event(), threading.Event()

    def hold(transaction: Transaction) -> None:
        inside.set()
        done.wait(30)

    holder = threading.Thread(target=store.database.transaction, args=[hold])
    holder.start()
    inside.wait(30)
    with pytest.raises(Busy):
        store.ephemeral.count("space", "key", 1)
    assert store.clients.all() == ()
    done.set()
    holder.join()
    assert store.ephemeral.count("space", "key", 10**9) == 1


def test_a_statement_that_answers_rows_gives_the_write_lock_back(sqlite_store: Store):
    furnish(sqlite_store)
    sqlite_store.grants.open(a_grant(expires_at=2**60), digest("code"), 2**60)
    assert sqlite_store.grants.redeem(digest("code"), "client")
    sqlite_store.ephemeral.put("space", "key", "value", 2**60)
    assert sqlite_store.ephemeral.take("space", "key")
    other = sqlite3.connect(path_of(sqlite_store), timeout=0, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_an_error_inside_a_transaction_undoes_it_and_the_connection_goes_on(sqlite_store: Store):
    def work(transaction: Transaction) -> None:
        transaction.audit(EVENT)
        raise LookupError

    for lasting in (False, True):
        with pytest.raises(LookupError):
            sqlite_store.database.transaction(work, lasting=lasting)
    assert sqlite_store.audit.list(0, 9) == ()
    sqlite_store.audit.append(EVENT)


def test_values_that_do_not_fit_are_refused_when_written_and_unknown_when_read(sqlite_store: Store):
    for value in ("\ud800", "x\udfff", "a\0b"):
        assert sqlite_store.clients.get(value) is None
        with pytest.raises(BadValue):
            sqlite_store.tokens.revoke_jti(value, 1)
    with pytest.raises(BadValue):
        sqlite_store.tokens.revoke_jti("j", 2**63)


def test_eight_threads_that_write_all_succeed(sqlite_url: str, opened: OpenStore):
    store = opened(sqlite_url, database={"busy_ms": 20_000})

    def work() -> None:
        for _ in range(20):
            store.ephemeral.count("space", "key", 10**9)
            store.audit.append(EVENT)

    at_once(work, 8)
    assert store.ephemeral.counted("space", "key")[0] == 160
    assert len(store.audit.list(0, 1000)) == 160


def test_a_database_that_is_none_or_cannot_be_opened_is_unavailable(tmp_path: Path, opened: OpenStore):
    (tmp_path / "noise.db").write_bytes(b"not a database, but long enough to be taken for one" * 40)
    for store in (opened(f"sqlite:///{tmp_path / 'noise.db'}"), opened(f"sqlite:///{tmp_path}")):
        with pytest.raises(Unavailable):
            store.ping()
        with pytest.raises(Unavailable):
            store.audit.append(EVENT)
        with pytest.raises(Unavailable):
            store.is_current()
        with pytest.raises(Unavailable):
            store.upgrade()


@pytest.mark.parametrize("version", ["3.34.1", "3.8.7", "2.99.0"])
def test_an_old_library_is_refused_with_a_sentence(version: str):
    with pytest.raises(SettingsError, match=rf"SQLite {version} is too old: 3.35"):
        check_version(version)
    check_version("3.35.0")
    check_version("4.0.0")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_refused(opened: OpenStore, url: str):
    with pytest.raises(SettingsError, match="must name a file"):
        opened(url)


@pytest.mark.parametrize("url", ["sqlite+aiosqlite:///x.db", "postgresql+asyncpg://h/d"])
def test_another_driver_is_refused(opened: OpenStore, url: str):
    with pytest.raises(SettingsError, match="must begin with"):
        opened(url)


GROWING = {"access_tokens", "refresh_tokens", "revoked_jtis", "grants", "sessions", "consents", "ephemeral", "audit"}


def test_no_statement_reads_a_growing_table_from_end_to_end(
    sqlite_url: str, opened: OpenStore, monkeypatch: pytest.MonkeyPatch
):
    statements: list[Statement[object]] = []
    prepare = Database.prepare

    def remember(self: Database, *arguments: object, **named: object) -> Statement[object]:
        statements.append(prepare(self, *arguments, **named))  # type: ignore[call-overload]
        return statements[-1]

    monkeypatch.setattr(Database, "prepare", remember)
    store = opened(sqlite_url)
    scanned = set()
    with sqlite3.connect(path_of(store)) as connection:
        for statement in statements:
            # What is bound does not matter: an index is chosen before.
            values = statement.bind(**dict.fromkeys(statement.bind.__code__.co_varnames, 1))
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", values):
                words = step.split()
                if words[0] == "SCAN" and words[1] in GROWING and "INDEX" not in words and "PRIMARY" not in words:
                    scanned.add((words[1], statement.sql))
    connection.close()
    assert len(statements) > 80
    assert scanned == set()
