"""How the processes end: once, cleanly, and soon, however many tell them and however often."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from authserver.settings import Settings
from authserver.store import open_store
from pytest_authserver import AuthServer
from tests.run.conftest import SECRET_KEY, Start, fetch, until
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
