"""The examples of the documentation, as its readers would run them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.listener import KEYS
from tests.servers.process import ended

DOCS = KEYS.parent.parent / "docs"
_PATIENCE = 60  # seconds


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language on a page."""
    text = (DOCS / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def run_python(source: str, **environment: str) -> str:
    """Run an example in a process of its own; return what it printed."""
    return _run([sys.executable, "-c", source], environment)


def run_shell(source: str, **environment: str) -> str:
    """Run the commands of an example; return what they printed."""
    return _run(["sh", "-euc", source], environment)


@contextmanager
def running_python(source: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run an example that waits for somebody, with its output in a pipe; end it with the block."""
    known = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8", **environment}
    command = [sys.executable, "-c", source]
    with (
        subprocess.Popen(command, env=known, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process,
        ended(process),
    ):
        yield process


def _run(command: list[str], environment: dict[str, str]) -> str:
    known = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error", **environment}
    done = subprocess.run(command, env=known, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
