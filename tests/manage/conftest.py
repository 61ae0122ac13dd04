"""A store with the schema, on SQLite, and a sealer."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from authserver.crypto import Sealer
from authserver.manage import clients
from authserver.manage.errors import InvalidMetadata
from authserver.sections import Database
from authserver.settings import Features, Settings
from authserver.store import Store, open_store

SECRET_KEY = "0123456789abcdef0123456789abcdef"
FORMER_KEY = "fedcba9876543210fedcba9876543210"
CB = "https://client.example/cb"
Register = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def manage_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manage") / "template.db"
    store = open_store(Settings(development=True, database_url=f"sqlite:///{path}"))
    store.upgrade()
    store.close()
    return path


@pytest.fixture
def settings(manage_template: Path, tmp_path: Path) -> Settings:
    path = tmp_path / "authserver.db"
    shutil.copy(manage_template, path)
    url, off = f"sqlite:///{path}", Features(jar=False)
    # Patience where the machine is slow: the races of these tests are about who wins, not about how fast.
    patient = Database(busy_ms=20_000)
    return Settings(development=True, database_url=url, secret_key=SECRET_KEY, features=off, database=patient)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = open_store(settings)
    yield opened
    opened.close()


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(SECRET_KEY)


@pytest.fixture
def register(store: Store, sealer: Sealer) -> Register:
    def one(**metadata: Any) -> dict[str, Any]:
        options = {name: metadata.pop(name) for name in ("origin", "members") if name in metadata}
        given = {"redirect_uris": [CB], **metadata}
        return clients.register(store, sealer, given, actor="test", **options)

    return one


def refusal(register: Register, **metadata: Any) -> InvalidMetadata:
    with pytest.raises(InvalidMetadata) as caught:
        register(**metadata)
    return caught.value
