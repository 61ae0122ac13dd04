"""A deployment that is really served: an administrator in this process, and one or more processes that serve it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from pytest_authserver import AuthServer
from pytest_authserver.server import CHEAP
from tests.run.conftest import SECRET_KEY, Group, until
from tests.servers.process import free_port

_CHEAP = {f"AUTHSERVER_PASSWORDS__{name.upper()}": str(value) for name, value in CHEAP.items()}


class Node:
    """One ``authserver serve`` and an HTTP client that speaks to it."""

    def __init__(self, folder: Path, port: int, environ: Mapping[str, str]) -> None:
        self.port = port
        command = [sys.executable, "-m", "authserver", "serve", "--development", "--port", str(port)]
        self.group = Group(command, folder, environ)
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)

    def wait(self) -> None:
        """Wait until it answers."""
        self.group.says("listening on")

    def becomes_ready(self) -> None:
        """Wait until it says that it can serve."""
        until(lambda: self.http.get("/health/ready").status_code == 200, lambda: self.group.output)

    def close(self) -> None:
        """End it."""
        self.http.close()
        self.group.close()


class Deployment:
    """A database, the world in it, and the processes that serve it. ``settings`` are those of ``AuthServer``."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None, **settings: Any) -> None:
        self.folder = folder
        self.port = free_port()
        self.world = AuthServer(folder, issuer=f"http://localhost:{self.port}", secret_key=SECRET_KEY, **settings)
        self.environ = {
            "AUTHSERVER_ISSUER": self.world.issuer,
            "AUTHSERVER_DATABASE_URL": self.world.settings.database_url,
            "AUTHSERVER_SECRET_KEY": SECRET_KEY,
            **_CHEAP,
            **(environ or {}),
        }
        self.nodes: list[Node] = []

    def serve(self, port: int | None = None, **environ: str) -> Node:
        """Start a process and wait until it serves."""
        node = Node(self.folder, port or self.port, {**self.environ, **environ})
        self.nodes.append(node)
        node.wait()
        return node

    def close(self) -> None:
        """End all processes."""
        for node in self.nodes:
            node.close()
        self.world.close()


@contextmanager
def deployed(folder: Path, environ: Mapping[str, str] | None = None, **settings: Any) -> Iterator[Deployment]:
    """Make a deployment, and end it."""
    deployment = Deployment(folder, environ, **settings)
    try:
        yield deployment
    finally:
        deployment.close()
