"""The schema's history: one for both databases, and the same schema as the tables that the statements are made of."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from authserver.store import Store, StoreError
from authserver.store.migrate import NEWEST
from authserver.store.tables import metadata
from tests.store.conftest import OpenStore
from tests.store.makers import EVENT

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return str(request.getfixturevalue("postgres_url"))


def test_an_empty_database_is_made_current_and_stays_so(empty_url: str, opened: OpenStore):
    store = opened(empty_url)
    assert not store.is_current()
    store.upgrade()
    assert store.is_current()
    store.audit.append(EVENT)
    store.upgrade()
    assert len(store.audit.list(0, 9)) == 1


def test_the_newest_revision_is_the_one_that_the_server_expects():
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [NEWEST]


def test_another_revision_is_not_current(store: Store):
    with store.database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    assert not store.is_current()
    with pytest.raises(StoreError, match="does not know"):
        store.upgrade()


def test_the_history_makes_the_schema_of_the_tables(store: Store):
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        found = inspect(connection)
        for table in metadata.sorted_tables:
            # Alembic compares neither primary keys nor the names of what refers to what.
            # SQLite's AUTOINCREMENT stands beside its column, where a constraint has no name.
            inline = context.dialect.name == "sqlite" and table.dialect_options["sqlite"]["autoincrement"]
            assert found.get_pk_constraint(table.name)["name"] == (None if inline else table.primary_key.name)
            names = {key["name"] for key in found.get_foreign_keys(table.name)}
            assert names == {key.name for key in table.foreign_key_constraints}
            assert found.get_pk_constraint(table.name)["constrained_columns"] == [key.name for key in table.primary_key]


def test_tables_with_short_rows_are_kept_in_the_order_of_their_key(sqlite_store: Store):
    with sqlite_store.database.engine.connect() as connection:
        rows = connection.execute(text("SELECT name FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%'"))
        made = {name for (name,) in rows}
    declared = {
        table.name for table in metadata.sorted_tables if table.dialect_options["sqlite"]["with_rowid"] is False
    }
    assert made == declared == {"refresh_tokens", "revoked_jtis", "consents", "ephemeral"}


UPGRADE = """
import sys
from tests.store.settings import make_schema
sys.stdin.readline()
make_schema(sys.argv[1])
"""


def test_processes_that_upgrade_at_once_all_succeed(empty_url: str, opened: OpenStore):
    children = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, empty_url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdin
        child.stdin.write("\n")
        child.stdin.flush()
    failures = [child.communicate(timeout=90)[1] for child in children]
    assert failures == [""] * 3
    store = opened(empty_url)
    assert store.is_current()


def test_asking_for_the_version_does_not_import_alembic(tmp_path: Path):
    code = (
        "import sys; from tests.store.settings import settings_for; from authserver.store import open_store;"
        f"store = open_store(settings_for('sqlite:///{tmp_path}/x.db'));"
        "print(store.is_current(), 'alembic' in sys.modules, 'psycopg' in sys.modules, 'redis' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert said.stdout.split() == ["False"] * 4


def test_a_failed_upgrade_leaves_nothing(empty_url: str, opened: OpenStore, monkeypatch: pytest.MonkeyPatch):
    from alembic import op

    created = op.create_index
    calls = []

    def fail_late(*arguments: object, **options: object) -> None:
        calls.append(arguments)
        if len(calls) > 5:
            raise RuntimeError("power cut")
        created(*arguments, **options)  # type: ignore[arg-type]

    store = opened(empty_url)
    with monkeypatch.context() as patch:
        patch.setattr(op, "create_index", fail_late)
        with pytest.raises(RuntimeError, match="power cut"):
            store.upgrade()
    with store.database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
    store.upgrade()
    assert store.is_current()
