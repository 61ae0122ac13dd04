"""``authserver serve`` as a process: where it listens, what holds it up, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authserver import clock
from authserver.crypto import Sealer
from authserver.manage import clients
from authserver.settings import Settings
from authserver.store import Store, open_store
from resourceserver.serving import processes
from resourceserver.serving.listeners import bare_answer
from tests.following import Told, streaming
from tests.run.conftest import PATIENCE, SECRET_KEY, Group, Start, fetch, kill, until
from tests.servers.late_body import statuses
from tests.servers.process import free_port


@pytest.fixture(scope="session")
def served_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "template.db"
    environ = {**os.environ, "AUTHSERVER_DATABASE_URL": f"sqlite:///{path}", "AUTHSERVER_SECRET_KEY": SECRET_KEY}
    subprocess.run([sys.executable, "-m", "authserver", "db", "upgrade"], env=environ, check=True, capture_output=True)
    return path


@pytest.fixture
def environ(served_template: Path, tmp_path: Path) -> dict[str, str]:
    """A deployment that can serve."""
    return deployment(served_template, tmp_path)


def deployment(template: Path, folder: Path) -> dict[str, str]:
    """Make a database in the folder, and settings that go with it."""
    (folder / "authserver.db").write_bytes(template.read_bytes())
    port = free_port()
    return {
        "AUTHSERVER_DATABASE_URL": f"sqlite:///{folder / 'authserver.db'}",
        "AUTHSERVER_SECRET_KEY": SECRET_KEY,
        "AUTHSERVER_PORT": str(port),
        "AUTHSERVER_ISSUER": f"http://localhost:{port}",
        "AUTHSERVER_WORKERS": "2",
    }


@pytest.fixture(scope="module")
def served(served_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that runs for all the tests of this file."""
    folder = tmp_path_factory.mktemp("shared")
    settings = deployment(served_template, folder)
    group = Group([sys.executable, "-m", "authserver", "serve", "--development"], folder, settings)
    fetch(url(settings))
    yield int(settings["AUTHSERVER_PORT"])
    group.close()
    assert "Traceback" not in group.output


def url(environ: dict[str, str], path: str = "/health/ready", host: str = "127.0.0.1") -> str:
    return f"http://{host}:{environ['AUTHSERVER_PORT']}{path}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_answers_on_both_loopback_addresses_and_ends_when_told(
    start: Start, environ: dict[str, str], number: signal.Signals
):
    server = start("serve", "--development", **environ)
    for host in ("127.0.0.1", "[::1]", "localhost"):
        assert fetch(url(environ, host=host)) == (200, '{"status":"ready"}\n')
    server.says("listening on 127.0.0.1 and ::1")
    kill(server.pid, number)
    assert server.wait() == 0, server.output
    server.is_gone()


