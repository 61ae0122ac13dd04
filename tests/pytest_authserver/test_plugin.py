"""The plugin as pytest loads it: in every run, at no cost to those that need no server."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import httpx2
import pytest

from pytest_authserver import AuthServer


@pytest.fixture
def authserver_settings():
    return {"tokens": {"access_token_seconds": 7}}


def test_in_this_process(authserver: AuthServer):
    tokens = authserver.tokens(authserver.client(), authserver.user())
    assert tokens["expires_in"] == 7


@pytest.mark.parametrize("again", [1, 2])
def test_on_a_port(live_authserver: AuthServer, again: int):
    live_authserver.user("alice")
    url = live_authserver.issuer + "/.well-known/openid-configuration"
    assert httpx2.get(url, trust_env=False).json()["issuer"] == live_authserver.issuer
"""


def _python(*arguments: str, folder: Path) -> str:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_fixtures_work_in_somebody_elses_tests(tmp_path: Path):
    (tmp_path / "test_mine.py").write_text(TESTS)
    said = _python("-m", "pytest", "-q", "-n2", "-Werror", "-pno:valkey", folder=tmp_path)
    assert "3 passed" in said


def test_the_fixtures_are_listed_with_a_sentence_each(tmp_path: Path):
    said = _python("-m", "pytest", "--fixtures", "-q", "-pno:valkey", folder=tmp_path)
    for name in ("authserver", "live_authserver", "authserver_settings"):
        assert f"\n{name}" in said


def test_loading_the_plugin_loads_nothing_of_the_server(tmp_path: Path):
    heavy = "{'authserver', 'flask', 'authlib', 'sqlalchemy'}"
    code = f"import sys, pytest_authserver.plugin; print(sorted({heavy}.intersection(sys.modules)))"
    assert _python("-c", code, folder=tmp_path) == "[]\n"


def test_every_public_name_can_be_imported():
    import pytest_authserver

    for name in pytest_authserver.__all__:
        assert getattr(pytest_authserver, name).__name__ == name
