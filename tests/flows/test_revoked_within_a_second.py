"""A revoked token is refused within a second by resource servers that have kept it, whichever node took it back.

Two processes of the authorization server over one PostgreSQL database, and two of the resource server, each of which
follows another node. Nobody asks about a token that is kept: that is what the feed is for.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from pytest_authserver import RegisteredClient
from resourceserver import StatusLists, Verifier
from resourceserver.errors import InvalidTokenError
from tests.faults.deployment import Deployment
from tests.flows.conftest import deployment_on
from tests.flows.crossing import Crossing
from tests.run.conftest import Group, until
from tests.servers.process import free_port

BOUND = 1.0
ASKS = b"POST /introspect"


class Kept(NamedTuple):
    """A token, and the path for which it is good."""

    path: str
    token: str


class Api:
    """One process of the resource server: notes for opaque tokens, an almanac for JWTs."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        port = free_port()
        command = [sys.executable, "-c", "from resourceserver.cli import main; main()", "serve", "--host", "127.0.0.1"]
        database = {"RESOURCESERVER_DATABASE_URL": f"sqlite:///{folder / f'{port}.db'}"}
        self.group = Group([*command, "--port", str(port)], folder, environ | database)
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)

    def wait(self) -> None:
        """Wait until it answers."""
        until(self._answers, lambda: self.group.output)

    def get(self, kept: Kept) -> int:
        """Return the status of the answer to a request with this token."""
        return self.http.get(kept.path, headers={"Authorization": f"Bearer {kept.token}"}).status_code

    def close(self) -> None:
        """End it."""
        self.http.close()
        self.group.close()

    def _answers(self) -> bool:
        try:
            return self.http.get("/health/ready").status_code == 200
        except httpx2.TransportError:
            return False


@dataclass(frozen=True)
class World:
    """Everything that runs, and a client whose tokens both APIs take."""

    deployment: Deployment
    crossing: Crossing
    apis: list[Api]
    client: RegisteredClient
    notes: str
    almanac: str

    def kept(self, username: str) -> list[Kept]:
        """Return an opaque token and a JWT of a new user, once both APIs have them and ask nobody about them."""
        world, user = self.deployment.world, self.deployment.world.user(username)
        found = []
        for path, resource, scope in (("/notes", self.notes, "notes:read"), ("/almanac", self.almanac, "almanac:read")):
            token = world.tokens(self.client, user, resource=resource, scope=scope)["access_token"]
            found.append(Kept(path, token))
            until(lambda one=found[-1]: all(self._is_kept(api, one) for api in self.apis), self._output)
        return found

    def administer(self, *arguments: str) -> None:
        """Run a command of the administrator, in a process of its own."""
        process = Group(
            [sys.executable, "-m", "authserver", *arguments], self.deployment.folder, self.deployment.environ
        )
        assert process.wait() == 0, process.output
        process.close()

    def refused(self, tokens: list[Kept], since: float) -> None:
        """See every API refuse: none lets a request in that is sent a second after `since`."""
        for api in self.apis:
            for kept in tokens:
                status = 0
                while status != 401:
                    sent = time.monotonic()
                    status = api.get(kept)
                    assert status != 200 or sent < since + BOUND, self._output()

    def _is_kept(self, api: Api, kept: Kept) -> bool:
        before = self.crossing.asked(ASKS)
        good = all(api.get(kept) == 200 for _ in range(5))
        return good and self.crossing.asked(ASKS) == before

    def _output(self) -> str:
        return "\n".join(api.group.output for api in self.apis)


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("nodes")
    url = f"http://localhost:{free_port()}"
    notes, almanac = f"{url}/notes", f"{url}/almanac"
    with deployment_on("postgresql", folder, request) as deployment:
        issuer = deployment.world
        issuer.resource(notes, "notes:read")
        issuer.resource(almanac, "almanac:read", token_format="jwt")
        client = issuer.client(trusted=True, scope="notes:read almanac:read", resources=[notes, almanac])
        api = issuer.client(resource_server_for=[notes, almanac], grant_types=[], redirect_uris=None, scope=None)
        nodes = [deployment.serve(free_port()) for _ in range(2)]
        environ = {
            "RESOURCESERVER_PUBLIC_URL": url,
            "RESOURCESERVER_ISSUER": issuer.issuer,
            "RESOURCESERVER_CLIENT_ID": api.client_id,
            "RESOURCESERVER_CLIENT_SECRET": api.client_secret,
            "RESOURCESERVER_CACHE_SECONDS": "300",
        }
        apis: list[Api] = []
        with Crossing(deployment.port, nodes[0].port) as crossing:
            try:
                for node in nodes:
                    crossing.target = node.port
                    apis.append(Api(folder, environ))
                    apis[-1].wait()
                    apis[-1].get(Kept("/notes", "the-first-token-has-it-follow"))
                    until(lambda: len(crossing.following()) == len(apis), lambda: apis[-1].group.output)
                yield World(deployment, crossing, apis, client, notes, almanac)
            finally:
                for one in apis:
                    one.close()


