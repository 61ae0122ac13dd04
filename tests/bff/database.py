"""Looks into the BFF's database past its door, to set a scene or to see what is left."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, create_engine, text

from bff import BffSettings


@contextmanager
def connected(settings: BffSettings) -> Iterator[Connection]:
    engine = create_engine(settings.database_url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def execute(settings: BffSettings, statement: str) -> list[Any]:
    with connected(settings) as connection:
        result = connection.execute(text(statement))
        return list(result.all()) if result.returns_rows else []


def rows(settings: BffSettings, table: str) -> int:
    return execute(settings, f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 -- our own words


def expire(settings: BffSettings) -> None:
    """Let every access token run out."""
    execute(settings, "UPDATE bff_access_tokens SET expires_at = 1")
