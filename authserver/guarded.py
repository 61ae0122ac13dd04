"""A connection out of this machine that goes only to addresses that were checked, within a budget of time and bytes.

A name is resolved once, every address that it has is checked, and the connection goes to a checked address: a second
look-up, which could answer otherwise, does not exist.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import httpcore2

_look_ups: Final = BoundedSemaphore(32)


class OutboundError(Exception):
    """Something was not fetched; the message is a fixed phrase that says why."""


class WrongAnswer(OutboundError):
    """The other side did answer, with something else than what was asked for."""


class Budget:
    """Time and bytes of one fetch: limits for each read would never end a peer that sends one byte a second."""

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._end = time.monotonic() + seconds
        self._bytes = 2 * max_bytes + 64 * 1024  # with the headers, and with the framing of chunks

    def seconds(self) -> float:
        """Return the seconds that are left; raises OutboundError when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise OutboundError("the answer took too long")
        return left

    def spend(self, size: int) -> None:
        """Count bytes off the wire; raises OutboundError when there were too many."""
        self._bytes -= size
        if self._bytes < 0:
            raise OutboundError("the answer is too large")


# These two have the shape of httpcore2's NetworkStream and NetworkBackend without being subclasses: a subclass would
# import the library when the server starts.


class _Stream:
    """A connection under a budget, in place of the timeouts that the library hands down."""

    def __init__(self, inner: "httpcore2.NetworkStream", budget: Budget) -> None:
        self._inner = inner
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        data = self._inner.read(max_bytes, self._budget.seconds())
        self._budget.spend(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._inner.write(buffer, self._budget.seconds())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        del timeout
        # The library hands over the host as in the URL; a certificate names an IPv6 address without brackets.
        name = server_hostname.strip("[]") if server_hostname else None
        return _Stream(self._inner.start_tls(ssl_context, name, self._budget.seconds()), self._budget)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Guarded:
    """Resolves once, checks every address, connects to what it has checked."""

    def __init__(self, allowed: Callable[[str], bool], budget: Budget) -> None:
        self._allowed = allowed
        self._budget = budget

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> _Stream:
        import httpcore2  # noqa: PLC0415 - see fetch

        del timeout, local_address, socket_options
        addresses = _resolve(host.strip("[]"), port, self._budget.seconds())
        # One bad address refuses the name: which one is used would be the other side's choice (DNS rebinding).
        if not addresses or not all(self._allowed(address) for address in addresses):
            raise OutboundError("the address is not allowed, or there is none")
        backend = httpcore2.SyncBackend()
        for place, address in enumerate(addresses, 1):
            share = self._budget.seconds() / (len(addresses) - place + 1)
            try:
                return _Stream(backend.connect_tcp(address, port, share), self._budget)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        raise OutboundError("no connection")


def _resolve(host: str, port: int, seconds: float) -> list[str]:
    """Return the addresses of a host, without repeats; raises OutboundError when that takes too long.

    The system's resolver knows no time limit, so it runs in a thread that may be left behind; there are few of them.
    """
    if not _look_ups.acquire(blocking=False):
        raise OutboundError("too many names are being resolved")
    answer: SimpleQueue[list[str]] = SimpleQueue()
    try:
        Thread(target=_look_up, args=(host, port, answer), name="resolver", daemon=True).start()
    except RuntimeError:
        _look_ups.release()
        raise OutboundError("no thread for the resolver") from None
    try:
        return answer.get(timeout=seconds)
    except Empty:
        raise OutboundError("the name was not resolved in time") from None


def _look_up(host: str, port: int, answer: SimpleQueue[list[str]]) -> None:
    found: list[str] = []
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, ValueError):
        pass
    finally:
        _look_ups.release()
        answer.put(list(dict.fromkeys(found)))
