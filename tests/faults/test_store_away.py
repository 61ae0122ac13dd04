"""The store goes away and comes back: 503 where it is needed, the rest goes on, nothing is restarted."""

import os
import signal
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import httpx2

from authserver.identity.sessions import cookie_name
from pytest_authserver.server import PASSWORD
from tests.faults.conftest import Deploy
from tests.faults.deployment import Deployment, Node
from tests.run.conftest import until
from tests.servers.postgres import Postgres
from tests.servers.process import ServerProcess
from tests.servers.valkey import Valkey

IN_MEMORY: Final = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/jwks",
    "/static/authserver.css",
    "/health/live",
)
REFRESH: Final = {"grant_type": "refresh_token"}
Ask = Callable[[], httpx2.Response]


class Caller:
    """Everybody who asks something of a deployment: a client, a resource server, a browser that is signed in."""

    def __init__(self, deployment: Deployment, node: Node) -> None:
        world = self.world = deployment.world
        self.http = node.http
        self.client = world.client(trusted=True)
        alice = world.user("alice")
        self.tokens = world.tokens(self.client, alice, scope="openid offline_access", prompt="consent")
        self.revoked = world.token(self.client, grant_type="client_credentials").json()["access_token"]
        self.signed_in = {"Cookie": f"{cookie_name(world.settings)}={world._session(alice)[0]}"}
        page = self.http.get("/login")
        self.stranger = {"Cookie": page.headers["set-cookie"].partition(";")[0]}
        self.csrf_token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        self.http.cookies.clear()
        self.asks: dict[str, Ask] = {
            "token": lambda: self.post("/token", grant_type="client_credentials"),
            "refresh": lambda: self.post("/token", **REFRESH, refresh_token=self.tokens["refresh_token"]),
            "introspection": lambda: self.post("/introspect", token=self.tokens["access_token"]),
            "revocation": lambda: self.post("/revoke", token=self.revoked),
            "userinfo": lambda: self.get("/userinfo", Authorization=f"Bearer {self.tokens['access_token']}"),
            "authorization": lambda: self.get(self.authorize()),
            "authorization, signed in": lambda: self.get(self.authorize(), **self.signed_in),
            "login": self.log_in,
            "account": lambda: self.get("/account", **self.signed_in),
            "readiness": lambda: self.get("/health/ready"),
        }

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.http.get(path, headers=headers)

    def post(self, path: str, **parameters: str) -> httpx2.Response:
        return self.http.post(path, data=parameters, auth=self.client.basic)

    def authorize(self) -> str:
        return f"/authorize?{urlencode(self.world.request(self.client, self.world.pkce()))}"

    def log_in(self) -> httpx2.Response:
        form = {"username": "alice", "password": PASSWORD, "csrf_token": self.csrf_token}
        return self.http.post("/login", data=form, headers=self.stranger)

    def statuses(self, *names: str) -> dict[str, int]:
        """Ask these, or everything, once; what is refused for now must say when to come back."""
        found = {}
        for name in names or self.asks:
            answer = self.asks[name]()
            self.http.cookies.clear()
            found[name] = answer.status_code
            assert answer.status_code != 503 or int(answer.headers["retry-after"]) > 0, name
            if name == "refresh" and answer.status_code == 200:
                self.tokens = answer.json()
        return found


GOOD = {
    "token": 200,
    "refresh": 200,
    "introspection": 200,
    "revocation": 200,
    "userinfo": 200,
    "authorization": 303,
    "authorization, signed in": 303,
    "login": 303,
    "account": 200,
    "readiness": 200,
}


# Interactions are there; tries are counted by each process alone.
OF_VALKEY = ("authorization", "readiness")


def away(*names: str) -> dict[str, int]:
    """Return the statuses while these, or all, cannot be answered."""
    return {name: 503 if name in (names or GOOD) else status for name, status in GOOD.items()}


def assert_memory_answers(node: Node) -> None:
    assert {path: node.http.get(path).status_code for path in IN_MEMORY} == dict.fromkeys(IN_MEMORY, 200)


def play_outage(deployment: Deployment, server: ServerProcess | None, expected: dict[str, int]) -> None:
    """Take the server away from a deployment that runs, and give it back."""
    assert server
    node = deployment.serve()
    caller = Caller(deployment, node)
    processes = {process.pid for process in node.group.members()}
    assert caller.statuses() == GOOD
    server.stop()
    try:
        # Twice: the first answers may still find connections, the others must not wait for new ones.
        for _ in range(2):
            assert caller.statuses() == expected
            assert_memory_answers(node)
    finally:
        server.start()
    until(lambda: caller.statuses() == GOOD, lambda: node.group.output)
    assert {process.pid for process in node.group.members()} == processes
    assert "Traceback" not in node.group.output


def test_without_postgresql_what_needs_it_says_when_to_come_back(deploy: Deploy, own_postgres: Postgres):
    play_outage(deploy(database_url=own_postgres.create()), own_postgres.process, away())


def test_a_process_that_was_asked_nothing_before_the_outage_answers_from_memory(deploy: Deploy, own_postgres: Postgres):
    world = deploy(database_url=own_postgres.create()).world
    assert own_postgres.process
    own_postgres.process.stop()
    with world.later(5):
        assert {path: world.get(path).status_code for path in IN_MEMORY} == dict.fromkeys(IN_MEMORY, 200)
        assert world.get("/health/ready").status_code == 503


def test_without_valkey_tokens_go_on_and_new_sign_ins_wait(deploy: Deploy, own_valkey: Valkey):
    deployment = deploy({"AUTHSERVER_REDIS_URL": own_valkey.empty()})
    play_outage(deployment, own_valkey.process, away(*OF_VALKEY))


def test_a_valkey_that_does_not_answer_holds_nothing_up(deploy: Deploy, own_valkey: Valkey):
    deployment = deploy({"AUTHSERVER_REDIS_URL": own_valkey.empty()})
    assert own_valkey.process
    assert own_valkey.process._process
    node = deployment.serve()
    caller = Caller(deployment, node)
    pid = own_valkey.process._process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert caller.statuses("token", "introspection", *OF_VALKEY) == {
            "token": 200,
            "introspection": 200,
            **dict.fromkeys(OF_VALKEY, 503),
        }
        assert_memory_answers(node)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: caller.statuses() == GOOD, lambda: node.group.output)


def test_while_another_process_writes_to_sqlite_reads_go_on_and_writers_are_told_soon(deploy: Deploy, tmp_path: Path):
    deployment = deploy()
    node = deployment.serve()
    caller = Caller(deployment, node)
    assert caller.statuses() == GOOD
    other = sqlite3.connect(tmp_path / "authserver.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        reads = {"introspection", "userinfo", "account", "readiness"}
        assert caller.statuses() == away(*(GOOD.keys() - reads))
        with ThreadPoolExecutor(20) as threads:
            waiting = [threads.submit(caller.asks["token"]) for _ in range(40)]
            reading = [threads.submit(caller.asks["introspection"]) for _ in range(40)]
        assert [answer.result().status_code for answer in waiting] == [503] * 40
        assert [answer.result().status_code for answer in reading] == [200] * 40
        assert_memory_answers(node)
    finally:
        other.execute("ROLLBACK")
        other.close()
    # The refresh token that could not be used is as good as before.
    assert caller.statuses() == GOOD
