"""What must not start does not, says why in a sentence, and leaves nothing behind."""

import os
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from authserver.cli import cli
from authserver.crypto import Sealer
from authserver.manage import clients, users
from authserver.settings import Settings
from authserver.store import open_store
from pytest_authserver import AuthServer
from tests.run.conftest import SECRET_KEY, Group
from tests.servers.process import free_port

STARTED: Final = 99
PUBLIC: Final = "https://login.example.test"
Serve = Callable[..., Result]

# name of the case: what is set (None takes away), what the sentence names
WRONG: Final[dict[str, tuple[dict[str, str | None], str]]] = {
    "a name that is no setting": ({"ISSUR": "x"}, "AUTHSERVER_ISSUR is not a setting"),
    "a section's name that is no setting": ({"TOKENS__CODE": "1"}, "AUTHSERVER_TOKENS__CODE"),
    "an http issuer on a public name": ({"ISSUER": "http://login.example.test"}, "ISSUER must be https"),
    "an http issuer on loopback": ({"ISSUER": "http://localhost:9000"}, "ISSUER must be https"),
    "an issuer that is no URL": ({"ISSUER": "login.example.test"}, "AUTHSERVER_ISSUER"),
    "an issuer with a slash": ({"ISSUER": PUBLIC + "/"}, "AUTHSERVER_ISSUER"),
    "several nodes on SQLite": ({"NODES": "2"}, "NODES above 1 needs PostgreSQL"),
    "no nodes": ({"NODES": "0"}, "AUTHSERVER_NODES"),
    "another database": ({"DATABASE_URL": "mysql://u:hidden@127.0.0.1/x"}, "DATABASE_URL"),
    "a database in memory": ({"DATABASE_URL": "sqlite://"}, "DATABASE_URL"),
    "a database URL that is none": ({"DATABASE_URL": "postgresql://u:hidden@127.0.0.1:port/x"}, "DATABASE_URL"),
    "no secret key": ({"SECRET_KEY": None}, "AUTHSERVER_SECRET_KEY"),
    "an empty secret key": ({"SECRET_KEY": ""}, "AUTHSERVER_SECRET_KEY"),
    "a short secret key": ({"SECRET_KEY": "hidden"}, "AUTHSERVER_SECRET_KEY is too short"),
    "a secret key file that is not there": (
        {"SECRET_KEY": None, "SECRET_KEY_FILE": "nowhere"},
        "AUTHSERVER_SECRET_KEY_FILE cannot be read",
    ),
    "a secret key file that is a folder": ({"SECRET_KEY": None, "SECRET_KEY_FILE": "."}, "AUTHSERVER_SECRET_KEY_FILE"),
    "a Redis URL that is none": ({"REDIS_URL": "http://:hidden@127.0.0.1"}, "AUTHSERVER_REDIS_URL"),
    "a proxy by name": ({"TRUSTED_PROXIES": "127.0.0.1, proxy.example.test"}, "AUTHSERVER_TRUSTED_PROXIES"),
    "certificates that are not there": ({"OUTBOUND_CA_FILE": "nowhere"}, "AUTHSERVER_OUTBOUND_CA_FILE"),
    "a port out of range": ({"PORT": "70000"}, "AUTHSERVER_PORT"),
    "a port that is no number": ({"PORT": "http"}, "AUTHSERVER_PORT"),
    "a lifetime beyond its bound": ({"TOKENS__CODE_SECONDS": "6000"}, "AUTHSERVER_TOKENS__CODE_SECONDS"),
    "a lifetime of nothing": ({"TOKENS__ACCESS_TOKEN_SECONDS": "0"}, "AUTHSERVER_TOKENS__ACCESS_TOKEN_SECONDS"),
    "an unknown log level": ({"LOG_LEVEL": "loud"}, "AUTHSERVER_LOG_LEVEL"),
    "a file that is not there": ({"CONFIG": "nowhere.toml"}, "AUTHSERVER_CONFIG"),
    "a file with a mistake": ({"CONFIG": "broken.toml"}, "AUTHSERVER_CONFIG cannot be read"),
    "a file with an unknown key": ({"CONFIG": "unknown.toml"}, "AUTHSERVER_ISSUR"),
}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the command is started, with two files of settings and nothing else."""
    for name in [name for name in os.environ if name.startswith("AUTHSERVER_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "broken.toml").write_text("secret_key = hidden\n")
    (folder / "unknown.toml").write_text('issur = "hidden"\n')
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """A function that runs ``authserver serve`` as for production up to where it would begin to listen."""
    monkeypatch.setattr("authserver.cli.workers.run", lambda plan: STARTED)

    def one(*arguments: str, **settings: str | None) -> Result:
        given = {"ISSUER": PUBLIC, "SECRET_KEY": SECRET_KEY, "PORT": str(free_port()), **settings}
        environ = {f"AUTHSERVER_{name}": value for name, value in given.items()}
        return CliRunner(env=environ).invoke(cli, ["serve", *arguments])

    return one


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    """A database with schema, keys and nothing that would keep it from serving."""
    world = AuthServer(tmp_path, secret_key=SECRET_KEY)
    world.close()
    return tmp_path / "authserver.db"


def change(database: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(statement, values)
        connection.commit()


def keys_of(database: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT * FROM signing_keys ORDER BY kid").fetchall()


def assert_refused(result: Result, sentence: str, status: int) -> None:
    assert result.exit_code == status, (result.output, result.exception)
    assert sentence in result.stderr
    assert all(line.startswith("authserver: ") for line in result.stderr.splitlines()), result.stderr
    assert result.stdout == ""
    assert "hidden" not in result.stderr
    assert SECRET_KEY not in result.stderr


@pytest.mark.parametrize(("settings", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_named_and_nothing_begins(
    serve: Serve, empty_folder: Path, settings: dict[str, str | None], sentence: str
):
    before = sorted(empty_folder.rglob("*"))
    assert_refused(serve(**settings), sentence, status=2)
    assert sorted(empty_folder.rglob("*")) == before


def test_all_wrong_settings_are_told_at_once(serve: Serve):
    result = serve(ISSUR="x", PORT="http", LOG_LEVEL="loud")
    for name in ("AUTHSERVER_ISSUR", "AUTHSERVER_PORT", "AUTHSERVER_LOG_LEVEL"):
        assert_refused(result, name, status=2)


def test_development_is_for_this_machine(serve: Serve):
    assert_refused(serve("--development"), "loopback", status=2)


def test_a_process_that_refuses_listens_nowhere_and_makes_no_file(tmp_path: Path):
    folder, port = tmp_path / "elsewhere", free_port()
    folder.mkdir()
    environ = {"AUTHSERVER_ISSUER": "http://login.example.test", "AUTHSERVER_SECRET_KEY": SECRET_KEY}
    process = Group([sys.executable, "-m", "authserver", "serve", "--port", str(port)], folder, environ)
    assert process.wait() == 2, process.output
    assert process.output.splitlines()[0].startswith("authserver: ISSUER must be https")
    assert list(folder.iterdir()) == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    process.close()


# The deployment itself


def test_a_sound_deployment_would_start(serve: Serve, deployment: Path):
    assert serve(DATABASE_URL=f"sqlite:///{deployment}").exit_code == STARTED


def test_a_schema_that_is_not_current_is_not_served(serve: Serve, deployment: Path, tmp_path: Path):
    sentence = "the database schema is not current: run 'authserver db upgrade'"
    assert_refused(serve(DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}"), sentence, status=1)
    change(deployment, "UPDATE alembic_version SET version_num = '0000'")
    assert_refused(serve(DATABASE_URL=f"sqlite:///{deployment}"), sentence, status=1)


def test_a_file_that_is_no_database_is_not_served(serve: Serve, tmp_path: Path):
    (tmp_path / "text.db").write_text("not a database\n" * 1000)
    assert_refused(serve(DATABASE_URL=f"sqlite:///{tmp_path / 'text.db'}"), "the database cannot be used", status=1)


def test_another_secret_key_is_refused_and_the_former_one_still_opens(serve: Serve, deployment: Path):
    url, other = f"sqlite:///{deployment}", "f" * 40
    before = keys_of(deployment)
    assert_refused(serve(DATABASE_URL=url, SECRET_KEY=other), "check SECRET_KEY", status=1)
    assert keys_of(deployment) == before
    assert serve(DATABASE_URL=url, SECRET_KEY=other, SECRET_KEY_PREVIOUS=SECRET_KEY).exit_code == STARTED


@pytest.mark.parametrize(
    "damage",
    [
        "sealed = substr(sealed, 1, length(sealed) - 1)",
        "sealed = substr(sealed, 1, 5)",
        "sealed = x''",
        "sealed = (SELECT sealed FROM signing_keys AS other WHERE other.kid != signing_keys.kid)",
        "algorithm = CASE algorithm WHEN 'RS256' THEN 'ES256' ELSE 'RS256' END",
        "public = substr(public, 1, 40)",
        "public = '{}'",
        "public = '[]'",
        "retires_at = 1",
        "gone_at = 1",
        "signs_at = 4000000000000000",
    ],
)
def test_signing_keys_that_cannot_be_used_are_refused_and_never_replaced(serve: Serve, deployment: Path, damage: str):
    change(deployment, f"UPDATE signing_keys SET {damage}")  # noqa: S608 - a test's own words
    before = keys_of(deployment)
    assert_refused(serve(DATABASE_URL=f"sqlite:///{deployment}"), "sign", status=1)
    assert keys_of(deployment) == before


def test_lost_signing_keys_are_not_made_anew(serve: Serve, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'made.db'}"
    environ = {"AUTHSERVER_DATABASE_URL": url, "AUTHSERVER_SECRET_KEY": SECRET_KEY}
    assert CliRunner(env=environ).invoke(cli, ["db", "upgrade"]).exit_code == 0
    change(tmp_path / "made.db", "DELETE FROM signing_keys")
    assert_refused(serve(DATABASE_URL=url), "restore the database", status=1)
    assert keys_of(tmp_path / "made.db") == []


@pytest.mark.parametrize("what", ["account", "client"])
def test_the_demonstration_is_not_served_in_production(serve: Serve, deployment: Path, what: str):
    url = f"sqlite:///{deployment}"
    store = open_store(Settings(development=True, database_url=url))
    if what == "account":
        users.add(store, users.make_user("alice", demonstration=True), "hash", actor="test")
    else:
        uris = {"redirect_uris": ["https://app.example.test/callback"]}
        clients.register(store, Sealer(SECRET_KEY), uris, actor="test", demonstration=True)
    store.close()
    assert_refused(serve(DATABASE_URL=url), "demonstration", status=1)
    development = {"ISSUER": "http://localhost:9000", "DATABASE_URL": url}
    assert serve("--development", **development).exit_code == STARTED
