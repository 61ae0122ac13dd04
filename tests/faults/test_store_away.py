"""The store goes away and comes back (DECISIONS, Faults): 503 where it is needed, the rest goes on, nothing restarts."""

import re
import sqlite3
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from authserver.clock import MINUTE, now
from authserver.identity.sessions import cookie_name
from pytest_authserver import RegisteredClient
from tests.faults.conftest import Deploy
from tests.faults.deployment import Deployment, Node
from tests.servers.postgres import Postgres
from tests.servers.process import ServerProcess
from tests.servers.valkey import Valkey

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
IN_MEMORY = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/jwks",
    "/static/authserver.css",
    "/health/live",
)
Ask = Callable[[], httpx2.Response]


class Caller:
    """Everybody who asks something of a deployment: a client, a resource server, a browser that is signed in."""

    def __init__(self, deployment: Deployment, node: Node) -> None:
        world = self.world = deployment.world
        self.http = node.http
        self.client = world.client(trusted=True)
        self.alice = world.user("alice")
        self.tokens = world.tokens(self.client, self.alice, scope="openid offline_access", prompt="consent")
        self.doomed = [self.token() for _ in range(3)]
        self.cookie = {"Cookie": f"{cookie_name(world.settings)}={world._session(self.alice)[0]}"}
        self.stranger = self.http.get("/login")
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.stranger.text)
        assert found
        self.csrf = found[1]
        self.http.cookies.clear()

    def post(self, path: str, client: RegisteredClient | None = None, **parameters: str) -> httpx2.Response:
        return self.http.post(
            path, content=urlencode(parameters), headers=FORM, auth=(client or self.client).basic
        )

    def token(self) -> str:
        answer = self.world.token(self.client, grant_type="client_credentials").json()
        return str(answer["access_token"])

    def grant(self) -> httpx2.Response:
        return self.post("/token", grant_type="client_credentials")

    def introspect(self) -> httpx2.Response:
        return self.post("/introspect", token=self.tokens["access_token"])

    def userinfo(self) -> httpx2.Response:
        return self.http.get("/userinfo", headers={"Authorization": f"Bearer {self.tokens['access_token']}"})

    def revoke(self) -> httpx2.Response:
        return self.post("/revoke", token=self.doomed[0])

    def refresh(self) -> httpx2.Response:
        return self.post("/token", grant_type="refresh_token", refresh_token=self.tokens["refresh_token"])

    def authorize(self, **headers: str) -> httpx2.Response:
        query = urlencode(self.world.request(self.client, self.world.pkce()))
        return self.http.get(f"/authorize?{query}", headers=headers)

    def answer_at_once(self) -> httpx2.Response:
        return self.authorize(**self.cookie)

    def log_in(self) -> httpx2.Response:
        name, _, value = self.stranger.headers["set-cookie"].partition(";")[0].partition("=")
        form = {"username": "alice", "password": "correct horse battery staple", "csrf_token": self.csrf}
        return self.http.post("/login", data=form, headers={"Cookie": f"{name}={value}"})

    def account(self) -> httpx2.Response:
        return self.http.get("/account", headers=self.cookie)

    def ready(self) -> httpx2.Response:
        return self.http.get("/health/ready")
