"""The only way out: one HTTP request with a total deadline, a size limit, no redirects and no proxies.

Built on the connection pool under httpx2, because a limit of seconds per read lets a server that sends one byte at a
time hold a thread for hours: here every single read, write and connect is cut to what is left of the deadline.
"""

import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import httpcore2

from resourceserver.per_process import PerProcess

_FAILURES = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ConnectionNotAvailable,
    httpcore2.UnsupportedProtocol,
    OSError,
    ValueError,
)
_LOST = (httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError)
_AGE_DIGITS = 9
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])", re.IGNORECASE)


class FetchError(Exception):
    """No usable answer came in time. The text is a fixed phrase for the log."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: status, media type in lower case without parameters, body, max-age in seconds if stated, ETag.

    `age` is for how many seconds it lay in a cache on the way, as far as that says so (RFC 9111 5.1).
    """

    status: int
    media_type: str
    body: bytes
    max_age: int | None
    etag: str = ""
    age: int = 0


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on: status, media type as in `Reply`, and its body piece by piece, as it arrives.

    It was asked for after the moment `sent` (monotonic).
    """

    status: int
    media_type: str
    sent: float
    pieces: Iterator[bytes]


def check_url(url: str, *, loopback_http: bool = True) -> str:
    """Return `url` when it may be fetched: https, or http on this machine only.

    `loopback_http` says whether http is tolerated on loopback. Raises ValueError otherwise.
    """
    parts = urlsplit(url)
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("a URL is printable ASCII without spaces")
    if parts.username is not None or parts.password is not None or parts.fragment or not parts.hostname:
        raise ValueError("a URL to fetch has a host, no user information and no fragment")
    if parts.port == 0:
        raise ValueError("a URL to fetch has no port 0")
    if parts.scheme == "https" or (loopback_http and parts.scheme == "http" and is_loopback(parts.hostname)):
        return url
    raise ValueError("a URL to fetch is https, or http on loopback")


def is_loopback(host: str) -> bool:
    """Say whether `host` (a name or an address without brackets) is this machine, without resolving it."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Fetcher:
    """Sends requests within `seconds` in total and takes answers of at most `max_bytes`. Safe for many threads."""

    def __init__(self, *, seconds: float = 5.0, max_bytes: int = 65_536, ca_file: Path | None = None) -> None:
        self.seconds = seconds
        self._max_bytes = max_bytes
        self._ca_file = ca_file
        self._deadline = _Deadline()
        self._pools = PerProcess(_Held)

    def get(self, url: str, headers: Iterable[tuple[str, str]] = (), *, accept: str = "application/json") -> Reply:
        """Send GET, for an answer of the media type `accept`. Raises FetchError."""
        return self._send("GET", url, [("Accept", accept), *headers], None)

    def post(
        self, url: str, headers: Iterable[tuple[str, str]], form: bytes, *, accept: str = "application/json"
    ) -> Reply:
        """Send POST with an encoded form, for an answer of the media type `accept`. Raises FetchError."""
        sent = [("Accept", accept), ("Content-Type", "application/x-www-form-urlencoded"), *headers]
        return self._send("POST", url, sent, form)

    @contextmanager
    def stream(self, url: str, headers: Iterable[tuple[str, str]], *, accept: str, silence: float) -> Iterator[Stream]:
        """Send GET for an answer of any length, which may be silent for `silence` seconds before its next piece.

        Raises FetchError, inside of the block too.
        """
        self._deadline.start(self.seconds)
        self._deadline.wrote = float("inf")
        sent = [("Accept-Encoding", "identity"), ("Accept", accept), ("Cache-Control", "no-store"), *headers]
        extensions = {"timeout": {"pool": self._deadline.left()}}
        with _as_fetch_error(), self._opened_pool().stream("GET", url, headers=sent, extensions=extensions) as response:
            fields = _fields(response)
            yield Stream(response.status, _media_type(fields), self._deadline.wrote, self._pieces(response, silence))

    def close(self) -> None:
        """Close the idle connections."""
        held = self._pools.get()
        with held.lock:
            if held.pool is not None:
                held.pool.close()
                held.pool = None

    def _send(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes | None) -> Reply:
        self._deadline.start(self.seconds)
        sent = [("Accept-Encoding", "identity"), *headers]
        with _as_fetch_error():
            try:
                return self._exchange(method, url, sent, body)
            except _LOST:
                # A kept connection may die in the moment of its reuse. All that is sent from here is safe to repeat.
                return self._exchange(method, url, sent, body)

    def _exchange(self, method: str, url: str, headers: list[tuple[str, str]], body: bytes | None) -> Reply:
        extensions = {"timeout": {"pool": self._deadline.left()}}
        with self._opened_pool().stream(method, url, headers=headers, content=body, extensions=extensions) as response:
            return self._read(response)

    def _read(self, response: httpcore2.Response) -> Reply:
        fields = _fields(response)
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > self._max_bytes:
                raise FetchError("answer too large")
        found = _MAX_AGE.search(fields.get(b"cache-control", b"").decode("latin-1"))
        max_age = int(found.group(1)) if found else None
        etag = fields.get(b"etag", b"").decode("latin-1")
        written = fields.get(b"age", b"")
        age = int(written) if written.isdigit() and len(written) <= _AGE_DIGITS else 0
        return Reply(response.status, _media_type(fields), bytes(body), max_age, etag, age)

    def _pieces(self, response: httpcore2.Response, silence: float) -> Iterator[bytes]:
        pieces = iter(response.iter_stream())
        while True:
            self._deadline.start(silence)
            piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def _opened_pool(self) -> httpcore2.ConnectionPool:
        # Opened at the first use: a certificate store is slow to read, and a forked worker must not share connections.
        held = self._pools.get()
        with held.lock:
            if held.pool is None:
                held.pool = httpcore2.ConnectionPool(
                    ssl_context=ssl.create_default_context(cafile=self._ca_file) if self._ca_file else None,
                    max_connections=20,
                    keepalive_expiry=5.0,
                    network_backend=_BoundedBackend(self._deadline),
                )
                # A fetcher that nobody holds any more leaves no open connection behind.
                weakref.finalize(self, held.pool.close).atexit = False
            return held.pool


