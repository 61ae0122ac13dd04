"""Documents of clients over real connections: what the server fetches, from where, and what it makes of the answer."""

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from authserver import outbound
from pytest_authserver import AuthServer, RegisteredClient
from tests.listener import KEYS, Answer, Listener, endless, says, sends, silent, tls
from tests.signing import b64
from tests.test_outbound import INSIDE, NAME, PUBLIC, Net, net
from tests.world import assert_shown

__all__ = ["net"]

JSON = "Content-Type: application/json"
Start = Callable[..., AuthServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts a server which may fetch from these hosts, however private."""
    with ExitStack() as servers:

        def one(*allow: str) -> AuthServer:
            server = AuthServer(
                tmp_path,
                features={"client_id_metadata": True},
                outbound_allow=allow,
                outbound_ca_file=KEYS / "authority.pem",
            )
            servers.callback(server.close)
            return server

        yield one


@pytest.fixture
def listener() -> Iterator[Listener]:
    """An https server on loopback; ``answer`` is for the test to set."""
    with tls("server.pem", silent) as running:
        yield running


def here(listener: Listener) -> str:
    """The identifier of a client whose document the listener has."""
    return f"https://127.0.0.1:{listener.port}/client.json"


def described(client_id: str, **members: Any) -> bytes:
    home = client_id.removesuffix("/client.json")
    usual = {"client_id": client_id, "redirect_uris": [f"{home}/cb"], "token_endpoint_auth_method": "none"}
    return json.dumps({**usual, **members}).encode()


def is_taken(server: AuthServer, client_id: str) -> bool:
    client = RegisteredClient(client_id, "", client_id.removesuffix("/client.json") + "/cb", {})
    page = server.browser().visit_request(server.request(client, server.pkce()))
    if "login-submit" in page.text:
        return True
    assert_shown(page, "invalid_client")
    return False


def test_the_document_is_fetched_from_the_url_itself(start: Start, listener: Listener) -> None:
    listener.answer = says(described(here(listener)), "200 OK", JSON)
    assert is_taken(start("127.0.0.1"), here(listener))
    head = listener.heads[0].decode().lower()
    assert head.startswith("get /client.json http/1.1\r\n")
    assert "\r\naccept: application/json\r\n" in head
    assert not {"cookie", "authorization"} & {line.partition(":")[0] for line in head.splitlines()}


def test_the_whole_flow_over_a_real_connection(start: Start, listener: Listener) -> None:
    listener.answer = says(described(here(listener)), "200 OK", JSON)
    server = start("127.0.0.1")
    server.user("alice")
    client = RegisteredClient(here(listener), "", here(listener).removesuffix("/client.json") + "/cb", {})
    tokens = server.sign_in(client)
    assert server.get("/userinfo", tokens["access_token"]).status_code == 200
    assert listener.connections == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed_5(start: Start, listener: Listener, status: str) -> None:
    with tls("server.pem", silent) as target:
        target.answer = says(described(here(listener)), "200 OK", JSON)
        listener.answer = says(b"", status, f"Location: {here(target)}")
        assert not is_taken(start("127.0.0.1"), here(listener))
        assert (listener.connections, target.connections) == (1, 0)


@pytest.mark.parametrize("status", ["201 Created", "203 Transformed", "206 Partial", "404 Not Found", "503 Busy"])
def test_only_200_is_an_answer_5(start: Start, listener: Listener, status: str) -> None:
    listener.answer = says(described(here(listener)), status, JSON)
    assert not is_taken(start("127.0.0.1"), here(listener))


def test_five_kilobytes_are_read_and_no_more_8_7(start: Start, listener: Listener) -> None:
    server, room = start("127.0.0.1"), 5 * 1024 - len(described(here(listener), x=""))
    for size, good in ((room + 1, False), (1024 * 1024, False), (room, True)):
        listener.answer = says(described(here(listener), x="y" * size), "200 OK", JSON)
        assert is_taken(server, here(listener)) is good


@pytest.mark.parametrize(
    "answer",
    [
        says(b"<html></html>", "200 OK", "Content-Type: text/html"),
        says(b"{}", "200 OK"),
        says(gzip.compress(b"{}"), "200 OK", JSON, "Content-Encoding: gzip"),
        endless(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" " * 4096),
        endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 4096 + b"\r\n"),
        sends(b"\x16\x03\x01\x00\x00"),
        sends(b""),
    ],
    ids=["html", "no type", "compressed", "endless body", "endless head", "not http", "nothing"],
)
def test_another_answer_describes_no_client(start: Start, listener: Listener, answer: Answer) -> None:
    listener.answer = answer
    assert not is_taken(start("127.0.0.1"), here(listener))


@pytest.mark.parametrize(
    "answer", [silent, endless(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" ", 0.02)]
)
def test_a_slow_answer_ends_at_the_deadline(
    start: Start, listener: Listener, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "DEADLINE", 0.3)
    listener.answer = answer
    assert not is_taken(start("127.0.0.1"), here(listener))


def test_a_certificate_of_a_strange_authority_is_refused(start: Start) -> None:
    with tls("stranger.pem", silent) as running:
        running.answer = says(described(here(running)), "200 OK", JSON)
        assert not is_taken(start("127.0.0.1"), here(running))
        assert running.heads == []


# 8.6: addresses inside.


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_that_leads_inside_is_not_followed_8_6(start: Start, net: Net, address: str) -> None:
    net.names[NAME] = [[address]]
    assert not is_taken(start(), f"https://{NAME}/client.json")
    assert net.dialled == []


def test_one_address_inside_refuses_the_whole_name_8_6(start: Start, net: Net) -> None:
    net.names[NAME] = [[PUBLIC, "169.254.169.254"]]
    assert not is_taken(start(), f"https://{NAME}/client.json")
    assert net.dialled == []


def test_the_connection_goes_to_the_address_that_was_checked_8_6(start: Start, net: Net, listener: Listener) -> None:
    # DNS rebinding: the second look-up would answer loopback, but there is none.
    net.names[NAME], net.leads_to = [[PUBLIC], ["127.0.0.1"]], listener.port
    listener.answer = says(described(f"https://{NAME}/client.json"), "200 OK", JSON)
    assert is_taken(start(), f"https://{NAME}/client.json")
    assert (net.asked, net.dialled) == ([NAME], [PUBLIC])


def test_no_name_is_looked_up_for_what_is_no_identifier_3(start: Start, net: Net) -> None:
    net.names[NAME] = [[PUBLIC]]
    server = start()
    for client_id in (
        f"http://{NAME}/client.json",
        f"https://{NAME}:8443/client.json",
        f"https://x@{NAME}/client.json",
    ):
        assert not is_taken(server, client_id)
    assert (net.asked, net.dialled) == ([], [])


def test_the_key_set_of_a_document_is_fetched_under_the_same_guard_8_6(
    start: Start, net: Net, listener: Listener
) -> None:
    client_id = f"https://{NAME}/client.json"
    net.names = {NAME: [[PUBLIC]], "keys.inside.test": [["10.0.0.1"]]}
    net.leads_to = listener.port
    members = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://keys.inside.test/jwks"}
    listener.answer = says(described(client_id, **members), "200 OK", JSON)
    server = start()
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    claims = {"iss": client_id, "sub": client_id, "aud": server.issuer, "jti": "x", "exp": 2**31}
    head, body = (b64(json.dumps(part).encode()) for part in ({"alg": "ES256", "kid": "k"}, claims))
    sent = {"client_assertion": f"{head}.{body}.{'A' * 86}", "client_assertion_type": kind}
    answer = server.post("/token", grant_type="client_credentials", **sent)
    assert answer.status_code == 401
    assert "keys.inside.test" in net.asked
    assert net.dialled == [PUBLIC]


def test_a_host_without_a_server_is_no_client(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert not is_taken(start("127.0.0.1"), f"https://127.0.0.1:{port}/client.json")
