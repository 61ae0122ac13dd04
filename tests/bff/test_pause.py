"""A provider that does not answer holds one caller, not one after another."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bff import create_app
from bff.errors import ProviderUnavailableError
from bff.pause import Pause
from tests.bff.stub import Stub


class Provider:
    """Takes its time on a clock of its own, in vain."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked = 0
        self.now = 0.0

    def __call__(self) -> None:
        self.asked += 1
        self.now += self.seconds
        raise ProviderUnavailableError


@pytest.mark.parametrize(("seconds", "asked"), [(10.0, 2), (0.0, 5)])
def test_a_pause_lasts_as_long_as_the_wait_did(seconds: float, asked: int):
    provider = Provider(seconds)
    pause = Pause(lambda: provider.now)
    for later in (0.0, 0.0, 9.0, 1.0, 0.0):
        provider.now += later
        with pytest.raises(ProviderUnavailableError):
            pause.ask(provider)
    assert provider.asked == asked


def test_an_answer_ends_nothing():
    pause = Pause()
    assert [pause.ask(lambda: "answer") for _ in range(2)] == ["answer", "answer"]


def test_strangers_cannot_queue_up_behind_a_provider_that_hangs(tmp_path: Path, stub: Stub):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        url = f"sqlite:///{tmp_path / 'bff.db'}"
        app = create_app(stub.settings(url, issuer=issuer, provider_timeout_seconds=3))
        token = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.AAAA"

        def ask(number: int) -> int:
            http = app.test_client()
            if number % 2:
                return http.get("/bff/login").status_code
            return http.post("/bff/backchannel-logout", data={"logout_token": token}).status_code

        with ThreadPoolExecutor(12) as threads:
            assert set(threads.map(ask, range(12))) == {503}
        app.extensions["bff"].close()
        silent.setblocking(False)
        assert _waiting(silent) == 1


def _waiting(listener: socket.socket) -> int:
    connections = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return connections
        connections += 1
