"""The worked examples of docs/, run against the server as they stand there."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD
from tests import documented

CALLBACK = "https://client.example/callback"


@pytest.fixture
def environment(live_authserver: AuthServer) -> dict[str, str]:
    """What the examples find in their environment."""
    live_authserver.user("alice")
    client = live_authserver.client(redirect_uris=[CALLBACK])
    return {
        "ISSUER": live_authserver.issuer,
        "CLIENT_ID": client.client_id,
        "CLIENT_SECRET": client.client_secret,
        "CHALLENGE": live_authserver.pkce().challenge,
    }


def _sent_back(at: AuthServer, query: dict[str, str]) -> dict[str, str]:
    page = at.browser().authorize(query, username="alice", password=PASSWORD)
    assert page.location is not None, page.error_code
    assert page.location.startswith(CALLBACK)
    return page.callback


def test_pushing_a_request_with_curl(live_authserver: AuthServer, environment: dict[str, str]):
    answer = json.loads(documented.run_shell(documented.blocks("pushed-requests.md", "sh")[0], **environment))
    assert answer["expires_in"] == 60
    query = {"client_id": environment["CLIENT_ID"], "request_uri": answer["request_uri"]}
    assert "code" in _sent_back(live_authserver, query)


def test_pushing_a_request_with_python(live_authserver: AuthServer, environment: dict[str, str]):
    address = documented.run_python(documented.blocks("pushed-requests.md", "python")[0], **environment)
    assert address.startswith(f"{live_authserver.issuer}/authorize?")
    assert "code" in _sent_back(live_authserver, dict(parse_qsl(urlsplit(address).query)))
