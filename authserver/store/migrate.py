"""The schema's history, run by Alembic; whether a database has reached its end is asked without Alembic."""

from pathlib import Path

from sqlalchemy import ColumnClause, column, select, table
from sqlalchemy.exc import DBAPIError

import authserver
from authserver.store.database import Database
from authserver.store.errors import Busy, StoreError, Unavailable

NEWEST = "0007"


def is_current(database: Database) -> bool:
    """Say whether the database is at the newest revision; raises Busy or Unavailable when it does not answer."""
    version: ColumnClause[str] = column("version_num")
    try:
        row = database.one(database.prepare(select(version).select_from(table("alembic_version", version))))
    except (Busy, Unavailable):
        raise
    except StoreError:
        return False  # there is no such table: nothing was ever made here
    return row is not None and row[0] == NEWEST


def upgrade(database: Database) -> None:
    """Run what is missing of the history in one transaction; other processes that want the same wait.

    Raises StoreError when the database is ahead of this version, Busy or Unavailable when it does not answer.
    """
    from alembic import command  # noqa: PLC0415 - slow to import, and only needed here
    from alembic.config import Config  # noqa: PLC0415 - as above
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - as above
    from alembic.util import CommandError  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    try:
        with database.exclusively() as connection:
            # Who waited for another process finds the work done, and holds nobody up in turn.
            if MigrationContext.configure(connection).get_current_revision() == NEWEST:
                return
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError:
        raise StoreError("the database has a schema that this version does not know") from None
    except DBAPIError as error:
        raise database.translate(error.orig, None) if isinstance(error.orig, Exception) else error from None


def _folder() -> Path:
    """Return where the history is: in the installed package, or at the top of a checkout."""
    package = Path(authserver.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"
