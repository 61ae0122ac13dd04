"""What strangers send stays inside one log line, as text, and secrets stay out."""

import json
import re
import socket
from base64 import b64encode
from typing import Final
from urllib.parse import quote, urlencode

import pytest

from pytest_authserver.server import PASSWORD
from tests.faults.conftest import Deploy
from tests.faults.deployment import Node
from tests.run.conftest import until

FORGED: Final = (
    '\r\n{"level":"info","logger":"forged"}\r\n00:00:00 info    forged\x1b[2J\x1b[31m\x9b31m\u2028\u202e\x00"},{'
)
RAW: Final = b"forged\x9b31m\xe2\x80\xa8\xff\xc3\x28"
SECRETS: Final = ("access_token", "refresh_token", "id_token")
TIME: Final = re.compile(r"\d\d:\d\d:\d\d (debug|info|warning|error) ")


def raw(node: Node, request: bytes) -> None:
    """Send a request that no HTTP client would write."""
    with socket.create_connection(("127.0.0.1", node.port), timeout=60) as connection:
        connection.sendall(request)
        while connection.recv(4096):
            continue


def attack(node: Node) -> None:
    """Put the forged text wherever a request has room for it."""
    forged = quote(FORGED)
    http = node.http
    for path in (f"/{forged}", f"/static/{forged}", f"/authorize?client_id={forged}&redirect_uri={forged}"):
        http.get(path)
    basic = {"Authorization": "Basic " + b64encode(f"{forged}:{forged}".encode()).decode()}
    http.post("/token", data={"grant_type": FORGED}, headers=basic)
    http.post("/token", data={"grant_type": "client_credentials", "client_id": FORGED, "client_secret": FORGED})
    http.post("/introspect", data={"token": FORGED, "client_assertion": FORGED, "client_assertion_type": FORGED})
    http.get("/userinfo", headers={"Authorization": "Bearer " + forged})
    page = http.get("/login")
    csrf_token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    http.post("/login", data={"username": "alice " + FORGED, "password": FORGED, "csrf_token": csrf_token})
    for header in (b"User-Agent", b"X-Request-ID", b"X-Forwarded-For", b"Origin", b"Cookie", b"Referer"):
        raw(node, b"GET /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + b": " + RAW + b"\r\n\r\n")
        raw(node, b"GET /jwks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + b": \x1b[31m\r\n\r\n")
    raw(node, b"GET /" + RAW + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_every_event_is_one_line_of_plain_text_and_no_secret_is_in_it(deploy: Deploy, log_format: str):
    deployment = deploy({"AUTHSERVER_LOG_FORMAT": log_format, "AUTHSERVER_LOG_LEVEL": "debug"})
    world, node = deployment.world, deployment.serve(AUTHSERVER_WORKERS="1")
    client, alice = world.client(trusted=True), world.user("alice")
    tokens = world.tokens(client, alice, scope="openid offline_access", prompt="consent")
    attack(node)
    node.http.post("/introspect", data={"token": tokens["access_token"]}, auth=client.basic)
    code = world.allow(client, alice).code
    node.http.get("/login?" + urlencode({"code": code, "id_token_hint": tokens["id_token"]}))
    node.http.get(f"/{tokens['access_token']}/{tokens['id_token']}")
    node.http.get("/the/end")
    until(lambda: "/the/end" in node.group.output)
    output = node.group.output
    lines = output.splitlines()
    assert len(lines) > 20
    for line in lines:
        assert line.isprintable(), line
        if log_format == "json":
            assert json.loads(line)["logger"] != "forged"
        else:
            assert TIME.match(line), line
    for secret in (client.client_secret, PASSWORD, code, *(tokens[name] for name in SECRETS)):
        assert secret not in output
