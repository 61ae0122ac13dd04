"""The MCP server of docs/mcp.md, served, with the authorization server behind it and the document of a client."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from unittest import mock

import pytest
import uvicorn

from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.live import serving
from tests import documented
from tests.listener import KEYS, says, silent, tls

PAGE = "mcp.md"
CALLBACK, ANY_PORT = "http://127.0.0.1:8765/callback", "http://127.0.0.1/callback"
SCOPES = ("notes:read", "notes:write")
OTHER = "https://other.example/mcp"
TOOLS = ["add_note", "list_notes"]


@dataclass(frozen=True)
class Notes:
    """Both servers: the identifier of the MCP server is its URL; ``document`` is the URL of a client's metadata."""

    at: AuthServer
    resource: str
    guard: RegisteredClient
    document: str

    def told(self, token: str) -> dict[str, Any]:
        """Return what the authorization server says of a token to the MCP server."""
        return self.at.introspect(self.guard, token)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notes]:
    """A server where anybody may register, which takes metadata documents, too, and the MCP server that trusts it."""
    settings = {
        "features": {"client_id_metadata": True},
        "registration": {"mode": "open", "scopes": ["openid", "offline_access", *SCOPES]},
        "outbound_allow": ("127.0.0.1",),
        "outbound_ca_file": KEYS / "authority.pem",
    }
    with ExitStack() as stack:
        at = stack.enter_context(serving(tmp_path_factory.mktemp("mcp"), **settings))
        place = stack.enter_context(tls("server.pem", silent))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        resource = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        at.user("alice")
        for identifier in (resource, OTHER):
            at.resource(identifier, *SCOPES)
        guard = at.client(client_id="notes-mcp", resource_server_for=[resource], grant_types=[], redirect_uris=None)
        document = f"https://127.0.0.1:{place.port}/client.json"
        described = {"client_id": document, "client_name": "Notes client", "redirect_uris": [ANY_PORT]}
        described |= {"grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none"}
        place.answer = says(json.dumps(described).encode(), "200 OK", "Content-Type: application/json")
        stack.enter_context(_served(_app(at.issuer, resource, guard.client_secret), listener))
        yield Notes(at, resource, guard, document)


def _app(issuer: str, resource: str, secret: str) -> Any:
    (source,) = documented.blocks(PAGE, "python")
    module: dict[str, Any] = {"__name__": "notes_mcp"}
    with mock.patch.dict(os.environ, ISSUER=issuer, RESOURCE=resource, CLIENT_SECRET=secret):
        exec(compile(source, str(Path(PAGE)), "exec"), module)  # noqa: S102 - our own page
    return module["app"]


@contextmanager
def _served(app: Any, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
