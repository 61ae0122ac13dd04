"""Clients that trickle, break off or send too much: they are refused, and nobody else notices."""

import socket
import string
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Final

import pytest

from pytest_authserver import RegisteredClient
from tests.faults.deployment import Deployment, Node, deployed

FORM: Final = b"Content-Type: application/x-www-form-urlencoded\r\n"
POST: Final = b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + FORM
GET: Final = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
KIB: Final = 1024
# What people pay, not what tests pay.
DEFAULT_HASHES: Final = {
    "AUTHSERVER_PASSWORDS__MEMORY_KIB": "19456",
    "AUTHSERVER_PASSWORDS__TIME_COST": "2",
}


def sized(path: bytes, body: bytes) -> bytes:
    return POST % path + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(path: bytes, *pieces: bytes) -> bytes:
    return POST % path + CHUNKED + b"\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


FIELDS: Final = b"&".join(b"f%d=1" % number for number in range(10_000))
REFUSED: Final = {
    "a header of 64 KiB": GET % (b"/jwks", b"X-Long: " + b"x" * 64 * KIB + b"\r\n"),
    "headers of 32 KiB together": GET % (b"/jwks", b"".join(b"X-%d: %s\r\n" % (n, b"x" * 8000) for n in range(4))),
    "a cookie of 100 KiB": GET % (b"/login", b"Cookie: a=" + b"x" * 100 * KIB + b"\r\n"),
    "500 headers": GET % (b"/jwks", b"".join(b"X-%d: 1\r\n" % number for number in range(500))),
    "a URL of 16 KiB, endpoint": GET % (b"/jwks?" + b"x" * 16 * KIB, b""),
    "a URL of 16 KiB, page": GET % (b"/login?" + b"x" * 16 * KIB, b""),
    "a path of 16 KiB": GET % (b"/" + b"x" * 16 * KIB, b""),
    "a folded header": GET % (b"/jwks", b"X-Folded: a\r\n b\r\n"),
    "a control character in a header": GET % (b"/jwks", b"X-Control: \x1b[31m\r\n"),
    "a space before the colon": GET % (b"/jwks", b"Content-Length : 0\r\n"),
    "a length and chunks": POST % b"/token" + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "two lengths": POST % b"/token" + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\na=b&c",
    "a negative length": POST % b"/token" + b"Content-Length: -1\r\n\r\na=b",
    "a length with a sign": POST % b"/token" + b"Content-Length: +3\r\n\r\na=b",
    "a length of 5,000 digits": POST % b"/token" + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\na=b",
    "a length behind zeros": POST % b"/token" + b"Content-Length: " + b"0" * 20 + b"99999999\r\n\r\na=b",
    "an unknown transfer coding": POST % b"/token" + b"Transfer-Encoding: identity\r\n\r\na=b",
    "a chunk whose length is none": POST % b"/token" + CHUNKED + b"\r\nZZ\r\na=b\r\n0\r\n\r\n",
    "a chunk of negative length": POST % b"/token" + CHUNKED + b"\r\n-3\r\na=b\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": POST % b"/token" + CHUNKED + b"\r\n" + b"F" * 17 + b"\r\na=b\r\n0\r\n\r\n",
    "a body over the limit": sized(b"/token", b"a=" + b"b" * 64 * KIB),
    "an announced body over the limit": POST % b"/token" + b"Content-Length: 10000000\r\n\r\n",
    "a page's body over the limit": sized(b"/authorize", b"a=" + b"b" * 64 * KIB),
    "a body over the limit, without length": chunked(b"/token", *[b"a" * 16 * KIB] * 5) + b"0\r\n\r\n",
    "a page's body over the limit, without length": chunked(b"/authorize", *[b"a" * 16 * KIB] * 5) + b"0\r\n\r\n",
    "10,000 fields": sized(b"/token", FIELDS[: 63 * KIB]),
    "10,000 fields for a page": sized(b"/login", FIELDS[: 63 * KIB]),
    "something else than HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("slow"), DEFAULT_HASHES) as one:
        one.serve()
        yield one


@pytest.fixture(scope="module")
def node(deployment: Deployment) -> Node:
    return deployment.nodes[0]


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> RegisteredClient:
    return deployment.world.client(trusted=True)


def send(node: Node, data: bytes, *, break_off: bool = False) -> bytes:
    """Send this on a connection of its own; return everything that comes until the server closes it."""
    answer = b""
    with socket.create_connection(("127.0.0.1", node.port), timeout=60) as connection:
        # A server that has seen enough closes while we still send.
        with suppress(ConnectionError):
            connection.sendall(data)
            if break_off:
                connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while piece := connection.recv(64 * KIB):
                answer += piece
    return answer


def hold(node: Node, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", node.port))
    connection.sendall(data)
    return connection


def test_half_sent_requests_and_password_hashes_hold_up_no_token(node: Node, client: RegisteredClient):
    def grant(_: int) -> str:
        answer = node.http.post("/token", data={"grant_type": "client_credentials"}, auth=client.basic)
        return str(answer.json()["access_token"])

    def introspect(token: str) -> bool:
        return bool(node.http.post("/introspect", data={"token": token}, auth=client.basic).json()["active"])

    page = node.http.get("/login")
    csrf_token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]

    def log_in(name: str) -> int:
        form = {"username": name * 5, "password": "not the password", "csrf_token": csrf_token}
        return node.http.post("/login", data=form).status_code

    with ExitStack() as held, ThreadPoolExecutor(20) as people, ThreadPoolExecutor(4) as programs:
        for _ in range(100):
            held.enter_context(hold(node, (POST % b"/token")[:-20]))
        for _ in range(50):
            held.enter_context(hold(node, POST % b"/token" + b"Content-Length: 99\r\n\r\ngrant_type="))
        refused = people.map(log_in, string.ascii_lowercase[:20])
        tokens = list(programs.map(grant, range(40)))
        assert len(set(tokens)) == 40
        assert list(programs.map(introspect, tokens)) == [True] * 40
        assert list(refused) == [400] * 20


def test_what_is_malformed_or_too_large_is_refused(node: Node):
    answers = {name: send(node, request) for name, request in REFUSED.items()}
    # No answer at all is a closed connection.
    assert {name: text[:40] for name, text in answers.items() if text and not text.startswith(b"HTTP/1.1 4")} == {}
    assert {name for name, text in answers.items() if text.count(b"HTTP/1.1 ") > 1} == set()
    assert node.http.get("/jwks").status_code == 200
    assert '"status":5' not in node.group.output
    assert "Traceback" not in node.group.output


def test_a_request_that_breaks_off_takes_nothing(deployment: Deployment, node: Node, client: RegisteredClient):
    world = deployment.world
    refresh_token = world.tokens(client, world.user("bob"))["refresh_token"]
    body = f"grant_type=refresh_token&refresh_token={refresh_token}".encode()
    announced = FORM + b"Content-Length: %d\r\n\r\n" % (len(body) + 20)
    request = b"POST /token HTTP/1.1\r\nHost: localhost\r\n" + _basic(client) + announced + body
    assert send(node, request, break_off=True).startswith(b"HTTP/1.1 400")
    state = node.http.post("/introspect", data={"token": refresh_token}, auth=client.basic).json()
    assert state["active"] is True


def test_a_request_with_a_length_and_chunks_ends_its_connection(node: Node, client: RegisteredClient):
    # RFC 9112 6.1: whoever reads the length sees another second request than whoever reads the chunks.
    body = b"1d\r\ngrant_type=client_credentials\r\n0\r\n\r\n"
    head = b"POST /token HTTP/1.1\r\nHost: localhost\r\n" + _basic(client) + FORM + b"Content-Length: 4\r\n" + CHUNKED
    smuggled = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = send(node, head + b"\r\n" + body + smuggled)
    assert answer.count(b"HTTP/1.1 ") == 1


def _basic(client: RegisteredClient) -> bytes:
    credentials = b64encode(":".join(client.basic).encode())
    return b"Authorization: Basic " + credentials + b"\r\n"
