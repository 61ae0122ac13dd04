"""A server with its management API, another one over the same database, and clients that manage."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest

from authserver.api.metadata import SCOPES
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import alice

__all__ = ["alice"]

EVERYTHING = " ".join(SCOPES)
PREFIX = "/manage"


class Manager:
    """A client that acts for itself, with a token for the management API."""

    def __init__(self, at: AuthServer, scope: str = EVERYTHING, **metadata: Any) -> None:
        self.at = at
        self.client = managing_client(at, scope, **metadata)
        self.token = self.new_token()

    @property
    def actor(self) -> str:
        return f"api:{self.client.client_id}"

    def new_token(self, **parameters: Any) -> str:
        """Ask for a token, without any grant by a person."""
        answer = self.at.token(
            self.client, grant_type="client_credentials", resource=resource_of(self.at), **parameters
        )
        assert answer.status_code == 200, answer.text
        text: str = answer.json()["access_token"]
        return text

    def __call__(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        at: AuthServer | None = None,
        bearer: str | None = None,
        headers: Mapping[str, str] | None = None,
        **body: Any,
    ) -> httpx2.Response:
        """Call an operation; members of the body by their names, or ``json`` for what is no object of names."""
        sent = {"Authorization": f"Bearer {bearer or self.token}", **(headers or {})}
        content: dict[str, Any] = {}
        if method in {"POST", "PUT"}:
            # Escaped, so that half a character travels, too.
            content = {"content": json.dumps(body.pop("json", body))}
            sent = {"Content-Type": "application/json", **sent}
        with (at or self.at).http() as http:
            return http.request(method, PREFIX + path, params=query, headers=sent, **content)

    def good(self, method: str, path: str, query: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Call an operation that has to succeed; return what it says."""
        answer = self(method, path, query, **options)
        assert answer.status_code in {200, 201, 204}, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json() if answer.content else None


def resource_of(at: AuthServer) -> str:
    """Return the identifier of the API."""
    return at.issuer + PREFIX


def managing_client(at: AuthServer, scope: str = EVERYTHING, **metadata: Any) -> RegisteredClient:
    """Register a client as ``docs/management-api.md`` says."""
    members = {
        "client_name": "Manager",
        "grant_types": ["client_credentials"],
        "redirect_uris": None,
        "resources": [resource_of(at)],
        "scope": scope,
        **metadata,
    }
    return at.client(**members)


@pytest.fixture(scope="session")
def authserver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """One server for all tests of this process."""
    settings: dict[str, Any] = {"features": {"management_api": True}}
    if request.config.getoption("database") == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgres").create()
    server = AuthServer(tmp_path_factory.mktemp("managed"), **settings)
    yield server
    server.close()


@pytest.fixture(scope="session")
def node(authserver: AuthServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """Another process of that server, as it were: over the same database, with the same secret."""
    url = authserver.settings.database_url
    other = AuthServer(tmp_path_factory.mktemp("node"), database_url=url, features={"management_api": True})
    yield other
    other.close()


@pytest.fixture(scope="session")
def manager(authserver: AuthServer) -> Manager:
    """A client with every scope; its token is good for ten minutes."""
    return Manager(authserver)
