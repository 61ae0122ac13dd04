"""A database for each server, with schema and signing keys: on SQLite a copy of one that this process made before."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from authserver.crypto import Sealer
from authserver.settings import Settings
from authserver.store import open_store
from pytest_authserver import signing_keys

_SQLITE = "sqlite:///"
_folders: list[tempfile.TemporaryDirectory[str]] = []  # each goes with the process


def prepare(settings: Settings) -> None:
    """Give the database of these settings its schema and keys, unless it has them."""
    path = Path(settings.database_url.removeprefix(_SQLITE))
    if settings.database_url.startswith(_SQLITE) and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_template(settings.secret()), path)
    else:
        _fill(settings)


@cache
def _template(secret_key: str) -> Path:
    """Make the database that is copied for servers with this secret key, which seals the signing keys."""
    folder = tempfile.TemporaryDirectory(prefix="pytest-authserver-", ignore_cleanup_errors=True)
    _folders.append(folder)
    path = Path(folder.name) / "template.db"
    _fill(Settings(database_url=f"{_SQLITE}{path}", secret_key=secret_key, development=True))
    return path


def _fill(settings: Settings) -> None:
    store = open_store(settings)
    try:
        if not store.is_current():
            store.upgrade()
        store.keys.add_first(signing_keys.sealed(Sealer(settings.secret(), settings.previous_secrets())))
    finally:
        # Closed in order, so that the file alone is the whole database.
        store.close()
