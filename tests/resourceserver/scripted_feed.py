"""A revocation feed that says what a test wants it to say, in the place of a fault of the stub issuer."""

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from tests.resourceserver.stub_issuer import StubIssuer

FEED = "/revocations"
RESET = b"id: 0.0\nevent: reset\ndata: {}\n\n"
ALIVE = b":\n\n"
PATIENCE = 20.0


def become_patient(monkeypatch: pytest.MonkeyPatch, silence: float = 60.0) -> None:
    """Have followers take a silence for a machine that is busy, and come again soon."""
    monkeypatch.setattr("resourceserver.revocations.SILENCE", silence)
    monkeypatch.setattr("resourceserver.revocations.BOUND", silence + 0.2)
    monkeypatch.setattr("resourceserver.revocations.RETRY", 30)


def event(number: int, **description: object) -> bytes:
    """A revocation, as the issuer writes it."""
    data = json.dumps({"expires_at": time.time() + 600} | description)
    return f"id: {number}.5\nevent: revocation\ndata: {data}\n\n".encode()


def until(done: Callable[[], object]) -> None:
    """Wait for something that another thread does."""
    ends = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.005)


class Connection:
    """One follower that is connected: what it asked for, and what it is told."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers
        self.pieces: queue.Queue[bytes | None] = queue.Queue()
        self.beats = True

    @property
    def last_event_id(self) -> str | None:
        """From where the follower wants to go on."""
        return self.headers.get("Last-Event-ID")

    def say(self, *pieces: bytes) -> None:
        """Send these bytes."""
        for piece in pieces:
            self.pieces.put(piece)

    def end(self) -> None:
        """End the answer, in order."""
        self.pieces.put(None)


class ScriptedFeed:
    """Greets everybody with a reset, or from where they were, and then with a heartbeat; `greeting` changes that."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.greeting: bytes | None = None
        self.head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=utf-8\r\nConnection: close\r\n\r\n"
        self.over = threading.Event()

    def __call__(self, to: BaseHTTPRequestHandler) -> None:
        """Serve one follower."""
        connection = Connection(dict(to.headers))
        usual = ALIVE if connection.last_event_id else b"retry: 20\n\n" + RESET + ALIVE
        connection.say(usual if self.greeting is None else self.greeting)
        self.connections.append(connection)
        to.close_connection = True
        to.wfile.write(self.head)
        while not self.over.is_set():
            try:
                piece = connection.pieces.get(timeout=0.1)
            except queue.Empty:
                piece = ALIVE if connection.beats else b""
            if piece is None:
                return
            to.wfile.write(piece)
            to.wfile.flush()

    @property
    def last(self) -> Connection:
        """The newest connection."""
        return self.connections[-1]

    def reconnected(self, times: int = 2) -> Connection:
        """Wait until somebody has come for the second time, and return that connection."""
        until(lambda: len(self.connections) >= times)
        return self.last


@contextmanager
def scripted_feed(issuer: StubIssuer) -> Iterator[ScriptedFeed]:
    """Give an issuer a feed."""
    feed = ScriptedFeed()
    issuer.metadata["revocation_events_endpoint"] = issuer.url + FEED
    issuer.faults[FEED] = feed
    try:
        yield feed
    finally:
        feed.over.set()
