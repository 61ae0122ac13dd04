"""What is decided on one node counts on the others: at once where a row is read, within a second where it is kept.

The administrator's command is a process of its own, as it would be on a third machine.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from authserver import jwt
from pytest_authserver import RegisteredClient
from tests.faults.deployment import Deployment, Node, deployed
from tests.run.conftest import Group
from tests.servers.process import free_port

API: Final = "https://jwt.test/"
KEPT: Final = 1.2  # seconds after which no copy of a client, and none of the keys, may be older than the decision
ENVIRON: Final = {"AUTHSERVER_WORKERS": "1", "AUTHSERVER_KEYS__REFRESH_SECONDS": "1"}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("nodes"), ENVIRON) as one:
        one.world.resource(API, "jwt:read", token_format="jwt")
        one.serve()
        one.serve(free_port())
        yield one


@pytest.fixture(scope="module")
def nodes(deployment: Deployment) -> list[Node]:
    return deployment.nodes


@pytest.fixture
def client(deployment: Deployment) -> RegisteredClient:
    return deployment.world.client(trusted=True, scope="openid profile api:read jwt:read", resources=[API])


@pytest.fixture(scope="module")
def watcher(deployment: Deployment) -> RegisteredClient:
    """A client that may look at every token."""
    return deployment.world.client(introspects_all=True)


def administer(deployment: Deployment, *arguments: str) -> None:
    process = Group([sys.executable, "-m", "authserver", *arguments], deployment.folder, deployment.environ)
    assert process.wait() == 0, process.output
    process.close()


def post(node: Node, path: str, client: RegisteredClient, **parameters: str) -> tuple[int, dict[str, Any]]:
    answer = node.http.post(path, data=parameters, auth=client.basic)
    return answer.status_code, answer.json()


def grant(node: Node, client: RegisteredClient, **parameters: str) -> tuple[int, dict[str, Any]]:
    return post(node, "/token", client, grant_type="client_credentials", **parameters)


def refresh(node: Node, client: RegisteredClient, token: str) -> tuple[int, dict[str, Any]]:
    return post(node, "/token", client, grant_type="refresh_token", refresh_token=token)


def alive(nodes: list[Node], caller: RegisteredClient, token: str) -> list[bool]:
    return [post(node, "/introspect", caller, token=token)[1]["active"] for node in nodes]


def keep_asking(nodes: list[Node], client: RegisteredClient) -> None:
    """Ask for as long as anything may be kept: being asked for must not make it last."""
    until = time.monotonic() + KEPT
    while time.monotonic() < until:
        for node in nodes:
            grant(node, client)
            node.http.get("/jwks")
        time.sleep(0.05)


def test_a_client_disabled_elsewhere_is_refused_within_a_second_and_its_tokens_at_once(
    deployment: Deployment, nodes: list[Node], client: RegisteredClient, watcher: RegisteredClient
):
    tokens = [grant(node, client)[1]["access_token"] for node in nodes]
    assert [alive(nodes, watcher, token) for token in tokens] == [[True, True]] * 2
    administer(deployment, "client", "disable", client.client_id)
    assert [alive(nodes, watcher, token) for token in tokens] == [[False, False]] * 2
    keep_asking(nodes, client)
    for node in nodes:
        status, body = grant(node, client)
        assert (status, body["error"]) == (401, "invalid_client")
    administer(deployment, "client", "enable", client.client_id)
    keep_asking(nodes, client)
    assert [grant(node, client)[0] for node in nodes] == [200, 200]


def test_a_withdrawn_secret_is_refused_within_a_second(
    deployment: Deployment, nodes: list[Node], client: RegisteredClient
):
    assert [grant(node, client)[0] for node in nodes] == [200, 200]
    administer(deployment, "client", "rotate-secret", client.client_id, "--keep-seconds", "0")
    keep_asking(nodes, client)
    assert {grant(node, client)[1]["error"] for node in nodes} == {"invalid_client"}


def test_a_refresh_token_used_again_on_another_node_ends_its_grant_on_both(deployment: Deployment, nodes: list[Node]):
    here, there = nodes
    client = deployment.world.client(trusted=True, grace_seconds=0)
    first = deployment.world.tokens(client, deployment.world.user("carol"))
    status, second = refresh(here, client, first["refresh_token"])
    assert (status, alive(nodes, client, second["access_token"])) == (200, [True, True])
    assert refresh(there, client, first["refresh_token"])[1]["error"] == "invalid_grant"
    for token in (first["access_token"], second["access_token"], second["refresh_token"]):
        assert alive(nodes, client, token) == [False, False]
    assert [refresh(node, client, second["refresh_token"])[0] for node in nodes] == [400, 400]


def test_an_account_disabled_elsewhere_is_disabled_at_once(
    deployment: Deployment, nodes: list[Node], client: RegisteredClient
):
    tokens = deployment.world.tokens(client, deployment.world.user("dave"))
    header = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert [node.http.get("/userinfo", headers=header).status_code for node in nodes] == [200, 200]
    administer(deployment, "user", "disable", "dave")
    assert [node.http.get("/userinfo", headers=header).status_code for node in nodes] == [401, 401]
    assert [refresh(node, client, tokens["refresh_token"])[0] for node in nodes] == [400, 400]


def test_a_compromised_key_is_dropped_by_servers_that_run(
    deployment: Deployment, nodes: list[Node], client: RegisteredClient, watcher: RegisteredClient
):
    def kids(node: Node) -> set[str]:
        return {key["kid"] for key in node.http.get("/jwks").json()["keys"]}

    before = kids(nodes[0])
    token = grant(nodes[0], client, resource=API)[1]["access_token"]
    assert alive(nodes, watcher, token) == [True, True]
    administer(deployment, "key", "rotate", "--compromised")
    keep_asking(nodes, client)
    after = kids(nodes[0])
    assert after.isdisjoint(before)
    assert kids(nodes[1]) == after
    assert alive(nodes, watcher, token) == [False, False]
    for node in nodes:
        fresh = grant(node, client, resource=API)[1]["access_token"]
        assert jwt.parse(fresh).header["kid"] in after
        assert alive(nodes, watcher, fresh) == [True, True]
