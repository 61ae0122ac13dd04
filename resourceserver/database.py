"""The SQLite file of the separate resource server: how it is opened."""

import os
from pathlib import Path
from sqlite3 import Connection as Driver

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url


def open_engine(url: str) -> Engine:
    """Open the database at `url` (SQLite), with its folder; each transaction writes from its beginning.

    Raises OSError.
    """
    parsed = make_url(url)
    _make_folder(parsed)
    engine = create_engine(parsed, connect_args={"timeout": 2.0})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _make_folder(url: URL) -> None:
    if url.database and url.database != ":memory:":
        path = Path(url.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Private from the beginning: the driver would leave it readable for every user of the machine.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _configure(connection: Driver, _record: object) -> None:
    # The driver would open its transaction only before the first write, and counting and adding would not be one step.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "trusted_schema=OFF"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
