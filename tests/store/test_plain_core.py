"""Every verb does the same when its statements are run by SQLAlchemy itself, and the same on both databases."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from authserver.clock import DAY, MINUTE
from authserver.records import Credential, Event, PairwiseSubject, Resource, SigningKey
from authserver.store import Conflict, Store
from authserver.store.database import Database
from authserver.store.postgresql import PostgresDatabase
from authserver.store.revocations import BEGINNING
from authserver.store.sqlite import SqliteDatabase
from authserver.store.statement import Statement
from authserver.store.tables import metadata
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
    start_session,
)
from tests.store.settings import make_schema

KEY = SigningKey("k1", "ES256", b"sealed", "{}", NOW, NOW, NOW, NOW + 1, NOW + 2)
BOOKS = Resource("urn:books", "Books")
PARTS = (
    *("clients", "resources", "users", "subjects", "credentials", "sessions", "consents", "grants", "tokens"),
    *("statuses", "revocations", "jobs", "keys", "ephemeral", "audit"),
)


Do = Callable[..., Any]


class Recorder:
    """A store whose verbs' results are kept; which verbs were used is kept, too."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.results: list[Any] = []
        self.used: set[str] = set()

    def do(self, part: str, verb: str, *arguments: Any, **named: Any) -> Any:
        self.used.add(f"{part}.{verb}")
        try:
            result = getattr(getattr(self.store, part), verb)(*arguments, **named)
        except Conflict as conflict:
            result = f"conflict {conflict.name.rpartition('.')[2]}" if "_" not in conflict.name else "conflict"
        self.results.append((part, verb, result))
        return result


def tell(recorder: Recorder, still: StillClock) -> None:
    """Use every verb, where it finds something and where it does not."""
    tell_of_records(recorder.do)
    still.move(1)
    tell_of_sessions(recorder, still.time)
    now = still.move(1)
    tell_of_tokens(recorder.do, now)
    still.move(MINUTE)
    tell_of_endings(recorder.do, still.time, now)
    tell_of_short_lives(recorder.do, still.time)
    recorder.results.append(recorder.store.purge(1))
    still.move(500 * DAY)
    recorder.results.append(recorder.store.purge(100))


def tell_of_records(do: Do) -> None:
    do("clients", "add", a_client(), EVENT)
    do("clients", "add", a_client("second", backchannel_logout_uri="https://app.example/bye"), EVENT)
    do("clients", "add", a_client(), EVENT)
    do("clients", "update", a_client(scope="openid"), EVENT)
    do("clients", "get", "client")
    do("clients", "all")
    do("clients", "page", "client", 1)
    described = replace(a_client("https://app.example/client.json"), origin="document", updated_at=NOW)
    do("clients", "keep_document", described)
    do("clients", "keep_document", replace(described, updated_at=NOW + 1, metadata={}))
    do("clients", "add", replace(a_client("self"), origin="registration"), EVENT)
    do("clients", "expire", NOW + DAY)
    do("resources", "add", BOOKS, EVENT)
    do("resources", "update", BOOKS, EVENT)
    do("resources", "get", "urn:books")
    do("resources", "all")
    do("resources", "delete", "urn:books", EVENT)
    do("users", "add", a_user(), "hash", EVENT)
    do("users", "add", a_user("sub-2", "bob", None), None, EVENT)
    do("users", "add", a_user("sub-3", "Alice", None), None, EVENT)
    do("users", "update", a_user(username="Alicia"), EVENT)
    do("users", "get", "sub-1")
    do("users", "by_login", "ALICIA")
    do("users", "all", None, 5)
    do("users", "count")
    for called in ("here", "there"):
        do("subjects", "of", "sector", "sub-2", PairwiseSubject(called, digest(called)))
        do("subjects", "find", "sector", called)
    do("credentials", "add", Credential("c", "sub-2", "totp", "x", NOW, NOW), EVENT)
    do("credentials", "upgrade", "c", "x", "y")
    do("credentials", "of_user", "sub-2", "totp")
    do("credentials", "of_kind", "totp")
    do("credentials", "remove", "c", EVENT)
    codes = tuple(Credential(f"r{number}", "sub-2", "recovery", "", NOW, NOW) for number in range(2))
    do("credentials", "exchange", "sub-2", ("recovery",), codes, EVENT)
    do("credentials", "exchange", "sub-2", ("totp",), codes, EVENT)
    do("credentials", "exchange", "sub-2", ("totp", "recovery"), (), EVENT)


