"""A device that asks for access, its owner at the pages, and what both get."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from tests.world import SCOPE

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="session")
def screen(authserver: AuthServer) -> RegisteredClient:
    """A public client on a device."""
    return device_client(authserver, scope=SCOPE)


@pytest.fixture(scope="session")
def box(authserver: AuthServer) -> RegisteredClient:
    """A confidential client on a device, with redirect URIs as well."""
    return authserver.client(grant_types=["authorization_code", "refresh_token", GRANT_TYPE], scope=SCOPE)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[AuthServer]:
    """A server on which the test may count."""
    server = AuthServer(tmp_path)
    yield server
    server.close()


def device_client(authserver: AuthServer, **metadata: Any) -> RegisteredClient:
    """Register what runs on a device: a client without credentials and without a redirect URI."""
    members = {
        "client_name": "Living room screen",
        "redirect_uris": None,
        "grant_types": [GRANT_TYPE, "refresh_token"],
        "token_endpoint_auth_method": "none",
        **metadata,
    }
    return authserver.client(**members)


def request(authserver: AuthServer, client: RegisteredClient | None, **parameters: Any) -> httpx2.Response:
    """Make a device authorization request."""
    return authserver.post("/device_authorization", client, **parameters)


def begin(authserver: AuthServer, client: RegisteredClient, **parameters: Any) -> dict[str, Any]:
    """Return the answer to a device authorization request."""
    answer = request(authserver, client, **parameters)
    assert answer.status_code == 200, answer.text
    codes: dict[str, Any] = answer.json()
    return codes


def enter(browser: Browser, user_code: str) -> Page:
    """Enter a code on the device page; return the page that comes then."""
    return browser.submit(browser.visit("/device"), "device-submit", user_code=user_code)


def decide(authserver: AuthServer, user: User | Browser, codes: dict[str, Any], button: str = "device-allow") -> Page:
    """Enter the code of a device, compare, and press a button; return the last page."""
    browser = user if isinstance(user, Browser) else authserver.browser(user)
    return browser.submit(enter(browser, codes["user_code"]), button)


def poll(authserver: AuthServer, client: RegisteredClient, codes: dict[str, Any], **changes: Any) -> httpx2.Response:
    """Ask for the tokens, as the device does every few seconds."""
    parameters = {"grant_type": GRANT_TYPE, "device_code": codes["device_code"], **changes}
    return authserver.token(client, **parameters)


def tokens(authserver: AuthServer, client: RegisteredClient, user: User, **parameters: Any) -> dict[str, Any]:
    """Return the token response for a device that the user has allowed."""
    codes = begin(authserver, client, **parameters)
    decide(authserver, user, codes)
    answer = poll(authserver, client, codes)
    assert answer.status_code == 200, answer.text
    issued: dict[str, Any] = answer.json()
    return issued
