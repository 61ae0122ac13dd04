"""Assertions of trusted issuers (RFC 7523 3) as tests need them, and a server that trusts four issuers."""

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.signing import key, token
from tests.world import assert_refused

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
IDP, DIRECTORY, HR, BANK = "https://idp.test", "https://directory.test", "https://hr.test", "https://bank.test"
API, JWT_API = "https://api.test/", "https://jwt.test/"
AUDIENCE = "urn:test:us"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key set of the issuers, as a file."""
    file = tmp_path_factory.mktemp("issuers") / "jwks.json"
    published = [key("p256", kid="ec"), key("rsa", kid="rsa"), key("ed25519", kid="ed")]
    file.write_text(json.dumps({"keys": [one.as_dict(private=False) for one in published]}))
    return file


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[AuthServer]:
    """A server that trusts four issuers, each of which calls accounts by another name."""
    issuers = [
        {"issuer": IDP, "typ": "jwt", "jwks_file": keys},
        {"issuer": DIRECTORY, "typ": "jwt", "jwks_file": keys, "account": "username", "audience": AUDIENCE},
        {"issuer": HR, "typ": "jwt", "jwks_file": keys, "account": "email", "subject_claim": "email", "tenant": "acme"},
        {"issuer": BANK, "typ": "jwt", "jwks_uri": f"{BANK}/jwks", "clients": ["teller"]},
    ]
    running = AuthServer(tmp_path_factory.mktemp("bearer"), trusted_issuers=issuers)
    running.resource(API, "api:read", "api:write")
    running.resource(JWT_API, "api:read", token_format="jwt")
    yield running
    running.close()


@pytest.fixture(scope="module")
def user(server: AuthServer) -> User:
    """Whom the issuers vouch for."""
    return server.user("alice", email="alice@test.example", email_verified=True)


@pytest.fixture(scope="module")
def client(server: AuthServer) -> RegisteredClient:
    """A client that brings assertions."""
    return bearer(server)


def bearer(server: AuthServer, **metadata: Any) -> RegisteredClient:
    """Register a client for the grant."""
    scope = "openid profile offline_access api:read api:write"
    return server.client(**{"grant_types": [GRANT], "redirect_uris": None, "scope": scope, **metadata})


def claims(server: AuthServer, user: User, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good assertion with changes; None takes one away."""
    moment = int(time.time())
    made = {
        "iss": IDP,
        "sub": user.sub,
        "aud": server.issuer,
        "jti": secrets.token_urlsafe(12),
        "iat": moment,
        "exp": moment + 60,
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def signed(payload: Any, algorithm: str = "ES256", name: str | None = None, **header: Any) -> str:
    """Sign an assertion as the issuer does."""
    kids = {"ES256": "ec", "RS256": "rsa", "PS256": "rsa", "EdDSA": "ed", "Ed25519": "ed", "ES384": "far"}
    return token(algorithm, payload, name, **{"kid": kids.get(algorithm, "ec"), **header})


def bring(
    server: AuthServer, client: RegisteredClient | None, assertion: str | None, **parameters: Any
) -> httpx2.Response:
    """Make the token request."""
    return server.post("/token", client, grant_type=GRANT, assertion=assertion, **parameters)


def assert_good(server: AuthServer, client: RegisteredClient, assertion: str, **parameters: Any) -> dict[str, Any]:
    """Return the token response."""
    answer = bring(server, client, assertion, **parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def assert_bad(server: AuthServer, client: RegisteredClient, assertion: str) -> None:
    """Check the one error for all that may be wrong with an assertion (3.1)."""
    assert_refused(bring(server, client, assertion), "invalid_grant")