def tell_of_sessions(recorder: Recorder, now: int) -> None:
    do = recorder.do
    for sid in ("s", "t", "u"):
        start_session(recorder.store, sid)
    recorder.used.add("sessions.start")
    do("sessions", "touch", "s", now + 5)
    do("sessions", "renew", "s", now, "mfa", "otp")
    do("sessions", "upgrade", "s", "mfa", "pwd otp")
    do("sessions", "remember", "s", now, now + DAY)
    do("sessions", "move", b"b" * 32, b"n" * 32)
    do("sessions", "of_browser", b"n" * 32, 0)
    do("sessions", "get", "s")
    for sid in ("t", "u"):
        do("grants", "open", a_grant(sid, now=now, sid=sid))
    do("grants", "open", a_grant("told", client_id="second", now=now, sid="t"))
    do("grants", "clients_of_session", "t")
    do("sessions", "end", ["t"], "logout", EVENT)
    do("sessions", "end_all", "sub-1", "logout", EVENT, "s")
    do("sessions", "of_user", "sub-1", 0)
    job = do("jobs", "take", now + 1)
    do("jobs", "postpone", job, now + 2, "status 503")
    do("jobs", "list", 0, 10)
    do("jobs", "finish", job, EVENT)
    do("jobs", "finish", job, EVENT)
    do("consents", "allow", [a_consent(), a_consent(resource="r", sid="s")])
    do("consents", "allow", [a_consent(scope="openid")], EVENT)
    do("consents", "find", "sub-1", "client", "https://app.example")
    do("consents", "of_user", "sub-1")


def tell_of_tokens(do: Do, now: int) -> None:
    do("grants", "open", a_grant("grant", now=now, sid="s"), digest("code"), now + MINUTE)
    do("grants", "open", a_grant("again", now=now), digest("code"), now + MINUTE)
    do("grants", "redeem", digest("code"), "client")
    do("grants", "bind", "again", "{}")
    do("grants", "bind", "again", "{}")
    do("grants", "get", "grant")
    do("grants", "of_user", "sub-1")
    do("grants", "clients_of_session", "s")
    do("tokens", "add", an_access_token(now=now), a_refresh_token(now=now))
    do("tokens", "add", an_access_token("own", now=now, grant_id=None, sub="client"), None)
    do("tokens", "add", None, a_refresh_token("slides", now=now))
    do("tokens", "find", digest("access"))
    do("tokens", "find", digest("own"))
    do("tokens", "find_refresh", digest("refresh"))
    do("tokens", "extend", digest("slides"), DAY, an_access_token("slid", now=now))
    for presented, successor, access in (
        ("refresh", "second", "b"),
        ("refresh", "ignored", "c"),
        ("second", "third", None),
        ("refresh", "ignored", None),
        ("unknown", "ignored", "d"),
    ):
        rotate(do, presented, successor, access and an_access_token(access, now=now), now)
    do("tokens", "revoke", digest("access"), "client")
    do("tokens", "revoke_jti", "j", now + MINUTE)
    for jti, grant_id in (("j", "grant"), ("k", "grant"), ("k", None), ("k", "none")):
        claims = {"jti": jti, "grant_id": grant_id, "client_id": "client", "sub": "sub-1", "issued_at": now}
        do("tokens", "find_jwt", **claims)
        do("statuses", "add", **claims, expires_at=now + MINUTE)
    for verb, *arguments in (("dead",), ("dead_of", "jti", "j"), ("dead_of", "sub", "sub-1"), ("has",)):
        do("statuses", verb, 0, *arguments)
    do("statuses", "lists")


