"""The three servers as ``authserver demo`` starts them, on free ports and in a folder of the test's own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from authserver.identity.passwords import Passwords
from authserver.manage import users
from authserver.settings import Settings, load_settings
from authserver.store import Store, open_store
from tests.servers.process import free_port

PASSWORD = "correct horse battery staple"
_PATIENCE = 120.0  # seconds; the machine may be busy with other tests
_PORTS = ("AUTHSERVER_PORT", "RESOURCESERVER_PORT", "BFF_PORT")
# Waits for the end of its input, which is the end of whoever holds the other end.
_GUARDIAN = 'cat >/dev/null; kill -s TERM "$1" 2>/dev/null'


@dataclass(frozen=True)
class Person:
    """Somebody with an account and without a past."""

    username: str
    name: str
    password: str = PASSWORD


@dataclass
class Demonstration:
    """Where everything is; ``person`` makes an account."""

    folder: Path
    ports: Mapping[str, int]
    people: int = 0
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "log"

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.ports['AUTHSERVER_PORT']}"

    @property
    def web(self) -> str:
        return f"http://localhost:{self.ports['BFF_PORT']}"

    @cached_property
    def settings(self) -> Settings:
        return load_settings(
            issuer=self.issuer,
            development=True,
            database_url=f"sqlite:///{self.folder}/var/demo/authserver.db",
            secret_key=(self.folder / "var/demo/secret-key").read_text().strip(),
        )

    @cached_property
    def store(self) -> Store:
        """The authorization server's database, for accounts; everything else goes through the pages."""
        return open_store(self.settings)

    def person(self) -> Person:
        """Add an account of its own, so that no test sees what another one allowed."""
        self.people += 1
        person = Person(f"rosa{self.people}", f"Rosa Ottenwalder {self.people}")
        user = users.make_user(person.username, email=f"{person.username}@example.test", claims={"name": person.name})
        users.add(self.store, user, Passwords(self.settings.passwords).hash(person.password), actor="test")
        return person

    def close(self) -> None:
        if "store" in self.__dict__:
            self.store.close()


@contextmanager
def running_demonstration(folder: Path) -> Iterator[Demonstration]:
    """Run the command until the block ends; it ends with the interpreter too, however that goes."""
    demo = Demonstration(folder, {name: free_port() for name in _PORTS})
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC"}
    environment |= {name: str(port) for name, port in demo.ports.items()}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    with demo.log.open("w") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("authserver"), "demo"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    guardian = subprocess.Popen(
        ["/bin/sh", "-c", _GUARDIAN, "guardian", str(process.pid)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        _wait(demo, process)
        yield demo
    finally:
        demo.close()
        process.terminate()
        process.wait(30)
        guardian.communicate()


def _wait(demo: Demonstration, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while "begin here" not in demo.log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"authserver demo did not start:\n{demo.log.read_text()[-3000:]}")
        time.sleep(0.1)