@pytest.mark.parametrize(
    "line",
    [
        "POST /token",
        "POST /token?client_secret=in-the-url",
        "POST /token?" + "a" * 8300,
        "PUT /token",
        "OPTIONS /token",
        "GET /jwks",
        "POST /login",
        "DELETE /account",
        "POST /nowhere",
        "POST /static/authserver.css",
    ],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
def test_a_connection_goes_on_behind_an_answer_that_needed_no_body(served: int, line: str, *, chunked: bool):
    first, second = statuses(served, line, chunked=chunked)
    assert first, "no answer"
    assert second == 200


def test_a_connection_that_ends_for_its_body_says_so(served: int):
    with socket.create_connection(("127.0.0.1", served), 30) as connection:
        connection.sendall(b"PUT /token HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b"a" * 70_000)
        head = connection.recv(4096).lower()
    assert head.startswith(b"http/1.1 405")
    assert b"\r\nconnection: close\r\n" in head


def test_workers_end_with_their_master(start: Start, environ: dict[str, str]):
    server = start("serve", "--development", **environ)
    fetch(url(environ))
    kill(server.pid, signal.SIGKILL)
    server.is_gone()


def test_a_worker_that_dies_is_replaced(start: Start, environ: dict[str, str]):
    code = (
        "from authserver.cli import main\nfrom resourceserver.serving import processes\nprocesses._YOUNG = 0.0\nmain()"
    )
    server = start("serve", "--development", command=[sys.executable, "-c", code], **environ)
    server.says("listening on")
    before = {process.pid for process in server.members()}
    kill(max(before - {server.pid}), signal.SIGKILL)
    until(lambda: len(server.members()) == 3 and {process.pid for process in server.members()} != before)
    assert fetch(url(environ))[0] == 200
    assert "another takes its place" in server.output


def test_a_taken_port_is_a_sentence_and_nothing_is_left(start: Start, environ: dict[str, str]):
    first = start("serve", "--development", **environ)
    fetch(url(environ))
    second = start("serve", "--development", **environ)
    assert second.wait() == 1
    assert f"port {environ['AUTHSERVER_PORT']} on 127.0.0.1 is taken" in second.output
    assert "AUTHSERVER_PORT" in second.output
    assert second.output.count("\n") == 1
    second.is_gone()
    assert fetch(url(environ))[0] == 200
    assert first.process.poll() is None


def half_a_body(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    kind = b"Content-Type: application/x-www-form-urlencoded"
    connection.sendall(b"POST /token HTTP/1.1\r\nHost: x\r\n" + kind + b"\r\nContent-Length: 99\r\n\r\ngrant_type=")
    return connection


def half_a_head(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"POST /token HTTP/1.1\r\nHost: x\r\nContent-")
    return connection


def test_half_sent_requests_do_not_stop_a_worker(start: Start, environ: dict[str, str]):
    server = start("serve", "--development", **{**environ, "AUTHSERVER_WORKERS": "1"})
    fetch(url(environ))
    port = int(environ["AUTHSERVER_PORT"])
    held = [half_a_body(port) for _ in range(50)] + [half_a_head(port) for _ in range(100)]
    for _ in range(20):
        assert fetch(url(environ))[0] == 200
    # Nor do they keep it from ending.
    kill(server.pid, signal.SIGTERM)
    assert server.wait() == 0
    server.is_gone()
    for connection in held:
        connection.close()


def follower(environ: dict[str, str]) -> tuple[Store, httpx2.Client]:
    """The store of the deployment, and how a resource server calls it."""
    store = open_store(Settings(development=True, database_url=environ["AUTHSERVER_DATABASE_URL"]))
    secret = "s" * 40
    members = {"client_id": "follower", "client_secret": secret, "grant_types": ["client_credentials"]}
    clients.register(
        store, Sealer(SECRET_KEY, ()), {**members, "resource_server_for": ["https://api.test/"]}, actor="test"
    )
    return store, httpx2.Client(auth=("follower", secret), trust_env=False, timeout=PATIENCE)


def test_revocations_stream_and_hold_up_nobody(start: Start, environ: dict[str, str]):
    environ |= {"AUTHSERVER_WORKERS": "1", "AUTHSERVER_THREADS": "8"}
    store, http = follower(environ)
    server = start("serve", "--development", **environ)
    fetch(url(environ))
    at = url(environ, "")
    with ExitStack() as streams:
        streams.callback(http.close)
        first, second, third = (streams.enter_context(streaming(http, at)) for _ in range(3))
        # Of eight threads two may be held; the third follower gets what there is, and comes again.
        for stream in (first, second, third):
            assert stream.read() == [Told("0.0", "reset", {})]
        third.end()
        for _ in range(20):
            assert fetch(url(environ))[0] == 200
        store.tokens.revoke_jti("told", clock.now() + clock.HOUR)
        told = first.next()
        assert [event.description for event in told] == [{"jti": "told"}]
        assert second.next() == told
        # A follower that goes away makes room.
        second.answer.close()
        until(lambda: goes_on(http, at, told[0].id))
        # Nor do streams keep the server from ending; they come to their own end.
        kill(server.pid, signal.SIGTERM)
        first.end()
    assert server.wait() == 0
    server.is_gone()
    assert "Traceback" not in server.output
    store.close()


def goes_on(http: httpx2.Client, at: str, last: str) -> bool:
    """Say whether a follower finds a place."""
    with streaming(http, at, last) as stream:
        assert stream.read() == []
        return stream.read() == []


def test_a_head_without_end_is_refused(start: Start, environ: dict[str, str]):
    start("serve", "--development", **environ)
    fetch(url(environ))
    with socket.create_connection(("127.0.0.1", int(environ["AUTHSERVER_PORT"]))) as connection:
        try:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 200_000)
            answer = connection.recv(100)
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
    assert fetch(url(environ))[0] == 200


def test_logs_hold_no_secret_even_when_they_say_everything(start: Start, environ: dict[str, str]):
    server = start("serve", "--development", **{**environ, "AUTHSERVER_LOG_LEVEL": "debug"})
    fetch(url(environ, "/authorize?client_id=private-hint&state=private-hint"))
    kill(server.pid, signal.SIGTERM)
    server.wait()
    assert '"path":"/authorize"' in server.output
    assert SECRET_KEY not in server.output
    assert "private-hint" not in server.output
    for line in server.output.splitlines():
        json.loads(line)


def test_production_refuses_the_demonstration(start: Start, environ: dict[str, str], tmp_path: Path):
    code = (
        "from authserver.cli.deployment import opened\nfrom authserver.manage import clients\n"
        "with opened() as d:\n    clients.register(d.store, d.sealer, {'redirect_uris': ['https://c.example/']},"
        " actor='test', demonstration=True)\n"
    )
    assert start(command=[sys.executable, "-c", code], **environ).wait() == 0
    server = start("serve", **{**environ, "AUTHSERVER_ISSUER": "https://login.example.test"})
    assert server.wait() == 1
    assert "demonstration" in server.output
    server.is_gone()


def test_production_refuses_an_http_issuer(start: Start, environ: dict[str, str]):
    server = start("serve", **environ)
    assert server.wait() == 2
    assert "ISSUER must be https" in server.output


def test_the_environment_of_a_request_is_not_that_of_the_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTHSERVER_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("HTTP_X_CSRF", "1")
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return [b""]

    class Answer:
        def response_bytes(self, *_arguments: Any) -> None:
            return

    bare_answer(application)(Answer(), {"PATH_INFO": "/"})
    assert seen["PATH_INFO"] == "/"
    assert not {"AUTHSERVER_SECRET_KEY", "HTTP_X_CSRF", "PATH", "HOME"} & seen.keys()
    assert "PATH" in os.environ


def test_settings_that_were_read_are_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTHSERVER_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("BFF_SECRET_KEY", SECRET_KEY)
    processes.forget("AUTHSERVER_")
    assert not [name for name in os.environ if name.startswith("AUTHSERVER_")]
    assert os.environ["BFF_SECRET_KEY"] == SECRET_KEY


def test_two_upgrades_at_once_make_one_deployment(start: Start, tmp_path: Path):
    path = tmp_path / "fresh.db"
    environ = {"AUTHSERVER_DATABASE_URL": f"sqlite:///{path}", "AUTHSERVER_SECRET_KEY": SECRET_KEY}
    both = [start("db", "upgrade", **environ) for _ in range(2)]
    assert [upgrade.wait() for upgrade in both] == [0, 0]
    assert sorted("signing keys are made" in upgrade.output for upgrade in both) == [False, True]
    store = open_store(Settings(development=True, database_url=environ["AUTHSERVER_DATABASE_URL"]))
    assert sorted(key.algorithm for key in store.keys.all()) == ["ECDH-ES", "ES256", "RS256", "RSA-OAEP-256"]
    store.close()
