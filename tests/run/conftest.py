"""Real processes: each in a process group of its own, of which nothing may be left when the test is over."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import psutil
import pytest

SECRET_KEY = "0123456789abcdef0123456789abcdef"
PATIENCE = 240.0
ROOT = Path(__file__).parents[2]
_PREFIXES = ("AUTHSERVER_", "RESOURCESERVER_", "BFF_")


class Group:
    """A command and everything that it starts."""

    def __init__(self, command: list[str], folder: Path, environ: Mapping[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES)}
        path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**kept, "PYTHONPATH": path, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        self.pid = self.process.pid
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """What the processes have said so far."""
        return "".join(self._lines)

    def members(self) -> list[psutil.Process]:
        """The processes of the group that run."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getpgid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    def wait(self) -> int:
        """Wait for the command to end, and its output; return its status."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def says(self, text: str) -> None:
        """Wait until this is part of the output."""
        until(lambda: text in self.output or self.process.poll() is not None)
        assert text in self.output, self.output

    def is_gone(self) -> None:
        """Wait until nothing of the group is left."""
        until(lambda: not self.members(), lambda: f"left over: {[one.cmdline() for one in self.members()]}")

    def close(self) -> None:
        """End what is left."""
        for process in self.members():
            process.kill()
        self.process.wait(PATIENCE)
        if self.process.stdout is not None:
            self._reader.join(PATIENCE)
            self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)


def until(done: Callable[[], bool], problem: Callable[[], str] = lambda: "it did not happen") -> None:
    """Wait for something that other processes do."""
    ends = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < ends, problem()
        time.sleep(0.05)


def fetch(url: str) -> tuple[int, str]:
    """Ask until there is an answer."""
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            with urlopen(Request(url), timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (URLError, ConnectionError):
            assert time.monotonic() < ends, f"{url} does not answer"
            time.sleep(0.1)


Start = Callable[..., Group]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts ``python -m authserver`` with these arguments and settings, in the test's folder."""
    groups: list[Group] = []

    def one(*arguments: str, command: list[str] | None = None, **environ: str) -> Group:
        groups.append(Group([*(command or [sys.executable, "-m", "authserver"]), *arguments], tmp_path, environ))
        return groups[-1]

    yield one
    for group in groups:
        group.close()


def kill(pid: int, number: signal.Signals) -> None:
    """Send a signal to one process."""
    os.kill(pid, number)
