"""Servers at which clients register themselves (RFC 7591), and how a test does that."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from authserver.manage import registration_tokens
from pytest_authserver import AuthServer
from tests.world import assert_refused

CB = "https://client.test/callback"
VENDOR = "https://vendor.test"


@pytest.fixture(scope="module")
def anybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server where anybody may register a client."""
    statements = [{"issuer": VENDOR, "jwks_uri": f"{VENDOR}/jwks"}]
    settings = {"mode": "open", "scopes": ["openid", "profile", "notes:read"], "statement_issuers": statements}
    server = AuthServer(tmp_path_factory.mktemp("open"), registration=settings)
    yield server
    server.close()


@pytest.fixture(scope="module")
def invited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server where an initial access token is needed."""
    server = AuthServer(tmp_path_factory.mktemp("token"), registration={"mode": "token"})
    yield server
    server.close()


def post(server: AuthServer, metadata: Any, token: str | None = None, **headers: str) -> httpx2.Response:
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    body = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    with server.http() as http:
        return http.post("/register", content=body, headers={"Content-Type": "application/json", **headers})


def register(server: AuthServer, **metadata: Any) -> dict[str, Any]:
    answer = post(server, {"redirect_uris": [CB], **metadata})
    assert answer.status_code == 201, answer.text
    registered: dict[str, Any] = answer.json()
    return registered


def refusal(server: AuthServer, **metadata: Any) -> str:
    answer = post(server, {"redirect_uris": [CB], **metadata})
    assert answer.status_code == 400, answer.text
    assert_refused(answer, answer.json()["error"])
    return str(answer.json()["error"])


def invitation(server: AuthServer, uses: int = 1, days: int = 7) -> str:
    return registration_tokens.make_initial(server.store, uses=uses, days=days, actor="test")


def assert_no_entry(answer: httpx2.Response) -> None:
    assert_refused(answer, "invalid_token", 401)
    assert answer.headers["www-authenticate"].startswith('Bearer realm="authserver"')
