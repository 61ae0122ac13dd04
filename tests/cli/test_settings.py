"""``authserver settings``, and what wrong settings do to every command."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import SECRET_KEY, Run

COMMANDS = [
    ["settings", "show"],
    ["settings", "check"],
    ["db", "upgrade"],
    ["client", "list"],
    ["key", "rotate"],
    ["doctor"],
    ["worker", "--once"],
    ["serve"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_wrong_settings_end_every_command_with_status_2(run: Run, command: list[str], tmp_path: Path):
    path = tmp_path / "never.db"
    wrong = {"AUTHSERVER_DATABASE_URL": f"sqlite:///{path}", "AUTHSERVER_FOO": "1", "AUTHSERVER_PORT": "x"}
    result = run(*command, status=2, **wrong)
    assert "AUTHSERVER_FOO is not a setting" in result.stderr
    assert "AUTHSERVER_PORT" in result.stderr
    assert result.stdout == ""
    assert not path.exists()


@pytest.mark.parametrize(
    "command", [["key", "reseal"], ["settings", "check", "--development"], ["serve", "--development"]]
)
@pytest.mark.parametrize("secret", [None, "short"])
def test_a_missing_or_short_secret_key_is_a_wrong_setting(run: Run, command: list[str], secret: str | None):
    result = run(*command, status=2, AUTHSERVER_SECRET_KEY=secret)
    assert "AUTHSERVER_SECRET_KEY" in result.stderr
    assert "short\n" not in result.stderr


def test_every_setting_is_shown_and_no_secret(run: Run):
    more = {
        "AUTHSERVER_REDIS_URL": "redis://user:redis-password@127.0.0.1:1/0",
        "AUTHSERVER_SECRET_KEY_PREVIOUS": "p" * 40,
        "AUTHSERVER_DATABASE_URL": "postgresql://me:db-password@127.0.0.1:1/as",
    }
    for command in (["settings", "show"], ["settings", "show", "--json"]):
        shown = run(*command, **more).stdout
        assert "access_token_seconds" in shown
        for secret in (SECRET_KEY, "redis-password", "db-password", "p" * 40):
            assert secret not in shown
    assert json.loads(shown)["tokens"]["code_seconds"] == 60


def test_check_speaks_for_serve(run: Run):
    assert "ISSUER must be https" in run("settings", "check", status=2).stderr
    run("settings", "check", "--development")
    run("settings", "check", AUTHSERVER_ISSUER="https://login.example.test")
    result = run("settings", "check", "--development", status=2, AUTHSERVER_ISSUER="https://login.example.test")
    assert "loopback" in result.stderr


def test_development_listens_on_loopback_only(run: Run):
    assert "loopback" in run("serve", "--development", "--host", "192.0.2.1", status=2).stderr


def test_an_sqlite_without_returning_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sqlite3.sqlite_version", "3.34.1")
    assert "3.35" in run("client", "list", status=2).stderr
