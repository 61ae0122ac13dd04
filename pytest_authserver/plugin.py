"""Fixtures for pytest: ``authserver``, a real authorization server of its own for each test.

Registered by the distribution; nothing of the server is imported until a test asks for the fixture.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_authserver.server import AuthServer


@pytest.fixture
def authserver(tmp_path: Path) -> Iterator["AuthServer"]:
    """Give the test an authorization server with an empty database."""
    from pytest_authserver.server import AuthServer  # noqa: PLC0415 - see the module's docstring

    server = AuthServer(tmp_path)
    yield server
    server.close()
