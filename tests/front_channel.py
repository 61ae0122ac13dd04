"""A server whose authorization endpoint gives more than codes; its clients, and how they read the fragment."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Page, RegisteredClient
from tests.details import BANK
from tests.details import TYPES as TYPES_OF_DETAILS
from tests.world import API, OTHER_API, SCOPE

TYPES = ("code id_token", "code token", "code id_token token", "id_token", "id_token token")
WITH_TOKEN = [kind for kind in TYPES if "token" in kind.split()]
WITH_ID_TOKEN = [kind for kind in TYPES if "id_token" in kind.split()]
FRONT = {"response_types": ["code", *TYPES], "grant_types": ["authorization_code", "implicit", "refresh_token"]}
NONCE = "n-0S6_WzA2Mj"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server where it is switched on, and clients of its profile may register themselves."""
    server = AuthServer(
        tmp_path_factory.mktemp("hybrid"),
        features={"hybrid": True},
        authorization_details_types=TYPES_OF_DETAILS,
        registration={"mode": "open", "profile": "oidc"},
    )
    server.resource(API, "api:read", "api:write")
    server.resource(OTHER_API, "other:read", token_format="jwt")
    server.resource(BANK, "bank:read")
    yield server
    server.close()


@pytest.fixture(scope="module")
def alice(at: AuthServer) -> User:
    return at.user("alice", name="Alice Adams")


def make(at: AuthServer, **metadata: Any) -> RegisteredClient:
    """Register a client that may ask for everything."""
    return at.client(**{"profile": "oidc", "trusted": True, "scope": SCOPE, **FRONT, **metadata})


@pytest.fixture(scope="module")
def client(at: AuthServer) -> RegisteredClient:
    return make(at)


def ask(at: AuthServer, client: RegisteredClient, user: User | None, response_type: str, **parameters: Any) -> Page:
    """Make an authorization request without a proof key, in a browser in which this user is signed in."""
    request = at.request(client, **{"response_type": response_type, "nonce": NONCE, **parameters})
    return at.browser(user).visit_request(request)


def fragment(page: Page) -> dict[str, str]:
    """Return the parameters in the fragment, where nothing stands beside it."""
    assert page.location is not None, f"{page.status} {page.error_code}"
    parts = urlsplit(page.location)
    assert parts.fragment
    assert not parts.query
    assert (page.status, page.headers["cache-control"]) == (303, "no-store")
    return page.callback


def refusal(page: Page) -> str:
    """Return the error in the fragment, beside which nothing is given."""
    found = fragment(page)
    assert found.keys() <= {"error", "error_description", "state", "iss"}
    return found["error"]
