"""A server whose tokens have their states in lists, and the lists as a relying party reads them."""

import zlib
from collections.abc import Iterator
from typing import Any

import httpx2
import jwt
import pytest

from authserver.clock import SECOND, now
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.signing import claims_of
from tests.world import API, JWT_API

STATUS_API = "https://status.test/"
ASKED = {"scope": "openid offline_access status:read", "resource": STATUS_API}
FOR_ITSELF = {"grant_type": "client_credentials", "scope": "status:read", "resource": STATUS_API}


@pytest.fixture(scope="module")
def listed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server with a resource that asks for status lists, and others that do not."""
    settings: dict[str, Any] = {}
    if request.config.getoption("database") == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgres").create()
    server = AuthServer(tmp_path_factory.mktemp("listed"), **settings)
    server.resource(STATUS_API, "status:read", token_format="jwt", status_list=True)
    server.resource(API, "api:read", status_list=True)
    server.resource(JWT_API, "jwt:read", token_format="jwt")
    yield server
    server.close()


@pytest.fixture(scope="module")
def user(listed: AuthServer) -> User:
    """Somebody of that server."""
    return listed.user("alice")


@pytest.fixture(scope="module")
def web(listed: AuthServer) -> RegisteredClient:
    """A client of that server."""
    return listed.client(trusted=True, scope="openid offline_access status:read api:read jwt:read")


def reference_of(token: str) -> dict[str, Any]:
    """Return where the state of a token stands."""
    reference: dict[str, Any] = claims_of(token)["status"]["status_list"]
    return reference


def read(at: AuthServer, answer: httpx2.Response, uri: str) -> bytes:
    """Check an answer as a relying party does (8.3); return its list."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(at.get("/jwks").json()).keys}
    head = jwt.get_unverified_header(answer.text)
    assert (head["alg"], head["typ"]) == ("ES256", "statuslist+jwt")
    options = {"require": ["sub", "iat", "exp", "ttl", "status_list"], "verify_iat": False, "verify_exp": False}
    claims = jwt.decode(answer.text, keys[head["kid"]], ["ES256"], options=options)
    assert claims["sub"] == uri
    assert claims["iat"] <= now() // SECOND < claims["exp"]
    assert claims["status_list"]["bits"] == 1
    return unpacked(claims["status_list"]["lst"])


def unpacked(lst: str) -> bytes:
    """Return the byte array of a status list (4.1)."""
    return zlib.decompress(jwt.utils.base64url_decode(lst))


def status(at: AuthServer, token: str) -> int:
    """Return the state of a token, from its list as it is now."""
    reference = reference_of(token)
    array = read(at, at.get(reference["uri"]), reference["uri"])
    return array[reference["idx"] // 8] >> reference["idx"] % 8 & 1
