"""A server on loopback that answers as badly as a test wants, and remembers who asked."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Self

KEYS = Path(__file__).parent / "keys"

Answer = Callable[["Listener", socket.socket], None]


def sends(*pieces: bytes) -> Answer:
    """Answer with these pieces, whatever was asked."""

    def answer(_listener: "Listener", connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return answer


def says(body: bytes, status: str = "200 OK", *headers: str) -> Answer:
    """Answer with a well-formed response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return sends("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body)


def endless(start: bytes, piece: bytes, pause: float = 0) -> Answer:
    """Answer with a start and then the same piece until the other side has enough or the listener ends."""

    def answer(listener: "Listener", connection: socket.socket) -> None:
        connection.sendall(start)
        while not listener.ending.wait(pause):
            connection.sendall(piece)

    return answer


def silent(listener: "Listener", _connection: socket.socket) -> None:
    """Never answer."""
    listener.ending.wait()


class Listener:
    """Accepts on 127.0.0.1; each connection has a thread, and ``answer`` decides what it gets."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self.connections = 0
        self.ending = Event()
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """The URL of a document here, by address and without TLS."""
        return f"http://127.0.0.1:{self.port}/jwks"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.ending.set()
        # Closing a listening socket does not wake who waits in accept; a connection does.
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def _accept(self) -> None:
        while True:
            connection, _address = self._socket.accept()
            if self.ending.is_set():
                connection.close()
                return
            self.connections += 1
            self._threads.append(Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            with self._wrapped(plain) as connection:
                self.heads.append(_read_head(connection))
                self.answer(self, connection)
        except OSError:
            plain.close()

    def _wrapped(self, plain: socket.socket) -> socket.socket:
        if self._context is None:
            return plain
        plain.settimeout(5)
        return self._context.wrap_socket(plain, server_side=True)


@contextmanager
def tls(certificate: str, answer: Answer) -> Iterator[Listener]:
    """Run a listener with a certificate of the tests."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(KEYS / certificate)
    with Listener(answer, context) as listener:
        yield listener


def _read_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            break
        head += piece
    return head
