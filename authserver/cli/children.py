"""Children in the foreground: started together, their lines marked, ended together, whoever ends first."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import IO, Final

import click

from authserver.cli.failure import Failure
from resourceserver.serving import processes

_GRACE: Final = 14.0  # seconds until a child that does not end is killed; it may wait for requests as long as it does
_PAUSE: Final = 0.25


class Children:
    """The children of this process, in its own process group, so that a terminal's Ctrl-C reaches them all."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._readers: list[threading.Thread] = []
        self._told = 0
        self._parent = os.getppid()
        for number in processes.endings():
            signal.signal(number, self._tell)

    def start(self, name: str, target: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
        """Start a command line as a child that ends with us; must be called from the main thread, which outlives it."""
        child = subprocess.Popen(  # noqa: S603 - our own command lines
            [sys.executable, "-m", "authserver.cli.child", target, str(os.getpid()), *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self._running[name] = child
        if child.stdout is not None:
            reader = threading.Thread(target=self._read, args=(name, child.stdout), daemon=True)
            reader.start()
            self._readers.append(reader)

    def until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Pass lines on until ``ready``, which is True, or until we are told to end, which is False; raises Failure."""
        ends = time.monotonic() + seconds
        while not ready():
            if self._pass_on():
                return False
            if time.monotonic() > ends:
                raise Failure(f"not all of {', '.join(self._running)} answered within {seconds:.0f} seconds")
        return True

    def watch(self) -> None:
        """Pass lines on until we are told to end, or our parent is gone; raises Failure when a child ends by itself."""
        while not self._pass_on():
            continue

    def stop(self) -> None:
        """End every child."""
        for child in self._running.values():
            if child.poll() is None:
                child.terminate()
        ends = time.monotonic() + _GRACE
        for name, child in self._running.items():
            try:
                child.wait(max(0.0, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                click.echo(f"{name} did not end when told to, and was killed", err=True)
                child.kill()
                child.wait()
        for reader in self._readers:
            reader.join(_PAUSE)
        self._print()

    def _pass_on(self) -> bool:
        """Print what the children say; return whether it is time to end; raises Failure when one has ended."""
        self._print(_PAUSE)
        if self._told or os.getppid() != self._parent:
            return True
        for name, child in self._running.items():
            status = child.poll()
            if status is not None and not self._told:
                raise Failure(f"{name} has ended ({_how(status)}), so the rest is ended, too")
        return False

    def _print(self, seconds: float = 0.0) -> None:
        """Print what has come, and what comes in the next ``seconds``."""
        ends = time.monotonic() + seconds
        try:
            while True:
                click.echo(self._lines.get(timeout=max(0.0, ends - time.monotonic())))
        except queue.Empty:
            return
        except OSError:
            # The terminal is gone: nobody reads, and that is no reason to leave anything running.
            return

    def _read(self, name: str, stream: IO[str]) -> None:
        from authserver.log import one_line

        for line in stream:
            self._lines.put(f"{name:<14} | {one_line(line.rstrip())}")

    def _tell(self, number: int, _frame: FrameType | None) -> None:
        self._told = number


def _how(status: int) -> str:
    return f"by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