def tell_of_endings(do: Do, now: int, before: int) -> None:
    rotate(do, "refresh", "ignored", None, before)
    do("grants", "open", a_grant("reused", now=now), digest("reused"), now + DAY)
    do("grants", "redeem", digest("reused"), "client")
    do("grants", "redeem", digest("reused"), "client")
    do("grants", "open", a_grant("third", now=now))
    do("grants", "revoke", "third", "r", EVENT)
    do("grants", "revoke_all", sub="sub-1", client_id="client", reason="r", event=EVENT)
    do("consents", "withdraw", "sub-1", "client", EVENT)
    last = do("revocations", "latest")
    for cursor in (last, last._replace(at=0), BEGINNING):
        do("revocations", "knows", cursor)
    do("revocations", "since", 0, 100)
    do("revocations", "since", last.number, 100)


def tell_of_short_lives(do: Do, now: int) -> None:
    do("keys", "add_first", [KEY])
    do("keys", "add_first", [KEY])
    do("keys", "add", SigningKey("k2", "RS256", b"s", "{}", 1, 2, 3, 4, 5), EVENT)
    do("keys", "set_times", "k2", 8, 9, EVENT)
    do("keys", "reseal", "k2", b"s", b"r")
    do("keys", "add_missing", SigningKey("k3", "ECDH-ES", b"s", "{}", 1, 2, 3, now + DAY, now + DAY), now, EVENT)
    do("keys", "add_missing", SigningKey("k4", "ECDH-ES", b"s", "{}", 1, 2, 3, now + DAY, now + DAY), now, EVENT)
    do("keys", "all")
    end = now + MINUTE
    do("ephemeral", "put", "a", "k", "v", end, "o")
    do("ephemeral", "put", "a", "k", "v", end)
    item = do("ephemeral", "get", "a", "k")
    do("ephemeral", "swap", "a", "k", "w", item.version, end)
    do("ephemeral", "swap", "a", "k", "x", item.version, end)
    do("ephemeral", "all", "a", "", 5)
    do("ephemeral", "take", "a", "k")
    do("ephemeral", "first_time", "a", "k", end)
    do("ephemeral", "first_time", "a", "k", end)
    do("ephemeral", "count", "n", "k", MINUTE, 2)
    do("ephemeral", "count", "n", "k", MINUTE)
    do("ephemeral", "counted", "n", "k")
    do("ephemeral", "born_at")
    do("ephemeral", "forget", "a", "k")
    do("ephemeral", "close")
    do("credentials", "replace", "sub-1", "password", "new", EVENT, "s")
    do("users", "set_disabled", "sub-2", True, EVENT)
    do("users", "set_disabled", "sub-2", False, EVENT)
    do("clients", "set_disabled", "second", True, EVENT)
    do("clients", "set_disabled", "second", False, EVENT)
    do("clients", "revoke_tokens", "second", EVENT)
    do("clients", "revoke_tokens", "nobody", EVENT)
    do("clients", "delete", "second", EVENT)
    do("audit", "append", Event("last"))
    do("audit", "list", 0, 100)
    do("audit", "list", 0, 100, "code.reused")


def rotate(do: Do, presented: str, successor: str, access: Any, now: int) -> None:
    arguments = {"salt": successor.encode(), "successor_digest": digest(successor), "sliding_us": DAY, "access": access}
    do("tokens", "rotate", digest(presented), "client", grace_us=MINUTE, **arguments)


