"""Each test has a server of its own: limits and sessions are about what happened before."""

from typing import Any

import pytest

from authserver.identity.sessions import Visit, new_browser
from authserver.records import User
from pytest_authserver import AuthServer


@pytest.fixture
def authserver_settings(database_url: str) -> dict[str, Any]:
    # The kit's own limits per address are out of reach.
    return {"database_url": database_url, "limits": {}}


@pytest.fixture
def alice(authserver: AuthServer) -> User:
    return authserver.user("alice")


@pytest.fixture
def visit() -> Visit:
    """A visit from a browser that was never here."""
    return Visit(new_browser(), "Firefox/140.0", "192.0.2.1")
