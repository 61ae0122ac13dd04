"""The only HTTP client: no redirects, no proxies from the environment, a limit on size and on the whole time.

A time limit for each read is not enough: a peer that sends one byte a second never meets it. So the connection's
stream itself knows when the request must be over, and the headers count as well as the body.
"""

import logging
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import httpcore2

_deadline: ContextVar[float] = ContextVar("deadline")

# At debug level these loggers print request headers, and with them every token.
for _name in ("httpcore2", "httpx2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class OutboundError(Exception):
    """The peer cannot be reached, breaks the protocol, is too slow or sends too much."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response: status, headers in order with lower-case names, whole body."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Give the first header of that lower-case name, or an empty text."""
        return next((value for key, value in self.headers if key == name), "")


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 -- the deadline replaces it
        return self._inner.read(max_bytes, _remaining())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 -- the deadline replaces it
        self._inner.write(buffer, _remaining())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 -- the deadline replaces it
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _remaining()))

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


class _Backend(httpcore2.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 -- the deadline replaces it
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(super().connect_tcp(host, port, _remaining(), local_address, socket_options))


def _remaining() -> float:
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout
    return left


class Outbound:
    """A pool of connections; safe for many threads."""

    def __init__(self, ca_file: Path | None = None, max_connections: int = 100) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=ssl.create_default_context(cafile=ca_file),
            network_backend=_Backend(),
            max_connections=max_connections,
            max_keepalive_connections=20,
            keepalive_expiry=15,
        )

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        seconds: float,
        max_bytes: int,
    ) -> Answer:
        """Send one request and read the whole answer; raises OutboundError, never follows a redirect."""
        sent = [("accept-encoding", "identity"), *(headers or {}).items()]
        token = _deadline.set(time.monotonic() + seconds)
        extensions = {"timeout": {"pool": seconds, "connect": seconds, "read": seconds, "write": seconds}}
        try:
            with self._pool.stream(method, url, headers=sent, content=content, extensions=extensions) as response:
                body = bytearray()
                for chunk in response.iter_stream():
                    body += chunk
                    if len(body) > max_bytes:
                        raise OutboundError("too large")
                    _remaining()
                pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers]
                return Answer(response.status, pairs, bytes(body))
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as error:
            raise OutboundError(type(error).__name__) from None
        except (httpcore2.UnsupportedProtocol, httpcore2.ConnectionNotAvailable, ValueError) as error:
            raise OutboundError(type(error).__name__) from None
        finally:
            _deadline.reset(token)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
