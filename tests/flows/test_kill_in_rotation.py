"""A server that is killed while it rotates refresh tokens: no chain is lost, none is doubled (DECISIONS, Faults)."""

import os
import signal
import threading
import time
from pathlib import Path
from random import Random

import httpx2
import pytest
from sqlalchemy import func, select, text

from authserver.store.tables import refresh_tokens
from pytest_authserver import RegisteredClient
from tests.faults.deployment import Deployment
from tests.flows.conftest import DATABASES, deployment_on

pytestmark = pytest.mark.slow

KILLS = 3
CHAINS = 8


class Chain:
    """A client that refreshes without a pause and knows only what it was answered."""

    def __init__(self, deployment: Deployment, number: int) -> None:
        world = deployment.world
        self.client: RegisteredClient = world.client()
        tokens = world.tokens(self.client, world.user(f"chain-{number}"))
        self.held: str = tokens["refresh_token"]
        self.access: str = tokens["access_token"]
        self.answers = 0

    def refresh(self, http: httpx2.Client) -> int:
        """Refresh once; return the status."""
        sent = {"grant_type": "refresh_token", "refresh_token": self.held}
        answer = http.post("/token", data=sent, auth=self.client.basic)
        if answer.status_code == 200:
            self.held, self.access = answer.json()["refresh_token"], answer.json()["access_token"]
            self.answers += 1
        return answer.status_code

    def run(self, http: httpx2.Client, problems: list[str]) -> None:
        """Refresh until the server is gone."""
        try:
            while (status := self.refresh(http)) == 200:
                pass
            problems.append(f"answered {status}")
        except httpx2.TransportError:
            return


def _kill(deployment: Deployment) -> None:
    """Kill all processes of the newest node at once, as a machine that stops would."""
    group = deployment.nodes[-1].group
    os.killpg(group.pid, signal.SIGKILL)
    group.is_gone()


@pytest.mark.parametrize("database", DATABASES)
def test_every_client_goes_on_with_the_last_token_that_it_was_given(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    moments = Random(20260101)
    with deployment_on(database, tmp_path, request) as deployment:
        chains = [Chain(deployment, number) for number in range(CHAINS)]
        for _ in range(KILLS):
            http, problems = deployment.serve().http, list[str]()
            threads = [threading.Thread(target=chain.run, args=(http, problems)) for chain in chains]
            before = sum(chain.answers for chain in chains)
            for thread in threads:
                thread.start()
            while sum(chain.answers for chain in chains) < before + 5 * CHAINS and not problems:
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.05))
            _kill(deployment)
            for thread in threads:
                thread.join(60)
            assert problems == []
        http = deployment.serve().http
        for chain in chains:
            told = http.post("/introspect", data={"token": chain.access}, auth=chain.client.basic).json()
            assert told["active"], "what was answered was kept"
            assert [chain.refresh(http) for _ in range(3)] == [200] * 3
        _check_database(deployment)


def _check_database(deployment: Deployment) -> None:
    unused = select(func.count()).where(refresh_tokens.c.rotated_at.is_(None)).group_by(refresh_tokens.c.grant_id)
    with deployment.world.store.database.engine.connect() as connection:
        assert list(connection.execute(unused).scalars()) == [1] * CHAINS, "one live token per grant"
        if connection.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    assert deployment.world.store.audit.list(0, 100_000, "refresh.reused") == ()
