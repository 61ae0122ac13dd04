"""The same tests on every database: SQLite, PostgreSQL, and Valkey where it may stand in."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from authserver import clock
from authserver.store import Store, open_store
from authserver.store.ephemeral import Ephemeral
from tests.store.makers import NOW
from tests.store.settings import make_schema, settings_for

OpenStore = Callable[..., Store]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "template.db"
    make_schema(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite database with the schema."""
    path = tmp_path / "authserver.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def prepared_postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A PostgreSQL database with the schema."""
    postgres = request.getfixturevalue("postgres")
    url = postgres.clone("store", make_schema)
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A database with the schema: the test runs on each."""
    name = "sqlite_url" if request.param == "sqlite" else "prepared_postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def opened() -> Iterator[OpenStore]:
    """A function that opens stores, which are closed when the test is over."""
    stores: list[Store] = []

    def open_one(url: str, **more: object) -> Store:
        stores.append(open_store(settings_for(url, **more)))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def store(url: str, opened: OpenStore) -> Store:
    return opened(url)


@pytest.fixture
def sqlite_store(sqlite_url: str, opened: OpenStore) -> Store:
    return opened(sqlite_url)


@pytest.fixture
def postgres_store(prepared_postgres_url: str, opened: OpenStore) -> Store:
    return opened(prepared_postgres_url)


@pytest.fixture(params=["sqlite", "postgresql", "valkey"])
def ephemeral(request: pytest.FixtureRequest, opened: OpenStore) -> Ephemeral:
    """The ephemeral store: the test runs on each implementation and database."""
    if request.param == "valkey":
        url = request.getfixturevalue("sqlite_url")
        return opened(url, redis_url=request.getfixturevalue("valkey_url")).ephemeral
    name = "sqlite_url" if request.param == "sqlite" else "prepared_postgres_url"
    return opened(request.getfixturevalue(name)).ephemeral


class StillClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> int:
        return self.time

    def move(self, microseconds: int) -> int:
        """Let time pass; return the new time."""
        self.time += microseconds
        return self.time


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> StillClock:
    """Stop the clock at ``NOW``."""
    stopped = StillClock()
    monkeypatch.setattr(clock, "now", stopped)
    return stopped
