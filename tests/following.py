"""Reading the stream of revocations as it comes, one mark after the other."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API

PATH = "/revocations"
BEGINNING = "0.0"
_PATIENCE = 300  # marks, of which there are five a second


class Told(NamedTuple):
    """One event: its id, its name, and its data."""

    id: str
    name: str
    data: dict[str, Any]

    @property
    def description(self) -> dict[str, Any]:
        """What the event says of the dead tokens, without the time until when it counts."""
        return {name: value for name, value in self.data.items() if name != "expires_at"}


RESET = Told(BEGINNING, "reset", {})


class Following:
    """An answer that is being read."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self._blocks = _blocks(answer.iter_text())

    def read(self) -> list[Told] | None:
        """Return what comes until the server says that this is all; None when the answer is over before."""
        told = []
        for block in self._blocks:
            if block.startswith(":"):
                return told
            if block == "retry: 250":
                continue
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            assert fields.keys() == {"id", "event", "data"}
            told.append(Told(fields["id"], fields["event"], json.loads(fields["data"])))
        return None

    def next(self) -> list[Told]:
        """Return what comes next, though the server says many a time before that there is nothing."""
        for _ in range(_PATIENCE):
            told = self.read()
            assert told is not None, "the stream is over"
            if told:
                return told
        raise AssertionError("nothing came")

    def end(self) -> None:
        """Read until the answer is over; nothing more may be told."""
        for _ in range(_PATIENCE):
            told = self.read()
            if told is None:
                return
            assert told == []
        raise AssertionError("the stream goes on")


def _blocks(pieces: Iterator[str]) -> Iterator[str]:
    text = ""
    for piece in pieces:
        text += piece
        while "\n\n" in text:
            block, _, text = text.partition("\n\n")
            yield block
    assert text == "", "the stream ends in the middle of an event"


@contextmanager
def streaming(http: httpx2.Client, at: str, last: str | None = None, **query: str) -> Iterator[Following]:
    """Follow a server with this client, behind an event where one is named."""
    headers = {} if last is None else {"Last-Event-ID": last}
    with http.stream("GET", f"{at}{PATH}", params=query, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        yield Following(answer)


@contextmanager
def following(server: AuthServer, client: RegisteredClient, last: str | None = None) -> Iterator[Following]:
    """Follow a server in this process without a socket."""
    with server.http(auth=client.basic) as http, streaming(http, server.issuer, last) as stream:
        yield stream


# A world to follow.


def resource_server(at: AuthServer, **members: object) -> RegisteredClient:
    """A client that may follow."""
    return at.client(resource_server_for=[API], grant_types=["client_credentials"], redirect_uris=None, **members)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[AuthServer]:
    """A server of the test's own, with nothing revoked and places for two followers."""
    server = AuthServer(tmp_path, threads=8)
    server.resource(API, "api:read", "api:write")
    yield server
    server.close()


@pytest.fixture
def follower(at: AuthServer) -> RegisteredClient:
    return resource_server(at)


@pytest.fixture
def caller(at: AuthServer) -> RegisteredClient:
    """A client with tokens."""
    return at.client(trusted=True)


def own_token(at: AuthServer, client: RegisteredClient) -> str:
    return str(at.token(client, grant_type="client_credentials", scope="api:read").json()["access_token"])


def revoke(at: AuthServer, client: RegisteredClient, token: str) -> None:
    assert at.post("/revoke", client, token=token).status_code == 200


def revoke_some(at: AuthServer, client: RegisteredClient, count: int = 1) -> None:
    for _ in range(count):
        revoke(at, client, own_token(at, client))


def poll(at: AuthServer, client: RegisteredClient, last: str | None = None) -> list[Told] | None:
    with following(at, client, last) as stream:
        return stream.read()
