"""Reading to its end what a view has left of a request, before the answer goes out (RFC 9112 9.3).

An answer that needs no body (a refused token, a wrong method) is ready before the body has come. A server then has to
read the rest or to close the connection, and granian closes it without a word: a client that sends its next request
over the same connection gets no answer to that one, and may not send it again.
"""

from collections.abc import Callable, Iterable
from threading import BoundedSemaphore
from typing import Any, Final

MOST: Final = 64 * 1024  # bytes that are read for nothing but the connection; what sends more loses it

_DIGITS: Final = 12  # of a Content-Length; more of them would be a number to spend time on
_NONE: Final = (None, "", "0")

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class WholeRequests:
    """WSGI application in front of another, which takes bodies of ``limit`` bytes, in a server of so many threads."""

    def __init__(self, application: Application, *, threads: int, limit: int = MOST) -> None:
        self._application = application
        self._limit = limit
        # Reading waits for the sender. Requests that are refused anyhow may not hold every thread.
        self._places = BoundedSemaphore(threads // 4)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as the application does; a request with a body is read to its end when the answer begins."""
        length = environ.get("CONTENT_LENGTH")
        none = length in _NONE and "HTTP_TRANSFER_ENCODING" not in environ
        # Where the end of a body is not that of its stream, who reads on waits for the next request (PEP 3333).
        if none or not environ.get("wsgi.input_terminated"):
            return self._application(environ, start_response)
        body = environ["wsgi.input"] = _Body(environ["wsgi.input"], length or "0")

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            # RFC 9112 9.6: who closes says so.
            if not (body.is_read() or self._read_on(environ, body)):
                headers = [*headers, ("Connection", "close")]
            return start_response(status, headers, *more)

        return self._application(environ, start)

    def _read_on(self, environ: Environ, body: "_Body") -> bool:
        """Read what is left; return whether that was all."""
        # RFC 9110 10.1.1: reading would invite a sender to send what was refused.
        if "HTTP_EXPECT" in environ or body.length is None or body.length > self._limit:
            return False
        if not self._places.acquire(blocking=False):
            return False
        try:
            body.read(MOST)
        except OSError:
            return False
        finally:
            self._places.release()
        return body.is_read()


class _Body:
    """The stream of a body, with a look at how far it has been read."""

    __slots__ = ("_ended", "_read", "_stream", "length")

    def __init__(self, stream: Any, length: str) -> None:
        self._stream = stream
        self._read = 0
        self._ended = False
        good = length.isascii() and length.isdigit() and len(length) <= _DIGITS
        self.length = int(length) if good else None
        """Bytes that were announced, 0 for chunks, None for what is no number."""

    def read(self, size: int | None = -1) -> bytes:
        wanted = -1 if size is None else size
        data: bytes = self._stream.read(wanted) if wanted >= 0 else self._stream.read()
        self._read += len(data)
        self._ended = len(data) < wanted or wanted < 0
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def is_read(self) -> bool:
        """Say whether everything has come; a sender who goes away before has not sent everything."""
        return self._read >= self.length if self.length else self._ended
