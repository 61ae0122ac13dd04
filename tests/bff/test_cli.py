"""The command: it serves on both loopback addresses, keeps its environment to itself, and ends when told."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from bff.cli import main
from tests.servers.late_body import statuses


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(tmp_path: Path, port: int, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    given = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BFF_")},
        "BFF_CLIENT_SECRET": "s" * 40,
        "BFF_SECRET_KEY": "k" * 32,
        "BFF_DATABASE_URL": f"sqlite:///{tmp_path / 'bff.db'}",
        "BFF_THREADS": "4",
        **environ,
    }
    command = [sys.executable, "-c", "from bff.cli import main; main()", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def fetch(url: str, **headers: str) -> tuple[int, str]:
    for _ in range(200):
        try:
            with urlopen(Request(url, headers=headers)) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError("the server does not answer")


def gone(port: int) -> bool:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return True
        time.sleep(0.1)
    return False


def test_it_serves_both_loopback_addresses_and_ends_on_sigterm(tmp_path: Path):
    port = free_port()
    with serving(tmp_path, port, HTTP_X_CSRF="1") as process:
        assert fetch(f"http://127.0.0.1:{port}/health/ready") == (200, '{"status": "ready"}\n')
        if socket.has_ipv6:
            assert fetch(f"http://[::1]:{port}/")[0] == 200
        # A variable of that name must not pass for the header.
        assert fetch(f"http://127.0.0.1:{port}/api/notes")[0] == 403
        assert fetch(f"http://127.0.0.1:{port}/api/notes", **{"X-CSRF": "1"})[0] == 401
        for line in ("POST /bff/login", "PUT /api/notes", "POST /nowhere", "DELETE /"):
            first, second = statuses(port, line)
            assert (first >= 400, second) == (True, 200), line
        for path in ("/api//notes", "/api/notes/..%2fx", "/api/notes/%2e%2e/x", "//evil.test"):
            assert fetch(f"http://127.0.0.1:{port}{path}", **{"X-CSRF": "1"})[0] == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert gone(port)


def test_everything_ends_when_the_command_is_killed(tmp_path: Path):
    port = free_port()
    with serving(tmp_path, port) as process:
        fetch(f"http://127.0.0.1:{port}/health/live")
        process.kill()
        process.wait(20)
        assert gone(port)


def test_a_port_that_is_taken_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ = {
            "BFF_CLIENT_SECRET": "s" * 40,
            "BFF_SECRET_KEY": "k" * 32,
            "BFF_PORT": str(taken.getsockname()[1]),
        }
        result = CliRunner().invoke(main, ["serve"], env=environ)
    assert result.exit_code != 0
    assert "is taken by another program" in result.output


def test_unusable_settings_are_told_together_without_values():
    environ = {"BFF_CLIENT_SECRET": "s" * 40, "BFF_SECRET_KEY": "short-one", "BFF_UNKNOWN": "value-x"}
    result = CliRunner().invoke(main, ["serve"], env=environ)
    assert result.exit_code != 0
    assert "BFF_UNKNOWN" in result.output
    assert "value-x" not in result.output
    assert "short-one" not in result.output
