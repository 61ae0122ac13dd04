"""Token exchange (RFC 8693) as tests ask for it: a server with three APIs, services that call each other."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN, JWT, ID_TOKEN, REFRESH_TOKEN, SAML2 = (
    f"urn:ietf:params:oauth:token-type:{name}" for name in ("access_token", "jwt", "id_token", "refresh_token", "saml2")
)
FRONT, BACK, STORE = "https://front.test/", "https://back.test/", "https://store.test/"
SCOPE = "openid profile offline_access read write"
PAYMENT = {
    "description": "Pay {amount} euros",
    "resources": [FRONT, BACK],
    "json_schema": {
        "type": "object",
        "properties": {"amount": {"type": "integer"}},
        "required": ["amount"],
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server with three APIs: two with opaque tokens, the last one with JWTs."""
    running = AuthServer(
        tmp_path_factory.mktemp("exchange"),
        tokens={"exchanged_token_seconds": 240},
        authorization_details_types={"payment": PAYMENT},
    )
    for identifier in (FRONT, BACK):
        running.resource(identifier, "read", "write")
    running.resource(STORE, "read", "write", token_format="jwt")
    yield running
    running.close()


@pytest.fixture(scope="module")
def user(server: AuthServer) -> User:
    """Somebody for whom the services work."""
    return server.user("alice")


@pytest.fixture(scope="module")
def web(server: AuthServer) -> RegisteredClient:
    """The application in which people sign in."""
    return server.client(trusted=True, scope=SCOPE)


@pytest.fixture(scope="module")
def front(server: AuthServer) -> RegisteredClient:
    """The first service: it is called by the application and calls the other two."""
    return service(server, FRONT, BACK, STORE)


def service(server: AuthServer, serves: str, *targets: str, **metadata: Any) -> RegisteredClient:
    """Register a service that exchanges the tokens it is called with."""
    members = {
        "grant_types": [GRANT, "client_credentials"],
        "redirect_uris": None,
        "scope": "openid read write",
        "resource_server_for": [serves],
        "exchange_audiences": list(targets),
        **metadata,
    }
    return server.client(**members)


def called_with(server: AuthServer, web: RegisteredClient, user: User, **parameters: Any) -> str:
    """Return the access token with which the application calls the first service."""
    asked = {"scope": SCOPE, "resource": FRONT, **parameters}
    text: str = server.tokens(web, user, **asked)["access_token"]
    return text


def exchange(server: AuthServer, client: RegisteredClient | None, text: str, **parameters: Any) -> httpx2.Response:
    """Make the token request."""
    asked = {"grant_type": GRANT, "subject_token": text, "subject_token_type": ACCESS_TOKEN, **parameters}
    return server.post("/token", client, **asked)


def exchanged(server: AuthServer, client: RegisteredClient, text: str, **parameters: Any) -> dict[str, Any]:
    """Return what introspection says of the issued token."""
    answer = exchange(server, client, text, **parameters)
    assert answer.status_code == 200, answer.text
    return server.introspect(client, answer.json()["access_token"])


def issued(server: AuthServer, client: RegisteredClient, text: str, **parameters: Any) -> str:
    """Return the issued token."""
    answer = exchange(server, client, text, **parameters)
    assert answer.status_code == 200, answer.text
    access_token: str = answer.json()["access_token"]
    return access_token
