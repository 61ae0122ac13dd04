"""A port in front of several nodes that are one issuer; a test says to which of them new connections go."""

import socket
import threading
from contextlib import suppress
from typing import Self


class Passage:
    """One connection: where it went, and what has gone through it in each direction."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked = bytearray()
        self.answered = bytearray()


class Crossing:
    """Hands every connection to ``target`` (a port), and remembers what is said."""

    def __init__(self, port: int, target: int) -> None:
        self.target = target
        self.passages: list[Passage] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._ends: set[socket.socket] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        for end in [self._listener, *self._ends]:
            _hang_up(end)

    def asked(self, words: bytes) -> int:
        """How often somebody has said this to a node."""
        return sum(bytes(passage.asked).count(words) for passage in list(self.passages))

    def following(self) -> list[Passage]:
        """Return the connections over which somebody follows the revocations."""
        return [passage for passage in list(self.passages) if b"GET /revocations" in passage.asked]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(here, Passage(self.target)), daemon=True).start()

    def _pass_on(self, here: socket.socket, passage: Passage) -> None:
        self._ends.add(here)
        try:
            there = socket.create_connection(("127.0.0.1", passage.port), timeout=10)
        except OSError:
            _hang_up(here)
            return
        there.settimeout(None)
        self._ends.add(there)
        self.passages.append(passage)
        back = threading.Thread(target=_copy, args=(there, here, passage.answered), daemon=True)
        back.start()
        _copy(here, there, passage.asked)


def _copy(source: socket.socket, target: socket.socket, seen: bytearray) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            seen += data
            target.sendall(data)
    _hang_up(source)
    _hang_up(target)


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
