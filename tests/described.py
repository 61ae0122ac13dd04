"""Clients described by a document at their client_id: a server that takes them, and a web with the documents."""

import json
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from authserver.manage import clients
from authserver.oauth import client_id_metadata
from authserver.outbound import WrongAnswer
from pytest_authserver import AuthServer, Page, RegisteredClient
from tests.world import assert_shown

HOST = "app.example"
ID = f"https://{HOST}/client.json"
CB = f"https://{HOST}/callback"


class Web:
    """What lies at which URL, in the place of the internet; counts what is fetched."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.fetched: list[str] = []
        self.held: Event | None = None

    def fetch_document(self, url: str, max_bytes: int, accept: str = "*/*") -> tuple[bytes, dict[str, str]]:
        assert (max_bytes, accept) == (5 * 1024, "application/json")
        self.fetched.append(url)
        if self.held is not None:
            self.held.wait(20)
        page = self.pages.get(url, WrongAnswer("the answer is not 200"))
        if isinstance(page, Exception):
            raise page
        body = page if isinstance(page, bytes) else json.dumps(page).encode()
        return body, {"content-type": "application/json", **self.headers}


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server that takes such clients."""
    features, registration = {"client_id_metadata": True}, {"scopes": "openid profile offline_access notes:read"}
    server = AuthServer(tmp_path_factory.mktemp("documents"), features=features, registration=registration)
    server.user("alice")
    yield server
    server.close()


@pytest.fixture
def web(at: AuthServer, monkeypatch: pytest.MonkeyPatch) -> Web:
    """The internet of one test; nothing is remembered from another one."""
    fake = Web()
    monkeypatch.setattr(at.server.outbound, "fetch_document", fake.fetch_document)
    monkeypatch.setattr(at.server, "_client_finders", (client_id_metadata.Documents(at.server),))
    monkeypatch.setattr(at.server.limits, "count_here", lambda *_: None)
    for client in at.store.clients.all():
        clients.remove(at.store, client.client_id, actor="test")
    at.server.forget()
    return fake


def document(client_id: str = ID, **members: Any) -> dict[str, Any]:
    """A document as it should be; None takes a member away."""
    usual = {
        "client_id": client_id,
        "client_name": "Notes",
        "redirect_uris": [CB],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    return {name: value for name, value in {**usual, **members}.items() if value is not None}


def client_at(client_id: str = ID, redirect_uri: str = CB) -> RegisteredClient:
    return RegisteredClient(client_id, "", redirect_uri, {})


def ask(at: AuthServer, client_id: str = ID, **parameters: Any) -> Page:
    request = at.request(client_at(client_id), at.pkce(), **parameters)
    return at.browser().visit_request(request)


def is_taken(page: Page) -> bool:
    """Say whether the client was taken: there is a sign-in, or an error page."""
    if "login-submit" in page.text:
        return True
    assert_shown(page, "invalid_client")
    return False
