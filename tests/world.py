"""The one server that protocol tests share in a process, who lives around it, and how its answers are read.

Tests that change a client or an account make their own; what stands here is for looking at.
"""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Page, RegisteredClient

API = "https://api.test/"
OTHER_API = "https://other.test/"
JWT_API = "https://jwt.test/"
SCOPE = "openid profile email address phone offline_access api:read api:write other:read jwt:read"
_RESOURCES = {API: ("api:read", "api:write"), OTHER_API: ("other:read",)}


@pytest.fixture(scope="session")
def authserver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """One server for all tests of this process."""
    settings: dict[str, Any] = {}
    if request.config.getoption("database") == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgres").create()
    server = AuthServer(tmp_path_factory.mktemp("authserver"), **settings)
    for identifier, scopes in _RESOURCES.items():
        server.resource(identifier, *scopes)
    server.resource(JWT_API, "jwt:read", token_format="jwt")
    yield server
    server.close()


@pytest.fixture(scope="session")
def node(authserver: AuthServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """Another process of that server, as it were: over the same database, with the same secret."""
    other = AuthServer(tmp_path_factory.mktemp("node"), database_url=authserver.settings.database_url)
    yield other
    other.close()


@pytest.fixture(scope="session")
def alice(authserver: AuthServer) -> User:
    """An account with a profile."""
    return authserver.user(
        "alice",
        name="Alice Adams",
        given_name="Alice",
        family_name="Adams",
        birthdate="1990-01-31",
        address={"country": "NZ"},
        phone_number="+64 3 000 0000",
        email_verified=True,
    )


@pytest.fixture(scope="session")
def bob(authserver: AuthServer) -> User:
    """Another account, with nothing but a name."""
    return authserver.user("bob")


@pytest.fixture(scope="session")
def client(authserver: AuthServer) -> RegisteredClient:
    """A confidential client that may do everything; it is trusted, so no page asks for consent."""
    return authserver.client(trusted=True, scope=SCOPE)


@pytest.fixture(scope="session")
def stranger(authserver: AuthServer) -> RegisteredClient:
    """Another client like it."""
    return authserver.client(trusted=True, scope=SCOPE)


@pytest.fixture(scope="session")
def public(authserver: AuthServer) -> RegisteredClient:
    """A client without credentials."""
    return authserver.public_client(trusted=True, scope=SCOPE)


@pytest.fixture(scope="session")
def service(authserver: AuthServer) -> RegisteredClient:
    """A resource server, registered for the first API."""
    return authserver.client(
        resource_server_for=[API], grant_types=["client_credentials"], redirect_uris=None, scope=None
    )


def ask(authserver: AuthServer, client: RegisteredClient, user: User | None = None, **parameters: Any) -> Page:
    """Make an authorization request, with a proof key, in a new browser in which this user is signed in.

    Parameters may be lists (they repeat) or None (they are taken away).
    """
    return authserver.browser(user).visit_request(authserver.request(client, authserver.pkce(), **parameters))


def code_of(page: Page) -> str:
    """Return the code with which the browser was sent back."""
    assert page.location is not None, f"{page.status} {page.error_code}"
    assert "error" not in page.callback, page.callback
    return page.callback["code"]


def assert_sent_back(page: Page, error: str, client: RegisteredClient, *, state: str | None = None) -> None:
    """Check an error that goes back to the client: redirect, error, state, iss, nothing else."""
    assert page.location is not None, f"{page.status} {page.error_code}"
    assert page.location.startswith(client.redirect_uri)
    assert page.status in {302, 303}
    answer = page.callback
    assert answer["error"] == error
    assert answer["iss"].startswith("http")
    assert {"error", "error_description", "iss", "state"}.issuperset(answer)
    assert state is None or answer["state"] == state


def assert_shown(page: Page, code: str | None = None) -> None:
    """Check an error that stays here: a page of our own, no redirect."""
    assert page.location is None
    assert page.status == 400
    assert page.headers["content-type"].startswith("text/html")
    assert page.error_code is not None
    assert code in {None, page.error_code}


def assert_refused(answer: httpx2.Response, error: str, status: int = 400) -> None:
    """Check an error in JSON (RFC 6749 5.2): status, code, a fixed description, kept by nobody."""
    assert (answer.status_code, answer.json().get("error")) == (status, error), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert {"error", "error_description"}.issuperset(answer.json())
    description = answer.json()["error_description"]
    assert description.isascii()
    assert description.isprintable()
    assert '"' not in description
    assert "\\" not in description
    if status == 401:
        assert answer.headers["www-authenticate"].startswith(("Basic ", "Bearer "))


def is_alive(authserver: AuthServer, client: RegisteredClient, token: str) -> bool:
    """Say whether introspection, asked by the token's own client, calls it active."""
    answer = authserver.introspect(client, token)
    assert answer["active"] is True or answer == {"active": False}
    return bool(answer["active"])
