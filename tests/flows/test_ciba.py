"""A shop asks, its customer answers elsewhere (CIBA): over real HTTP with notifications, and in races of processes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, islice
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, NamedTuple

import httpx2
import pytest

from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.live import serving
from tests.backchannel import GRANT_TYPE, PLENTY, asking_client, begin, decide
from tests.flows.conftest import Nodes
from tests.flows.racing import RACERS, post, race

TOKEN = "a-token-of-the-shop-that-nobody-can-guess"
_PATIENCE = 20  # seconds


class Told(NamedTuple):
    """A notification as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


class Shop(ThreadingHTTPServer):
    """The notification endpoint of a client, which answers as badly as a test wants."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Till)
        self.place = f"http://127.0.0.1:{self.server_port}/told"
        self.told: Queue[Told] = Queue()
        self.answer: tuple[int, dict[str, str], bytes] = (204, {}, b"")


class _Till(BaseHTTPRequestHandler):
    server: Shop

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, headers, answer = self.server.answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)
        self.server.told.put(Told(self.path, dict(self.headers), body))

    def do_GET(self) -> None:
        self.server.told.put(Told(self.path, dict(self.headers), b""))

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextmanager
def running_shop() -> Iterator[Shop]:
    with Shop() as shop:
        thread = Thread(target=shop.serve_forever, daemon=True)
        thread.start()
        yield shop
        shop.shutdown()
        thread.join()


def test_a_shop_is_told_once_and_gets_its_tokens_however_it_answers(tmp_path: Path):
    settings: dict[str, Any] = {"features": {"ciba": True}, "limits": PLENTY}
    with (
        running_shop() as shop,
        serving(tmp_path, outbound_allow=("127.0.0.1",), **settings) as at,
        httpx2.Client(base_url=at.issuer, trust_env=False) as http,
    ):
        client, alice = _pinged(at, shop), at.user("alice")
        answers: list[tuple[int, dict[str, str], bytes]] = [
            (204, {}, b""),
            (200, {"Content-Type": "application/json"}, b'{"error": "ignored"}'),
            (401, {"WWW-Authenticate": "Bearer"}, b""),
            (403, {}, b"no"),
            (301, {"Location": f"http://127.0.0.1:{shop.server_port}/elsewhere"}, b""),
            (500, {}, b"x" * 1000),
        ]
        for number, shop.answer in enumerate(answers):
            asked = {"scope": "openid", "login_hint": "alice", "client_notification_token": TOKEN}
            codes = http.post("/bc-authorize", data=asked, auth=client.basic).json()
            decide(at, alice, "request-deny" if number == 1 else "request-allow")
            told = shop.told.get(timeout=_PATIENCE)
            assert told.path == "/told"
            assert told.headers["Authorization"] == f"Bearer {TOKEN}"
            assert told.headers["Content-Type"] == "application/json"
            assert json.loads(told.body) == {"auth_req_id": codes["auth_req_id"]}
            polled = {"grant_type": GRANT_TYPE, "auth_req_id": codes["auth_req_id"]}
            answer = http.post("/token", data=polled, auth=client.basic)
            assert answer.status_code == (400 if number == 1 else 200), answer.text
        # Nothing came a second time, and nothing where the redirect pointed.
        assert shop.told.empty()


def test_a_shop_that_is_not_there_or_inside_gets_nothing_and_its_flow_completes(tmp_path: Path):
    with running_shop() as shop, serving(tmp_path, features={"ciba": True}, limits=PLENTY) as at:
        # Not on the allow-list: http on loopback is not public.
        client, alice = _pinged(at, shop), at.user("alice")
        codes = begin(at, client, alice, client_notification_token=TOKEN)
        assert 'id="request-allowed"' in decide(at, alice).text
        assert at.token(client, grant_type=GRANT_TYPE, auth_req_id=codes["auth_req_id"]).status_code == 200
        assert shop.told.empty()


# Races, on SQLite and on PostgreSQL.


@pytest.mark.slow
def test_of_many_polls_at_two_processes_one_gets_tokens_and_using_the_code_again_revokes_them(nodes: Nodes):
    client, user = asking_client(nodes.world), nodes.world.user("ciba-once")
    for _ in range(3):
        codes = begin(nodes.world, client, user)
        decide(nodes.world, user)
        polled = {"grant_type": GRANT_TYPE, "auth_req_id": codes["auth_req_id"]}
        acts = [post(http, "/token", client.basic, **polled) for http in islice(cycle(nodes.clients), RACERS)]
        answers = race(acts)
        assert [answer.status_code for answer in answers].count(200) == 1
        assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
        assert nodes.world.store.grants.of_user(user.sub) == ()


@pytest.mark.slow
def test_no_more_requests_wait_for_a_user_however_many_come_at_once(nodes: Nodes):
    client, user = asking_client(nodes.world), nodes.world.user("ciba-flood")
    asked = {"scope": "openid", "login_hint": "ciba-flood"}
    acts = [post(http, "/bc-authorize", client.basic, **asked) for http in islice(cycle(nodes.clients), 12)]
    answers = race(acts)
    assert [answer.status_code for answer in answers].count(200) == 3
    assert {answer.status_code for answer in answers} <= {200, 429, 503}
    page = nodes.world.browser(user).visit("/account/requests")
    assert page.text.count('href="/account/requests/') == 3


def _pinged(at: AuthServer, shop: Shop) -> RegisteredClient:
    mode = {"backchannel_token_delivery_mode": "ping", "backchannel_client_notification_endpoint": shop.place}
    return asking_client(at, **mode)
