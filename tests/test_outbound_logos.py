"""Logos of clients over real connections: what the server fetches, from where, and what it tells whom it asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from authserver import outbound
from pytest_authserver import AuthServer
from tests.drawing import png
from tests.listener import KEYS, Answer, Listener, endless, says, silent, tls

PICTURE = png()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server that may fetch from this machine."""
    folder, allowed = tmp_path_factory.mktemp("logos"), ("127.0.0.1",)
    server = AuthServer(folder, outbound_allow=allowed, outbound_ca_file=KEYS / "authority.pem")
    yield server
    server.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with tls("server.pem", silent) as running:
        yield running


def here(listener: Listener) -> str:
    return f"https://127.0.0.1:{listener.port}/logo.png"


def shown(at: AuthServer, uri: str) -> bool:
    return at.server.logos.find("client", uri) is not None


def test_the_picture_is_asked_for_and_nothing_is_told_of_who_looks_at_it(at: AuthServer, listener: Listener) -> None:
    listener.answer = says(PICTURE)
    assert shown(at, here(listener))
    lines = listener.heads[0].decode().lower().splitlines()
    assert lines[0] == "get /logo.png http/1.1"
    assert "accept: image/png, image/jpeg, image/gif, image/webp" in lines
    assert {line.partition(":")[0] for line in lines[1:] if line} == {"host", "accept", "accept-encoding", "user-agent"}


@pytest.mark.parametrize(
    "answer",
    [
        says(PICTURE + bytes(64 * 1024)),
        endless(HEAD + PICTURE, bytes(4096)),
        says(PICTURE, "201 Created"),
        says(PICTURE, "200 OK", "Content-Encoding: gzip"),
        says(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "200 OK", "Content-Type: image/png"),
    ],
    ids=["too large", "endless", "not 200", "compressed", "a drawing with script"],
)
def test_what_is_no_small_picture_is_not_shown(at: AuthServer, listener: Listener, answer: Answer) -> None:
    listener.answer = answer
    assert not shown(at, here(listener))


def test_redirects_are_not_followed(at: AuthServer, listener: Listener) -> None:
    with tls("server.pem", says(PICTURE)) as target:
        listener.answer = says(b"", "302 Found", f"Location: {here(target)}")
        assert not shown(at, here(listener))
        assert (listener.connections, target.connections) == (1, 0)


def test_a_slow_answer_ends_at_the_deadline(
    at: AuthServer, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "DEADLINE", 0.3)
    listener.answer = endless(HEAD + PICTURE, b"x", 0.02)
    assert not shown(at, here(listener))


def test_nothing_inside_is_asked(tmp_path: Path, listener: Listener) -> None:
    server = AuthServer(tmp_path)
    for uri in (here(listener), f"http://127.0.0.1:{listener.port}/logo.png", "https://169.254.169.254/logo.png"):
        assert not shown(server, uri)
    assert listener.connections == 0
    server.close()
