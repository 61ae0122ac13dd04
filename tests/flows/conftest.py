"""Two server processes over one database, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pytest_authserver import AuthServer
from tests.faults.deployment import Deployment, deployed
from tests.flows.racing import race
from tests.servers.process import free_port

# One worker each, and patience where the machine is slow: these tests are about what happens, not how fast.
ENVIRON = {
    "AUTHSERVER_WORKERS": "1",
    "AUTHSERVER_DATABASE__BUSY_MS": "20000",
    "AUTHSERVER_LIMITS__CLIENT_FAILURES": "1000000",
    "AUTHSERVER_LIMITS__USER_CODES_PER_ADDRESS": "1000000",
    "AUTHSERVER_FEATURES__CIBA": "true",
}
SETTINGS = {"database": {"busy_ms": 20_000}, "features": {"ciba": True}}
DATABASES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Nodes:
    """The administrator's view of a deployment in this process, and an HTTP client for each of its server processes."""

    world: AuthServer
    clients: tuple[httpx2.Client, ...]


@contextmanager
def deployment_on(database: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """Make a deployment on SQLite, or on a PostgreSQL database of its own."""
    settings: dict[str, Any] = dict(SETTINGS)
    if database == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgres").create()
    with deployed(folder, ENVIRON, **settings) as made:
        yield made


@pytest.fixture(scope="session", params=DATABASES)
def nodes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two server processes over one database."""
    with deployment_on(request.param, tmp_path_factory.mktemp("nodes"), request) as deployment:
        served = race([deployment.serve, lambda: deployment.serve(free_port())])
        yield Nodes(deployment.world, tuple(node.http for node in served))
