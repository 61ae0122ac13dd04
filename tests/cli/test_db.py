"""``authserver db``, and what a database that is not ready does to the other commands."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize(
    "command",
    [["client", "list"], ["user", "add", "alice"], ["key", "list"], ["worker", "--once"], ["serve", "--development"]],
)
def test_commands_ask_for_the_upgrade_first(run: Run, command: list[str], tmp_path: Path):
    result = run(*command, status=1, AUTHSERVER_DATABASE_URL=f"sqlite:///{tmp_path / 'empty.db'}", AUTHSERVER_PORT="0")
    assert "run 'authserver db upgrade'" in result.stderr


def test_an_upgrade_is_repeatable(run: Run):
    result = run("db", "upgrade")
    assert "up to date" in result.stdout
    assert "signing keys" not in result.stdout


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/x.db", "postgresql://me:secret@127.0.0.1:1/as"])
def test_a_database_that_is_away_is_a_sentence(run: Run, url: str):
    result = run("client", "list", status=1, AUTHSERVER_DATABASE_URL=url)
    assert result.stderr.startswith("authserver: ")
    assert result.stderr.count("\n") == 1
    assert "secret" not in result.stderr
