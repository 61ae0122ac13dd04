"""The kit's server on a port, for clients that cannot call it in the test's process."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from pytest_authserver import AuthServer, serving


def test_the_issuer_is_the_address_and_everything_is_found_from_there(live_authserver: AuthServer):
    metadata = httpx2.get(f"{live_authserver.issuer}/.well-known/openid-configuration", trust_env=False).json()
    assert metadata["issuer"] == live_authserver.issuer
    client = live_authserver.client()
    live_authserver.resource("https://api.test/", "api:read")
    answer = httpx2.post(
        metadata["token_endpoint"],
        data={"grant_type": "client_credentials", "scope": "api:read"},
        auth=client.basic,
        trust_env=False,
    )
    assert answer.status_code == 200
    assert live_authserver.introspect(client, answer.json()["access_token"])["active"]


def test_the_port_and_the_process_are_one_server(live_authserver: AuthServer):
    user, client = live_authserver.user(), live_authserver.client(trusted=True)
    page = live_authserver.browser(user).authorize(live_authserver.request(client, live_authserver.pkce()))
    assert page.callback["iss"] == live_authserver.issuer
    answer = httpx2.get(f"{live_authserver.issuer}/health/ready", trust_env=False)
    assert answer.status_code == 200


def test_it_listens_on_loopback_only(live_authserver: AuthServer):
    parts = urlsplit(live_authserver.issuer)
    assert parts.hostname == "127.0.0.1"
    assert parts.port not in {None, 0, 9000}


def test_several_run_side_by_side_and_each_ends_with_its_block(tmp_path: Path):
    with serving(tmp_path / "one") as first:
        with serving(tmp_path / "two") as second:
            assert first.issuer != second.issuer
            for server in (first, second):
                assert httpx2.get(f"{server.issuer}/health/live", trust_env=False).status_code == 200
        assert httpx2.get(f"{first.issuer}/health/live", trust_env=False).status_code == 200
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{second.issuer}/health/live", trust_env=False)


def test_it_ends_when_the_block_fails(tmp_path: Path):
    def fail(server: AuthServer) -> None:
        ports.append(urlsplit(server.issuer).port)
        raise ZeroDivisionError

    ports: list[int | None] = []
    with pytest.raises(ZeroDivisionError), serving(tmp_path) as server:
        fail(server)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", ports[0])) != 0
