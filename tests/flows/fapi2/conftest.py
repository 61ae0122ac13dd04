"""What the stories of FAPI 2.0 share: a server behind a proxy, and a person."""

from collections.abc import Iterator

import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.flows.fapi2.world import fapi_server


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server behind a proxy that hands certificates on."""
    with fapi_server(tmp_path_factory.mktemp("fapi")) as server:
        yield server


@pytest.fixture(scope="module")
def user(at: AuthServer) -> User:
    """The person."""
    return at.user("alice", name="Alice")
