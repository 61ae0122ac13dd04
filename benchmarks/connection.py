"""HTTP/1.1 as far as the driver needs it: one kept connection, one request at a time, answers with a length."""

import socket
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote_plus, urlencode

import orjson

_MAX_ANSWER: Final = 1024 * 1024
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


class WrongAnswer(Exception):
    """The server did not answer what it has to; a measurement that goes on would be worth nothing."""


class Reply(NamedTuple):
    """One answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def expect(self, status: int) -> "Reply":
        """Raise WrongAnswer unless the status is this one."""
        if self.status != status:
            raise WrongAnswer(f"status {self.status} in place of {status}: {self.body[:200]!r}")
        return self

    def json(self) -> dict[str, Any]:
        """Return the body of a good answer; raises WrongAnswer."""
        self.expect(200)
        try:
            value: dict[str, Any] = orjson.loads(self.body)
        except ValueError:
            raise WrongAnswer(f"not JSON: {self.body[:200]!r}") from None
        return value


class Connection:
    """A non-blocking connection that is kept."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._data = b""

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def send(self, request: bytes) -> None:
        """Send a request; they are far smaller than a socket's buffer."""
        if self.socket.send(request) != len(request):
            raise WrongAnswer("the server does not take a small request at once")

    def receive(self) -> Reply | None:
        """Return the answer when it is complete, else None; raises WrongAnswer."""
        part = self.socket.recv(65_536)
        if not part:
            raise WrongAnswer("the server closed a kept connection")
        self._data += part
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "-1"))
        if not 0 <= length <= _MAX_ANSWER or len(rest) > length:
            raise WrongAnswer(f"an answer without its length: {first}")
        if len(rest) < length:
            return None
        self._data = b""
        return Reply(int(first.split(" ", 2)[1]), headers, rest)


def get(host: str, path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Write a GET request."""
    return _request("GET", host, path, headers or {}, b"")


def post(host: str, path: str, client: Mapping[str, str], parameters: Mapping[str, str]) -> bytes:
    """Write a form that a client posts, authenticated by HTTP Basic (RFC 6749 2.3.1)."""
    pair = f"{quote_plus(client['client_id'])}:{quote_plus(client['client_secret'])}"
    authorization = {"Authorization": "Basic " + b64encode(pair.encode()).decode()}
    return _request("POST", host, path, authorization | _FORM, urlencode(parameters).encode())


def _request(method: str, host: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    more = {"Host": host, "User-Agent": "benchmark", "Accept": "*/*", **headers}
    if body:
        more["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in more.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
