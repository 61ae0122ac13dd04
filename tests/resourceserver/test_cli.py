import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from resourceserver.cli import main
from tests.servers.late_body import statuses

SERVE = [sys.executable, "-c", "from resourceserver.cli import main; main()", "serve"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "RESOURCESERVER_CLIENT_SECRET": "s3cret-of-the-server",
        "RESOURCESERVER_DATABASE_URL": f"sqlite:///{tmp_path / 'notes.db'}",
        **more,
    }


def _get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=5) as response:
        return json.load(response)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        try:
            _get(url)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server did not start")


@pytest.fixture
def port() -> int:
    return _free_port()


@pytest.fixture
def server(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    # A variable that would look like a header of every request if the environment were passed on.
    environment = _environment(tmp_path, HTTP_AUTHORIZATION="Bearer from-the-environment")
    process = subprocess.Popen([*SERVE, "--port", str(port)], env=environment, stderr=subprocess.PIPE, cwd=tmp_path)
    try:
        for host in ("127.0.0.1", "[::1]") if socket.has_ipv6 else ("127.0.0.1",):
            _wait_for(f"http://{host}:{port}/health/live", process)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_listens_on_both_loopback_addresses_and_ends_on_sigterm(server: subprocess.Popen[bytes], port: int) -> None:
    assert _get(f"http://localhost:{port}/")["resources"][0]["resource"] == f"http://localhost:{port}/notes"
    server.send_signal(signal.SIGTERM)
    assert server.wait(15) == 0
    with pytest.raises(OSError):
        _get(f"http://127.0.0.1:{port}/health/live")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("line", ["POST /notes", "PUT /almanac", "POST /nowhere", "DELETE /"])
def test_a_connection_goes_on_behind_an_answer_that_needed_no_body(port: int, line: str) -> None:
    first, second = statuses(port, line)
    assert first in {401, 404, 405}
    assert second == 200


def test_nothing_of_the_environment_reaches_a_request(server: subprocess.Popen[bytes], port: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        _get(f"http://127.0.0.1:{port}/notes")
    # A bare challenge: had the variable become a header, there would be an error code in it.
    assert refused.value.code == 401
    assert "error=" not in refused.value.headers["WWW-Authenticate"]
    refused.value.close()


def test_two_authorization_headers_are_refused_behind_the_real_server(
    server: subprocess.Popen[bytes], port: int
) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(
            b"GET /notes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_workers_end_when_the_process_that_started_them_is_killed(server: subprocess.Popen[bytes], port: int) -> None:
    server.kill()
    server.wait()
    for _ in range(200):
        try:
            _get(f"http://127.0.0.1:{port}/health/live")
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError("a worker went on")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RESOURCESERVER_PORT", "none"),
        ("RESOURCESERVER_UNKNOWN", "x"),
        ("RESOURCESERVER_CLIENT_SECRET", ""),
        ("RESOURCESERVER_DATABASE_URL", "sqlite:////dev/null/notes.db"),
    ],
)
def test_what_is_wrong_is_said_before_anything_listens(tmp_path: Path, name: str, value: str) -> None:
    done = subprocess.run(
        SERVE, check=False, env=_environment(tmp_path, **{name: value}), capture_output=True, cwd=tmp_path, timeout=30
    )
    assert done.returncode == 1
    assert b"Error: " in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"s3cret" not in done.stderr


def test_a_port_in_use_is_said_before_anything_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = str(taken.getsockname()[1])
        environment = _environment(tmp_path, RESOURCESERVER_PORT=port)
        done = subprocess.run(SERVE, check=False, env=environment, capture_output=True, cwd=tmp_path, timeout=30)
    assert done.returncode == 1
    assert f"port {port}".encode() in done.stderr


def test_the_command_explains_itself() -> None:
    assert "RESOURCESERVER_" in CliRunner().invoke(main, ["serve", "--help"]).output
