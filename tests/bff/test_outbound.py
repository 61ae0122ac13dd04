"""The HTTP client: limits of size and time that a hostile peer cannot stretch."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bff.outbound import Outbound, OutboundError


@contextmanager
def peer(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request and then says whatever the test wants."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                talk(connection)
            except OSError:
                return
            done.wait(5)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        done.set()
        thread.join(10)
        listener.close()


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    made = Outbound()
    yield made
    made.close()


def drip(prefix: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.sendall(prefix)
        for _ in range(100):
            connection.sendall(drop)
            time.sleep(0.05)

    return talk


@pytest.mark.parametrize(
    "talk",
    [
        drip(b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"a"),
        drip(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda connection: None,
    ],
    ids=["header bytes", "headers", "body", "interim answers", "silence"],
)
def test_the_whole_time_counts_whatever_drips(outbound: Outbound, talk: Callable[[socket.socket], None]):
    with peer(talk) as url, pytest.raises(OutboundError):
        outbound.send("GET", url, seconds=0.4, max_bytes=10_000)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


@pytest.mark.parametrize(
    "talk",
    [
        endless,
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 500_000 + b"\r\n\r\n"),
        lambda connection: connection.sendall(b"not http at all\r\n\r\n"),
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
        lambda connection: connection.close(),
    ],
    ids=["endless body", "huge header", "no http", "two lengths", "hang up"],
)
def test_a_peer_that_misbehaves_is_an_error(outbound: Outbound, talk: Callable[[socket.socket], None]):
    with peer(talk) as url, pytest.raises(OutboundError):
        outbound.send("GET", url, seconds=3, max_bytes=10_000)


def test_a_redirect_is_an_answer_like_any_other(outbound: Outbound):
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")

    with peer(talk) as url:
        answer = outbound.send("GET", url, seconds=3, max_bytes=10)
    assert (answer.status, answer.header("location"), answer.header("missing")) == (302, "http://127.0.0.1:9/", "")


def test_proxies_of_the_environment_are_not_used(outbound: Outbound, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with peer(talk) as url:
        assert outbound.send("GET", url, seconds=3, max_bytes=10).body == b"ok"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://", "nonsense", "http://127.0.0.1:9/"])
def test_what_cannot_be_reached_is_an_error(outbound: Outbound, url: str):
    with pytest.raises(OutboundError):
        outbound.send("GET", url, seconds=1, max_bytes=10)


def test_request_headers_are_never_logged(outbound: Outbound, caplog: pytest.LogCaptureFixture):
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with caplog.at_level(logging.DEBUG), peer(talk) as url:
        outbound.send("GET", url, headers={"authorization": "Bearer at_secret"}, seconds=3, max_bytes=10)
    assert "at_secret" not in caplog.text
