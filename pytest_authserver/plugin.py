"""Fixtures for pytest: ``authserver``, a real authorization server of its own for each test.

Registered by the distribution; nothing of the server is imported until a test asks for a fixture.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_authserver.server import AuthServer


@pytest.fixture
def authserver_settings() -> dict[str, Any]:
    """Settings of the server that differ from their defaults; override this fixture to change some."""
    return {}


@pytest.fixture
def authserver(tmp_path: Path, authserver_settings: dict[str, Any]) -> Iterator["AuthServer"]:
    """An authorization server with an empty database, in this process and without a socket."""
    from pytest_authserver.server import AuthServer  # noqa: PLC0415 - see the module's docstring

    server = AuthServer(tmp_path, **authserver_settings)
    yield server
    server.close()


@pytest.fixture
def live_authserver(tmp_path: Path, authserver_settings: dict[str, Any]) -> Iterator["AuthServer"]:
    """An authorization server with an empty database, on a free port of 127.0.0.1; ``issuer`` is its address."""
    from pytest_authserver.live import serving  # noqa: PLC0415 - see the module's docstring

    with serving(tmp_path, **authserver_settings) as server:
        yield server