class _Held:
    """The connections of one process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pool: httpcore2.ConnectionPool | None = None


@contextmanager
def _as_fetch_error() -> Iterator[None]:
    try:
        yield
    except httpcore2.TimeoutException as failure:
        raise FetchError("no answer in time") from failure
    except _FAILURES as failure:
        raise FetchError("no answer") from failure


def _fields(response: httpcore2.Response) -> dict[bytes, bytes]:
    fields = {name.lower(): value for name, value in response.headers}
    if fields.get(b"content-encoding", b"identity").lower() != b"identity":
        raise FetchError("compressed answer")
    return fields


def _media_type(fields: dict[bytes, bytes]) -> str:
    return fields.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


class _Deadline(threading.local):
    """When the request of the current thread must be over, and when its first byte was written."""

    at = wrote = 0.0

    def start(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds

    def left(self) -> float:
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("deadline passed")
        return left


class _BoundedStream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream, deadline: _Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        return self._inner.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._deadline.wrote = min(self._deadline.wrote, time.monotonic())
        self._inner.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        del timeout
        return _BoundedStream(
            self._inner.start_tls(ssl_context, server_hostname, self._deadline.left()), self._deadline
        )

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


class _BoundedBackend(httpcore2.SyncBackend):
    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        del timeout
        # A name with several addresses gets the time left for each of them, so the budget is shared out beforehand.
        share = self._deadline.left() / max(1, len(_addresses(host, port)))
        stream = super().connect_tcp(host, port, share, local_address, socket_options)
        return _BoundedStream(stream, self._deadline)


def _addresses(host: str, port: int) -> list[object]:
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as failure:
        raise httpcore2.ConnectError("name not found") from failure
