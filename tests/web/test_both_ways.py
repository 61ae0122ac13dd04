"""The gateway is only a shorter way: with it and without it, every request gets the same answer."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from authserver import registry
from pytest_authserver import AuthServer, RegisteredClient

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SPA = "https://spa.test"
BASES = ["http://localhost:9000", "http://localhost:9000/tenant"]


@pytest.fixture(scope="module", params=BASES)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[AuthServer]]:
    """The short way and Flask's, over one database."""
    url = f"sqlite:///{tmp_path_factory.mktemp('gateway')}/authserver.db"
    servers = [
        AuthServer(tmp_path_factory.mktemp("way"), issuer=request.param, database_url=url, gateway=gateway)
        for gateway in (True, False)
    ]
    yield servers
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def client(both: list[AuthServer]) -> RegisteredClient:
    return both[0].client(web_origins=[SPA], client_id="the-client", client_secret="s" * 40)


def requests(both: list[AuthServer], client: RegisteredClient) -> list[tuple[str, str, dict[str, Any]]]:
    base = both[0].server.base_path
    token = both[0].token(client, grant_type="client_credentials", scope="api:read").json()["access_token"]
    paths = [base + path for _, path, _, _ in registry.ENDPOINTS]
    methods = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
    body = {"content": f"token={token}"}
    table: list[tuple[str, str, dict[str, Any]]] = []
    for path in [*paths, *(path + base for path in registry.WELL_KNOWN)]:
        for origin in ({}, {"Origin": SPA}, {"Origin": "null"}):
            table += [(method, path, {"headers": {**FORM, **origin}, **body}) for method in methods]
        table.append(("POST", path, {"headers": FORM, "auth": client.basic, **body}))
        table.append(("POST", path, {"headers": FORM, "content": "a=" + "b" * 70_000, "auth": client.basic}))
        table.append(("GET", f"{path}?a={'b' * 9000}", {}))
    pages = ("/", "/token", "/nothing", "/tenant", "/tenantx/token", "/login", "/tenant/login", "/tenant/nothing")
    return table + [("GET", path, {}) for path in pages]


def said(answer: httpx2.Response) -> tuple[Any, ...]:
    headers = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "set-cookie"}}
    if answer.headers.get("content-type", "").startswith("text/html"):
        return answer.status_code, sorted(headers.keys() - {"content-length"})
    return answer.status_code, headers, answer.content


def test_every_request_gets_the_same_answer_either_way(both: list[AuthServer], client: RegisteredClient) -> None:
    short, long = (server.http() for server in both)
    different = []
    with short, long:
        for method, path, options in requests(both, client):
            # The transport's base would put the issuer's path in front of a path that is complete.
            url = "http://localhost:9000" + path
            one, other = (said(http.request(method, url, **options)) for http in (short, long))
            if one != other:
                different.append(f"{method} {path[:60]} {options} {one} {other}")
    assert different == []


def test_the_documents_stand_at_the_root_for_an_issuer_with_a_path_8414_3_1(both: list[AuthServer]) -> None:
    for server in both:
        with server.http() as http:
            for path in registry.WELL_KNOWN:
                answer = http.get(f"http://localhost:9000{path}{server.server.base_path}")
                assert answer.json()["issuer"] == server.issuer
