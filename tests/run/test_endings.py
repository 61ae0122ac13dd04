"""How the processes end: once, cleanly, and soon, however many tell them and however often."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from authserver.settings import Settings
from authserver.store import open_store
from pytest_authserver import AuthServer
from tests.run.conftest import PATIENCE, SECRET_KEY, Start, fetch, until
from tests.servers.process import free_port

ENDINGS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


def _settings(program: str, folder: Path, port: int) -> dict[str, str]:
    prefix = program.upper()
    return {
        f"{prefix}_DATABASE_URL": f"sqlite:///{folder / 'authserver.db'}",
        f"{prefix}_PORT": str(port),
        **{
            "authserver": {"AUTHSERVER_SECRET_KEY": SECRET_KEY, "AUTHSERVER_WORKERS": "2"},
            "resourceserver": {"RESOURCESERVER_CLIENT_SECRET": SECRET_KEY},
            "bff": {"BFF_CLIENT_SECRET": SECRET_KEY, "BFF_SECRET_KEY": SECRET_KEY},
        }[program],
    }


def tell_many_times(group: int, number: signal.Signals) -> None:
    """Send a signal to all of a group, again and again, as service managers, terminals and masters together do."""
    with suppress(ProcessLookupError):
        for _ in range(300):
            os.killpg(group, number)
            time.sleep(0.0002)


@pytest.mark.parametrize("number", ENDINGS)
@pytest.mark.parametrize("program", ["authserver", "resourceserver", "bff"])
def test_a_whole_group_that_is_told_many_times_ends_as_if_told_once(
    start: Start, tmp_path: Path, program: str, number: signal.Signals
):
    if program == "authserver":
        AuthServer(tmp_path, secret_key=SECRET_KEY).close()
    port = free_port()
    command = [sys.executable, "-c", f"from {program}.cli import main; main()", "serve"]
    options = ["--development"] if program == "authserver" else []
    server = start(*options, command=command, **_settings(program, tmp_path, port))
    server.says("listening on")
    assert fetch(f"http://127.0.0.1:{port}/health/live")[0] == 200
    tell_many_times(server.pid, number)
    assert server.wait() == 0, server.output
    server.is_gone()
    assert "Traceback" not in server.output
    # Nobody was killed, and nobody was taken for dead.
    assert "did not finish" not in server.output
    assert "soon after its start" not in server.output
    assert "another takes its place" not in server.output


def test_workers_that_have_just_been_made_hear_their_master(start: Start, tmp_path: Path):
    # The master is told to end while it is making its workers, who at that moment have its handlers.
    AuthServer(tmp_path, secret_key=SECRET_KEY).close()
    code = (
        "import os, signal\nfrom authserver.cli import main\nfrom resourceserver.serving import processes\n"
        "start = processes._Master._start\n"
        "def told(self, index, ready):\n    start(self, index, ready)\n"
        "    self._workers[index].process.terminate()\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "processes._Master._start = told\nmain()"
    )
    settings = _settings("authserver", tmp_path, free_port())
    server = start("serve", "--development", command=[sys.executable, "-c", code], **settings)
    assert server.wait() == 0, server.output
    server.is_gone()
    assert "did not finish" not in server.output


@pytest.mark.parametrize("number", ENDINGS)
def test_the_work_beside_the_requests_ends_as_if_told_once(start: Start, tmp_path: Path, number: signal.Signals):
    AuthServer(tmp_path, secret_key=SECRET_KEY).close()
    settings = _settings("authserver", tmp_path, free_port())
    store = open_store(Settings(development=True, database_url=settings["AUTHSERVER_DATABASE_URL"]))
    work = start("worker", **settings)
    until(lambda: store.ephemeral.get("lease", "worker") is not None, lambda: work.output)
    tell_many_times(work.pid, number)
    assert work.wait() == 0, work.output
    assert "Traceback" not in work.output
    assert store.ephemeral.get("lease", "worker") is None
    store.close()


def test_a_master_that_fails_leaves_no_worker(start: Start, tmp_path: Path):
    AuthServer(tmp_path, secret_key=SECRET_KEY).close()
    code = (
        "from authserver.cli import main\nfrom resourceserver.serving import processes\n"
        "def failed(*_):\n    raise OSError('no more processes')\n"
        "processes._Master._replace = failed\nmain()"
    )
    settings = _settings("authserver", tmp_path, free_port())
    server = start("serve", "--development", command=[sys.executable, "-c", code], **settings)
    server.says("listening on")
    os.kill(max(process.pid for process in server.members()), signal.SIGKILL)
    assert server.wait() == 1
    server.is_gone()


def test_a_worker_ends_though_its_master_was_killed_while_a_request_was_under_way(start: Start, tmp_path: Path):
    port = free_port()
    AuthServer(tmp_path, secret_key=SECRET_KEY).close()
    settings = _settings("authserver", tmp_path, port)
    server = start("serve", "--development", **settings)
    server.says("listening on")
    with socket.create_connection(("127.0.0.1", port)) as half:
        kind = b"Content-Type: application/x-www-form-urlencoded"
        half.sendall(b"POST /token HTTP/1.1\r\nHost: x\r\n" + kind + b"\r\nContent-Length: 99\r\n\r\ngrant_type=")
        fetch(f"http://127.0.0.1:{port}/health/live")
        os.kill(server.pid, signal.SIGKILL)
        server.is_gone()


def test_nobody_need_read_what_a_server_says(tmp_path: Path):
    port = free_port()
    environ = {**os.environ, **_settings("bff", tmp_path, port)}
    command = [sys.executable, "-c", "from bff.cli import main; main()", "serve"]
    with Path("/dev/full").open("w") as full:
        server = subprocess.Popen(command, env=environ, stdout=full, stderr=subprocess.PIPE)
        assert fetch(f"http://127.0.0.1:{port}/health/live")[0] == 200
        server.terminate()
        assert b"Traceback" not in server.communicate(timeout=PATIENCE)[1]
    assert server.returncode == 0


def test_who_is_to_outlive_the_terminal_does(start: Start, tmp_path: Path):
    port = free_port()
    program = f"trap '' HUP; exec {sys.executable} -c 'from bff.cli import main; main()' serve"
    server = start(command=["sh", "-c", program], **_settings("bff", tmp_path, port))
    server.says("listening on")
    os.killpg(server.pid, signal.SIGHUP)
    assert fetch(f"http://127.0.0.1:{port}/health/live")[0] == 200
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait() == 0


@pytest.mark.parametrize(("program", "path"), [("resourceserver", "/notes"), ("bff", "/nowhere")])
def test_refused_requests_whose_bodies_do_not_come_hold_up_nobody(
    start: Start, tmp_path: Path, program: str, path: str
):
    port = free_port()
    settings = {**_settings(program, tmp_path, port), f"{program.upper()}_THREADS": "4"}
    server = start("serve", command=[sys.executable, "-c", f"from {program}.cli import main; main()"], **settings)
    server.says("listening on")
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode()
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(12)]
    for connection in held:
        connection.sendall(head)
    for _ in range(10):
        assert fetch(f"http://127.0.0.1:{port}/health/live")[0] == 200
    for connection in held:
        connection.close()


def test_a_body_that_waits_for_an_invitation_is_refused_unsent(start: Start, tmp_path: Path):
    port = free_port()
    command = [sys.executable, "-c", "from resourceserver.cli import main; main()"]
    start("serve", command=command, **_settings("resourceserver", tmp_path, port)).says("listening on")
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        head = b"POST /notes HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n"
        connection.sendall(head)
        answer = connection.recv(4096).lower()
    assert answer.startswith(b"http/1.1 401"), answer
    assert b"\r\nconnection: close\r\n" in answer
