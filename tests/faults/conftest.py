"""Deployments that last for a test, and servers of others that a test may stop."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.deployment import Deployment, deployed
from tests.servers.fixtures import or_give_up
from tests.servers.postgres import Postgres, postgres_server
from tests.servers.valkey import Valkey, valkey_server

Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """A function that makes a deployment in the test's folder."""
    with ExitStack() as stack:

        def one(environ: dict[str, str] | None = None, **settings: Any) -> Deployment:
            return stack.enter_context(deployed(tmp_path, environ, **settings))

        yield one


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that nobody else uses."""
    with or_give_up() as stack:
        yield stack.enter_context(postgres_server())


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A Valkey server that nobody else uses."""
    with or_give_up() as stack:
        yield stack.enter_context(valkey_server())
