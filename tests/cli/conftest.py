"""The command line in this process, on a deployment of the test's own."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authserver.cli import cli
from authserver.settings import Settings
from authserver.store import Store, open_store

SECRET_KEY = "0123456789abcdef0123456789abcdef"
Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def no_settings_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AUTHSERVER_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def cli_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as ``db upgrade`` makes it."""
    path = tmp_path_factory.mktemp("cli") / "template.db"
    environ = {"AUTHSERVER_DATABASE_URL": f"sqlite:///{path}", "AUTHSERVER_SECRET_KEY": SECRET_KEY}
    done = CliRunner(env=environ).invoke(cli, ["db", "upgrade"])
    assert done.exit_code == 0, done.output
    assert "first signing keys are made" in done.output
    return path


@pytest.fixture
def environ(cli_template: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of an upgraded deployment."""
    path = tmp_path / "authserver.db"
    shutil.copy(cli_template, path)
    return {"AUTHSERVER_DATABASE_URL": f"sqlite:///{path}", "AUTHSERVER_SECRET_KEY": SECRET_KEY}


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    """A function that runs a command line and returns its result; a dictionary as input is sent as JSON."""

    def one(*arguments: str, given: Any = None, status: int = 0, **more: str | None) -> Result:
        text = given if isinstance(given, str | bytes | None) else json.dumps(given)
        result = CliRunner(env={**environ, **more}).invoke(cli, arguments, input=text)
        assert result.exit_code == status, (result.output, result.stderr, result.exception)
        return result

    return one


@pytest.fixture
def store(environ: dict[str, str]) -> Iterator[Store]:
    opened = open_store(Settings(development=True, database_url=environ["AUTHSERVER_DATABASE_URL"]))
    yield opened
    opened.close()
