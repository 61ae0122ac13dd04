"""``authserver demo``, which is ``make run``: three servers that begin together and end together."""

import os
import signal
import stat
import sys
from pathlib import Path

import httpx2
import pytest

from authserver.cli.demonstration import PASSWORD
from authserver.settings import Settings
from authserver.store import open_store
from pytest_authserver import Browser
from tests.run.conftest import Group, Start, fetch, kill, until
from tests.servers.process import free_port

pytestmark = pytest.mark.slow
_NAMES = ("AUTHSERVER", "RESOURCESERVER", "BFF")


def some_ports() -> dict[str, str]:
    return {f"{name}_PORT": str(free_port()) for name in _NAMES} | {"AUTHSERVER_WORKERS": "1"}


@pytest.fixture
def ports() -> dict[str, str]:
    return some_ports()


def redirect_uris(folder: Path) -> tuple[str, ...]:
    store = open_store(Settings(development=True, database_url=f"sqlite:///{folder / 'authserver.db'}"))
    try:
        client = store.clients.get("web")
        assert client is not None
        assert all(one.demonstration for one in (client, *store.resources.all()))
        return client.redirect_uris
    finally:
        store.close()


def assert_serves(ports: dict[str, str]) -> None:
    issuer = f"http://localhost:{ports['AUTHSERVER_PORT']}"
    assert f'"issuer":"{issuer}"' in fetch(f"{issuer}/.well-known/openid-configuration")[1]
    assert fetch(f"http://localhost:{ports['BFF_PORT']}/")[0] == 200
    assert fetch(f"http://localhost:{ports['RESOURCESERVER_PORT']}/notes")[0] == 401
    assert fetch(f"http://[::1]:{ports['RESOURCESERVER_PORT']}/health/ready")[0] == 200


def assert_a_logout_at_the_provider_ends_the_session_of_the_daybook(ports: dict[str, str]) -> None:
    issuer, web = (f"http://localhost:{ports[f'{name}_PORT']}" for name in ("AUTHSERVER", "BFF"))
    with httpx2.Client(trust_env=False, timeout=60) as http:
        browser = Browser(http, issuer)
        page = browser.log_in(browser.visit(f"{web}/bff/login"), "alice", PASSWORD)
        back = browser.allow(page).location
        assert back is not None
        assert http.get(back).status_code == 303
        assert http.get(f"{web}/bff/user").status_code == 200
        browser.submit(browser.visit("/logout"), "logout-confirm")
        until(lambda: http.get(f"{web}/bff/user").status_code == 401)


def test_everything_starts_and_ends_and_follows_its_ports(start: Start, ports: dict[str, str], tmp_path: Path):
    demo = start("demo", **ports)
    demo.says("begin here")
    assert_serves(ports)
    for text in (
        "alice",
        "correct horse battery staple",
        *(f"http://localhost:{ports[f'{name}_PORT']}" for name in _NAMES),
    ):
        assert text in demo.output
    folder = tmp_path / "var" / "demo"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    secrets = [path for path in folder.iterdir() if "secret" in path.name]
    assert len(secrets) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert not any(path.read_text().strip() in demo.output for path in secrets)
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.wait() == 0, demo.output
    demo.is_gone()
    assert "Traceback" not in demo.output
    assert "was killed" not in demo.output

    moved = some_ports()
    again = start("demo", **moved)
    again.says("begin here")
    assert_serves(moved)
    assert redirect_uris(folder) == (f"http://localhost:{moved['BFF_PORT']}/bff/callback",)
    assert_a_logout_at_the_provider_ends_the_session_of_the_daybook(moved)
    kill(again.pid, signal.SIGTERM)
    assert again.wait() == 0
    again.is_gone()


def test_nothing_outlives_the_supervisor(start: Start, ports: dict[str, str]):
    demo = start("demo", **ports)
    demo.says("begin here")
    kill(demo.pid, signal.SIGKILL)
    demo.is_gone()


def test_nothing_outlives_the_one_who_started_it(start: Start, ports: dict[str, str]):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'authserver', 'demo'])"
    make = start(command=[sys.executable, "-c", code], **ports)
    make.says("begin here")
    kill(make.pid, signal.SIGKILL)
    make.is_gone()


def test_when_one_dies_the_rest_is_ended_with_a_sentence(start: Start, ports: dict[str, str]):
    demo = start("demo", **ports)
    demo.says("begin here")
    kill(child_of(demo, "resourceserver"), signal.SIGKILL)
    assert demo.wait() == 1
    assert "resourceserver has ended (by SIGKILL)" in demo.output
    demo.is_gone()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_can_be_ended_while_it_starts(start: Start, ports: dict[str, str], number: signal.Signals):
    demo = start("demo", **ports)
    until(lambda: len(demo.members()) > 3)
    kill(demo.pid, number)
    assert demo.wait() == 0
    demo.is_gone()


@pytest.mark.parametrize("name", ["AUTHSERVER_PORT", "RESOURCESERVER_PORT", "BFF_PORT"])
def test_a_taken_port_is_named_before_anything_starts(start: Start, ports: dict[str, str], name: str, tmp_path: Path):
    code = f"import socket, time; s = socket.create_server(('127.0.0.1', {ports[name]})); print('up', flush=True); "
    other = start(command=[sys.executable, "-c", code + "time.sleep(600)"])
    other.says("up")
    demo = start("demo", **ports)
    assert demo.wait() == 1
    assert f"port {ports[name]}" in demo.output
    assert name in demo.output
    assert demo.output.count("\n") == 1
    assert not (tmp_path / "var" / "demo" / "authserver.db").exists()
    demo.is_gone()


@pytest.mark.parametrize("value", ["0", "x", "70000", "-1", "9001"])
def test_a_port_that_cannot_be_is_a_wrong_setting(start: Start, value: str):
    demo = start("demo", AUTHSERVER_PORT=value)
    assert demo.wait() == 2
    assert "AUTHSERVER_PORT" in demo.output
    demo.is_gone()


def test_other_wrong_settings_end_it_before_anything_starts(start: Start, ports: dict[str, str]):
    demo = start("demo", **ports, AUTHSERVER_FOO="1")
    assert demo.wait() == 2
    assert "AUTHSERVER_FOO is not a setting" in demo.output
    demo.is_gone()


def child_of(demo: Group, name: str) -> int:
    return next(
        process.pid
        for process in demo.members()
        if process.ppid() == demo.pid and any(part.startswith(f"{name}.cli") for part in process.cmdline())
    )
