"""Each test of the pages has a server of its own, with alice and an application that asks for her consent."""

from typing import Any

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from tests.web.walking import sign_in, start


@pytest.fixture
def authserver_settings(database_url: str) -> dict[str, Any]:
    return {"database_url": database_url}


@pytest.fixture
def alice(authserver: AuthServer) -> User:
    return authserver.user("alice", name="Alice Adams")


@pytest.fixture
def client(authserver: AuthServer) -> RegisteredClient:
    return authserver.client(client_name="Holiday Photos")


@pytest.fixture
def browser(authserver: AuthServer) -> Browser:
    """A browser in which nobody is signed in."""
    return authserver.browser()


@pytest.fixture
def signed_in(authserver: AuthServer, alice: User) -> Browser:
    """A browser in which alice is signed in."""
    return sign_in(authserver)


@pytest.fixture
def login_page(authserver: AuthServer, alice: User, client: RegisteredClient, browser: Browser) -> Page:
    """The sign-in page for the application."""
    return start(browser, authserver.request(client, authserver.pkce()))


@pytest.fixture
def consent_page(authserver: AuthServer, client: RegisteredClient, signed_in: Browser) -> Page:
    """The consent page, in the browser ``signed_in``."""
    return start(signed_in, authserver.request(client, authserver.pkce()))