def contents(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table."""
    with store.database.engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


class CoreCursor:
    """Stands where the driver's cursor is, and runs each statement's Core form through SQLAlchemy."""

    executed = 0

    def __init__(self, connection: Connection, statements: dict[str, Statement[Any]]) -> None:
        self._connection = connection
        self._statements = statements
        self._rows: Sequence[Any] = ()
        self.rowcount = -1

    def execute(self, sql: str, parameters: Sequence[Any] = (), **_: Any) -> None:
        if sql not in self._statements:
            self._connection.exec_driver_sql(sql)
            return
        statement = self._statements[sql]
        type(self).executed += 1
        names = statement.bind.__code__.co_varnames
        places = statement.bind(**{name: name for name in names})
        named = {name: parameters[places.index(name)] for name in names}
        result = self._connection.execute(statement.core, named)
        self.rowcount = result.rowcount
        self._rows = [tuple(row) for row in result.fetchall()] if result.returns_rows else ()

    def fetchall(self) -> Sequence[Any]:
        return self._rows


class CoreDriver:
    """Stands where the driver's connection is."""

    closed = broken = False

    def __init__(self, database: Database, statements: dict[str, Statement[Any]]) -> None:
        self._connection = database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._statements = statements

    def cursor(self) -> CoreCursor:
        return CoreCursor(self._connection, self._statements)

    def execute(self, sql: str, **_: Any) -> None:
        self._connection.exec_driver_sql(sql)

    def close(self) -> None:
        self._connection.close()


def run_through_core(patch: pytest.MonkeyPatch) -> None:
    """Make the stores that are opened from now on run everything through SQLAlchemy."""
    statements: dict[str, Statement[Any]] = {}
    prepare = Database.prepare

    def remember(self: Database, *arguments: Any, **named: Any) -> Statement[Any]:
        statement = prepare(self, *arguments, **named)
        statements[statement.sql] = statement
        return statement

    def unwrapping(translate: Callable[..., Exception]) -> Callable[..., Exception]:
        return lambda self, error, link: translate(self, getattr(error, "orig", None) or error, link)

    patch.setattr(Database, "prepare", remember)
    for kind in (SqliteDatabase, PostgresDatabase):
        patch.setattr(kind, "connect", lambda self: CoreDriver(self, statements))
        patch.setattr(kind, "translate", unwrapping(kind.translate))
    patch.setattr(SqliteDatabase, "open_as", lambda self, **_: CoreDriver(self, statements))


def told(url: str, opened: OpenStore, still: StillClock) -> tuple[Recorder, dict[str, Any]]:
    still.time = NOW
    recorder = Recorder(opened(url))
    tell(recorder, still)
    return recorder, contents(recorder.store)


@pytest.fixture
def other_url(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A second database of the same kind."""
    if url.startswith("sqlite"):
        path = tmp_path / "other.db"
        path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        yield f"sqlite:///{path}"
    else:
        postgres = request.getfixturevalue("postgres")
        other = postgres.clone("store", make_schema)
        yield other
        postgres.drop(other)


def verbs(store: Store) -> set[str]:
    """Return every public verb of every part."""
    kinds = {part: type(getattr(store, part)) for part in PARTS}
    return {f"{part}.{name}" for part, kind in kinds.items() for name in vars(kind) if not name.startswith("_")}


def test_the_prepared_way_does_what_plain_core_does(url: str, other_url: str, opened: OpenStore, still: StillClock):
    with pytest.MonkeyPatch.context() as patch:
        run_through_core(patch)
        plain, plain_rows = told(other_url, opened, still)
    assert CoreCursor.executed > len(plain.used)
    prepared, prepared_rows = told(url, opened, still)
    assert prepared.results == plain.results
    assert prepared_rows == plain_rows
    assert prepared.used == verbs(opened(url))


def test_both_databases_do_the_same(sqlite_url: str, prepared_postgres_url: str, opened: OpenStore, still: StillClock):
    on_sqlite, sqlite_rows = told(sqlite_url, opened, still)
    on_postgres, postgres_rows = told(prepared_postgres_url, opened, still)
    assert on_sqlite.results == on_postgres.results
    assert without_numbers(sqlite_rows) == without_numbers(postgres_rows)


def without_numbers(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Leave out the audit lines' numbers: a sequence skips what was undone."""
    return rows | {"audit": sorted((row[1:] for row in rows["audit"]), key=repr)}


def test_a_verb_writes_in_one_statement_or_in_one_transaction(
    store: Store, still: StillClock, monkeypatch: pytest.MonkeyPatch
):
    writes: list[str] = []
    kind = type(store.database)
    for name in ("_write", "_transact"):
        monkeypatch.setattr(kind, name, counting(getattr(kind, name), writes))
    several: set[str] = set()

    class Counter(Recorder):
        def do(self, part: str, verb: str, *arguments: Any, **named: Any) -> Any:
            writes.clear()
            result = super().do(part, verb, *arguments, **named)
            if len(writes) > 1:
                several.add(f"{part}.{verb}")
            return result

    tell(Counter(store), still)
    # What these find when their one statement changed nothing, they write down on its own: it must outlast the refusal.
    assert several == {"grants.redeem", "tokens.rotate"}


def counting(method: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(method.__name__)
        return method(*arguments, **named)

    return counted
