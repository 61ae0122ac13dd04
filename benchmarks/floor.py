"""The yardstick: a bare WSGI application that answers one prepared document, on the same web server, one thread.

What it costs in a run says how quiet the machine was: 36 quiet microseconds where the targets were found.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import IO, Any, Final

import httpx2
import orjson

from benchmarks import cpu
from benchmarks.connection import WrongAnswer
from benchmarks.script import Target
from tests.servers.process import free_port

QUIET_US: Final = 36.0
_START_SECONDS: Final = 30
_BODY: Final = orjson.dumps({"issuer": os.environ.get("FLOOR_ISSUER", ""), "x": "y" * 2000})
_HEADERS: Final = [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))]


def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer the same bytes to everything."""
    start_response("200 OK", _HEADERS)
    return [_BODY]


class Floor:
    """The yardstick as a server that is measured; it answers ``discovery`` only."""

    key = "bare WSGI"

    def __init__(self, log: IO[bytes]) -> None:
        """Start it and wait for its first answer."""
        self._port = free_port()
        self._issuer = f"http://127.0.0.1:{self._port}"
        listening = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self._port)]
        size = ["--workers", "1", "--blocking-threads", "1", "--no-ws", "--log-level", "error"]
        environment = {"PATH": os.environ["PATH"], "FLOOR_ISSUER": self._issuer}
        program = [sys.executable, "-m", "granian", *listening, *size, f"{__name__}:application"]
        self._process = subprocess.Popen(program, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > until or self._process.poll() is not None:
                self.stop()
                raise WrongAnswer(f"the yardstick does not start; see {log.name}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return httpx2.get(self._issuer).status_code == 200
        except httpx2.TransportError:
            return False

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)

    def processes(self) -> list[int]:
        """Return its processes."""
        return cpu.family(self._process.pid)

    def target(self) -> Target:
        """Return what the driver needs."""
        return Target("127.0.0.1", self._port, self._issuer, "", "", {})
