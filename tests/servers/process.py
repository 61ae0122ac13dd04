"""A server of somebody else's, run for as long as the tests need it and not a moment longer."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NOBODY = 65534
START_SECONDS = 30
STOP_SECONDS = 15

# Waits for the end of its input, which is the end of whoever holds the other end, then clears up.
_GUARDIAN = 'cat >/dev/null; kill -s INT "$1" 2>/dev/null; sleep 2; kill -s KILL "$1" 2>/dev/null; rm -rf "$2"'
_EXECUTIONER = 'cat >/dev/null; kill -s KILL "$1" 2>/dev/null'


class ServerUnavailableError(Exception):
    """The server cannot be had here: no wheel for this platform, or it does not start."""


def free_port() -> int:
    """Ask the system for a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def unprivileged() -> dict[str, Any]:
    """Arguments for subprocess that make a child of root nobody, and leave others who they are."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def open_to_all(path: Path) -> bool:
    """Say whether everybody may pass through all folders down to ``path``."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def make_folder(name: str) -> Path:
    """Make an empty folder that the unprivileged user owns and can reach, in the temporary directory."""
    places = [Path(tempfile.gettempdir()).resolve(), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - mkdtemp below
    parent = next((place for place in places if open_to_all(place)), places[0])
    folder = Path(tempfile.mkdtemp(prefix=f"authserver-{name}-", dir=parent))
    give_away(folder)
    return folder


def give_away(folder: Path) -> None:
    """Make the unprivileged user the owner of ``folder`` and of all in it, where we are root."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process when the block ends, and also when the interpreter is killed."""
    command = ["/bin/sh", "-c", _EXECUTIONER, "guardian", str(process.pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd="/", start_new_session=True) as guardian:
        try:
            yield
        finally:
            guardian.kill()
            process.kill()


class ServerProcess:
    """One program in the foreground, with a folder that goes when it goes.

    It ends with ``close``, with the interpreter, and also when the interpreter is killed: a guardian holds the other
    end of a pipe. ``stop`` and ``start`` in between play a failure; folder and port stay the same.
    """

    def __init__(self, folder: Path, command: Sequence[str], *, answers: Callable[[], bool], stdin: str = "") -> None:
        """Prepare; ``answers`` says whether the server is up and is this one."""
        self.folder = folder
        self._command = command
        self._answers = answers
        self._stdin = stdin
        self._process: subprocess.Popen[str] | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def start(self) -> None:
        """Start and wait until it answers.

        Raises:
            ServerUnavailableError: it ended at once, or did not answer in time.
        """
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
                text=True,
                **unprivileged(),
            )
        self._watch_over(self._process.pid)
        if self._process.stdin is not None:
            self._process.stdin.write(self._stdin)
            self._process.stdin.close()
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.01)
        self.stop()
        raise ServerUnavailableError(f"{Path(self._command[0]).name} did not start: {self._last_words()}")

    def stop(self) -> None:
        """Stop it at once but in order, and wait until it is gone."""
        if self._guardian is not None:
            os.killpg(self._guardian.pid, signal.SIGKILL)
            self._guardian.communicate()
            self._guardian = None
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop it and delete its folder; the second time nothing happens."""
        atexit.unregister(self.close)
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _watch_over(self, pid: int) -> None:
        self._guardian = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDIAN, "guardian", str(pid), str(self.folder)],
            stdin=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
            **unprivileged(),
        )

    def _last_words(self) -> str:
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"
