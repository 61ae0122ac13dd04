"""A database with the newest schema for each server: on SQLite a copy of one that this process made before."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from authserver.settings import Settings
from authserver.store import open_store

_SQLITE = "sqlite:///"


def prepare(settings: Settings) -> None:
    """Give the database of these settings its schema, unless it has one."""
    path = Path(settings.database_url.removeprefix(_SQLITE))
    if settings.database_url.startswith(_SQLITE) and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_template(), path)
        return
    store = open_store(settings)
    try:
        if not store.is_current():
            store.upgrade()
    finally:
        store.close()


@cache
def _template() -> Path:
    """Make the database that is copied; the folder goes with the process."""
    _folder = tempfile.TemporaryDirectory(prefix="pytest-authserver-", ignore_cleanup_errors=True)
    _keep.append(_folder)
    path = Path(_folder.name) / "template.db"
    store = open_store(Settings(database_url=f"{_SQLITE}{path}", development=True))
    store.upgrade()
    store.close()
    return path


_keep: list[tempfile.TemporaryDirectory[str]] = []
