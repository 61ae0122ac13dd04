"""The entry point for any WSGI server refuses what ``authserver serve`` refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

from authserver.manage.errors import ManageError
from authserver.settings import Settings
from authserver.wsgi import make_application

SECRET_KEY = "0123456789abcdef0123456789abcdef"


def test_a_deployment_that_is_not_ready_gets_no_application(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'authserver.db'}"
    with pytest.raises(ManageError, match="db upgrade"):
        make_application(Settings(development=True, database_url=url, secret_key=SECRET_KEY))


def test_the_application_is_made_when_a_server_asks_for_it(tmp_path: Path):
    environ = {
        "AUTHSERVER_DATABASE_URL": f"sqlite:///{tmp_path / 'authserver.db'}",
        "AUTHSERVER_SECRET_KEY": SECRET_KEY,
        "AUTHSERVER_ISSUER": "https://login.example.test",
        "PYTHONPATH": ":".join(sys.path),
    }
    command = [sys.executable, "-m", "authserver", "db", "upgrade"]
    subprocess.run(command, env=environ, check=True, capture_output=True, timeout=60)
    code = "import authserver.wsgi as w; print(w.application is w.application, type(w.application).__name__)"
    done = subprocess.run([sys.executable, "-c", code], env=environ, check=True, capture_output=True, timeout=60)
    assert done.stdout == b"True Flask\n"


def test_wrong_settings_end_the_import(tmp_path: Path):
    code = "import authserver.wsgi as w; w.application"
    environ = {"AUTHSERVER_FOO": "1", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, check=False, capture_output=True, timeout=60)
    assert done.returncode != 0
    assert b"AUTHSERVER_FOO is not a setting" in done.stderr