# What takes tokens back; yields those that it has just taken back.


def revoke(world: World, tokens: list[Kept], username: str) -> Iterator[list[Kept]]:
    """Their client gives them back (RFC 7009), to the first node."""
    for kept in tokens:
        answer = world.deployment.nodes[0].http.post("/revoke", data={"token": kept.token}, auth=world.client.basic)
        assert answer.status_code == 200
        yield [kept]


def end_the_grants(world: World, tokens: list[Kept], username: str) -> Iterator[list[Kept]]:
    """An administrator ends the grants."""
    watcher = world.deployment.world.client(introspects_all=True)
    for kept in tokens:
        jti: str = world.deployment.world.introspect(watcher, kept.token)["jti"]
        world.administer("grant", "revoke", jti.partition(".")[0])
        yield [kept]


def revoke_all_of_the_user(world: World, tokens: list[Kept], username: str) -> Iterator[list[Kept]]:
    """An administrator revokes every token of the user."""
    world.administer("token", "revoke", "--user", username)
    yield tokens


def disable_the_user(world: World, tokens: list[Kept], username: str) -> Iterator[list[Kept]]:
    """An administrator disables the account."""
    world.administer("user", "disable", username)
    yield tokens


@pytest.mark.parametrize("act", [revoke, end_the_grants, revoke_all_of_the_user, disable_the_user])
def test_tokens_that_both_have_kept_are_refused_by_both(
    world: World, act: Callable[[World, list[Kept], str], Iterator[list[Kept]]]
) -> None:
    assert {passage.port for passage in world.crossing.following()} == {node.port for node in world.deployment.nodes}
    username = act.__name__
    tokens, others = world.kept(username), world.kept(f"{username}-other")
    for dead in act(world, tokens, username):
        world.refused(dead, time.monotonic())
    assert [api.get(other) for api in world.apis for other in others] == [200] * 4


def test_what_is_revoked_while_a_followed_node_is_dead_is_not_missed(world: World) -> None:
    tokens, others = world.kept("killed"), world.kept("killed-other")
    # Everybody follows the second node now, which is the one that dies.
    dead, follower = world.deployment.nodes.pop(), world.apis[1]
    world.crossing.target = dead.port
    os.killpg(dead.group.pid, signal.SIGKILL)
    dead.group.is_gone()
    dead.close()
    assert list(revoke(world, tokens, "killed")) == [[kept] for kept in tokens]
    revoked_at = time.monotonic()
    until(lambda: time.monotonic() >= revoked_at + BOUND)
    # Its own follower can ask nobody, and lets nobody in.
    assert [follower.get(kept) for kept in tokens + others] == [503] * 4
    before = len(world.crossing.following())
    world.deployment.serve(dead.port)
    until(lambda: [follower.get(other) for other in others] == [200, 200])
    world.refused(tokens, revoked_at)
    until(lambda: any(b"\n:" in passage.answered for passage in world.crossing.following()[before:]))
    for passage in world.crossing.following()[before:]:
        assert b"Last-Event-ID: " in passage.asked
        assert b"event: reset" not in passage.answered


def test_a_jwt_with_a_status_is_refused_without_a_feed(world: World) -> None:
    issuer = world.deployment.world
    audience = "https://listed.test/"
    issuer.resource(audience, "listed:read", token_format="jwt", status_list=True)
    client = issuer.client(trusted=True, scope="listed:read", resources=[audience])
    token, other = (
        issuer.tokens(client, issuer.user(name), resource=audience, scope="listed:read")["access_token"]
        for name in ("listed", "listed-other")
    )
    statuses = StatusLists(issuer.issuer)
    verifier = Verifier(issuer.issuer, audience, statuses=statuses, require_status=True)
    assert verifier.check(token) is verifier.check(token)
    verifier.check(other)
    answer = world.deployment.nodes[0].http.post("/revoke", data={"token": token}, auth=client.basic)
    assert answer.status_code == 200
    revoked_at = time.monotonic()
    until(lambda: time.monotonic() >= revoked_at + BOUND)
    with pytest.raises(InvalidTokenError):
        verifier.check(token)
    verifier.check(other)
    statuses.close()
