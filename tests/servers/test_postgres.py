"""PostgreSQL as the tests get it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from tests.servers.postgres import Postgres, libpq_url


def _columns(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(libpq_url(url)) as connection:
        return connection.execute("SELECT word FROM words").fetchall()


def _fill(url: str) -> None:
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute("CREATE TABLE words (word text)")
        connection.execute("INSERT INTO words VALUES ('once')")


def test_url_opens_an_empty_database_with_sqlalchemy(postgres_url: str) -> None:
    engine = sqlalchemy.create_engine(postgres_url)
    assert sqlalchemy.inspect(engine).get_table_names() == []
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW server_encoding").scalar_one() == "UTF8"
    engine.dispose()


def test_two_databases_share_nothing(postgres: Postgres) -> None:
    one, other = postgres.create(), postgres.create()
    _fill(one)
    with pytest.raises(psycopg.errors.UndefinedTable):
        _columns(other)
    postgres.drop(one)
    postgres.drop(other)


def test_clones_hold_what_was_prepared_once(postgres: Postgres) -> None:
    prepared: list[str] = []

    def prepare(url: str) -> None:
        prepared.append(url)
        _fill(url)

    one, other = postgres.clone("words", prepare), postgres.clone("words", prepare)
    with psycopg.connect(libpq_url(one)) as connection:
        connection.execute("DELETE FROM words")
    assert _columns(one) == []
    assert _columns(other) == [("once",)]
    assert len(prepared) == 1
    postgres.drop(one)
    postgres.drop(other)


def test_a_database_goes_though_somebody_is_connected(postgres: Postgres) -> None:
    url = postgres.create()
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        postgres.drop(url)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_the_server_does_not_run_as_root(postgres_url: str) -> None:
    if os.environ.get("TEST_DATABASE_URL"):
        pytest.skip("the server of TEST_DATABASE_URL is not ours")
    with psycopg.connect(libpq_url(postgres_url)) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        owner = subprocess.run(["ps", "-o", "uid=", "-p", str(row[0])], check=True, capture_output=True, text=True)
        assert int(owner.stdout) == (os.geteuid() or 65534)


_ORPHAN = """
import os, signal
from tests.servers.postgres import postgres_server
with postgres_server() as postgres:
    print(postgres.process.folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_server_and_folder_go_when_the_tests_are_killed() -> None:
    if os.environ.get("TEST_DATABASE_URL"):
        pytest.skip("the server of TEST_DATABASE_URL is not ours")
    done = subprocess.run([sys.executable, "-c", _ORPHAN], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = Path(done.stdout.strip())
    deadline = time.monotonic() + 30
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not folder.exists()
