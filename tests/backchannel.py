"""A client that asks a user behind the scenes (CIBA), the user at the pages, and what both get."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import ONE_ADDRESS
from tests import assertions
from tests.request_objects import NAMES, jwk, sign
from tests.world import API, JWT_API, OTHER_API, SCOPE

GRANT_TYPE = "urn:openid:params:grant-type:ciba"
PLENTY = {
    **ONE_ADDRESS,
    **dict.fromkeys(("ciba_requests", "ciba_requests_per_user", "ciba_open_per_user", "ciba_unknown_users"), 1_000_000),
}


def make(folder: Path, **settings: Any) -> AuthServer:
    """Make a server on which the extension is on and nobody counts."""
    server = AuthServer(folder, **{"features": {"ciba": True}, "limits": PLENTY, **settings})
    server.resource(API, "api:read", "api:write")
    server.resource(OTHER_API, "other:read")
    server.resource(JWT_API, "jwt:read", token_format="jwt")
    return server


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server for the tests of a file."""
    server = make(tmp_path_factory.mktemp("backchannel"))
    yield server
    server.close()


@pytest.fixture
def anna(at: AuthServer) -> User:
    """An account for one test: only so many requests wait for each."""
    return at.user(f"anna-{secrets.token_hex(6)}")


@pytest.fixture(scope="module")
def till(at: AuthServer) -> RegisteredClient:
    """A confidential client that polls."""
    return asking_client(at)


def asking_client(at: AuthServer, **metadata: Any) -> RegisteredClient:
    """Register a client that asks users and polls."""
    members = {
        "client_name": "Corner shop",
        "redirect_uris": None,
        "grant_types": [GRANT_TYPE, "refresh_token"],
        "backchannel_token_delivery_mode": "poll",
        "scope": SCOPE.replace(" other:read", ""),
        **metadata,
    }
    return at.client(**members)


def signing_client(at: AuthServer, **metadata: Any) -> RegisteredClient:
    """Register a client that signs what it asks."""
    members = {
        "jwks": {"keys": [jwk(name) for name in NAMES]},
        "backchannel_authentication_request_signing_alg": "ES256",
        **metadata,
    }
    return asking_client(at, **members)


def ask(
    at: AuthServer, client: RegisteredClient | None, user: User | None = None, **parameters: Any
) -> httpx2.Response:
    """Make an authentication request; None takes a parameter away."""
    whole = {"scope": "openid", "login_hint": user.username if user else None, **parameters}
    return at.post("/bc-authorize", client, **whole)


def begin(at: AuthServer, client: RegisteredClient, user: User, **parameters: Any) -> dict[str, Any]:
    """Return the answer to an authentication request."""
    answer = ask(at, client, user, **parameters)
    assert answer.status_code == 200, answer.text
    codes: dict[str, Any] = answer.json()
    return codes


def claims(at: AuthServer, client: RegisteredClient, user: User, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good signed request with changes; None takes one away."""
    moment = int(time.time())
    made = {
        "iss": client.client_id,
        "aud": at.issuer,
        "iat": moment,
        "nbf": moment,
        "exp": moment + 300,
        "jti": secrets.token_urlsafe(12),
        "scope": "openid",
        "login_hint": user.username,
        "binding_message": "W4SCT",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def signed(at: AuthServer, client: RegisteredClient, user: User, **changes: Any) -> str:
    """Return a good signed request with changes of its claims."""
    return sign(claims(at, client, user, **changes))


def credentials(at: AuthServer, client: RegisteredClient) -> dict[str, str]:
    """Return the parameters that authenticate a client with ``private_key_jwt`` and the keys of a signing one."""
    made = assertions.claims(at, client)
    return {"client_assertion_type": assertions.TYPE, "client_assertion": sign(made, typ="JWT")}


def opened(browser: Browser) -> Page:
    """Open the only request that waits for the user of this browser."""
    page = browser.visit("/account/requests")
    links = [part.partition('"')[0] for part in page.text.split('href="/account/requests/')[1:]]
    assert len(links) == 1, page.text
    return browser.visit(f"/account/requests/{links[0]}")


def decide(at: AuthServer, user: User | Browser, button: str = "request-allow") -> Page:
    """Open the only request that waits, and press a button; return the last page."""
    browser = user if isinstance(user, Browser) else at.browser(user)
    return browser.submit(opened(browser), button)


def poll(at: AuthServer, client: RegisteredClient, codes: dict[str, Any], **changes: Any) -> httpx2.Response:
    """Ask for the tokens, as the client does every few seconds."""
    return at.token(client, **{"grant_type": GRANT_TYPE, "auth_req_id": codes["auth_req_id"], **changes})


def tokens(at: AuthServer, client: RegisteredClient, user: User, **parameters: Any) -> dict[str, Any]:
    """Return the token response for a request that the user has allowed."""
    codes = begin(at, client, user, **parameters)
    decide(at, user)
    answer = poll(at, client, codes)
    assert answer.status_code == 200, answer.text
    issued: dict[str, Any] = answer.json()
    return issued
