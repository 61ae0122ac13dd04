"""A session that ends at one place ends at the others: server processes that tell clients, one killed in the middle."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from urllib.parse import parse_qs

import jwt
import pytest
from sqlalchemy import update

from authserver.clock import now
from authserver.manage import sessions
from authserver.store.tables import jobs
from tests.faults.deployment import Deployment, deployed
from tests.run.conftest import until
from tests.servers.process import free_port

pytestmark = pytest.mark.slow
_PATIENCE = 60
ENVIRON = {"AUTHSERVER_WORKERS": "1", "AUTHSERVER_DATABASE__BUSY_MS": "20000", "AUTHSERVER_OUTBOUND_ALLOW": "127.0.0.1"}


class Shop(ThreadingHTTPServer):
    """A client that hears of ended sessions; while it is not ``open`` it says nothing to whoever tells it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.open = Event()
        self.rings: Queue[str] = Queue()
        self.heard: Counter[str] = Counter()

    @property
    def place(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/backchannel"


class Door(BaseHTTPRequestHandler):
    server: Shop

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        claims = jwt.decode(parse_qs(body)["logout_token"][0], options={"verify_signature": False})
        self.server.heard[claims["sid"]] += 1
        self.server.rings.put(claims["sid"])
        self.server.open.wait(_PATIENCE)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as served:
        thread = Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield served
        served.open.set()
        served.shutdown()
        thread.join()


def _sign_in_and_end(deployment: Deployment, shop: Shop, count: int) -> list[str]:
    world = deployment.world
    client = world.client(backchannel_logout_uri=shop.place)
    user = world.user(f"user-{shop.server_port}-{count}")
    allowed = [world.allow(client, user) for _ in range(count)]
    sessions.end_all(world.store, user.sub, actor="test")
    return [each.session.sid for each in allowed]


def test_what_a_killed_process_was_telling_another_one_tells_and_two_tell_nothing_twice(tmp_path: Path, shop: Shop):
    with deployed(tmp_path, ENVIRON) as deployment:
        deployment.serve()
        (sid,) = _sign_in_and_end(deployment, shop, 1)
        assert shop.rings.get(timeout=_PATIENCE) == sid
        group = deployment.nodes[-1].group
        os.killpg(group.pid, signal.SIGKILL)
        group.is_gone()
        (job,) = deployment.world.store.jobs.list(0, 10)
        assert job.attempts == 1
        assert job.due_at > now(), "it is still the killed one's"

        shop.open.set()
        deployment.serve()
        deployment.serve(free_port())
        assert shop.heard == {sid: 1}
        with deployment.world.store.database.engine.begin() as connection:
            connection.execute(update(jobs).values(due_at=0))  # as if the minute were over
        until(lambda: shop.heard[sid] == 2)
        sids = _sign_in_and_end(deployment, shop, 20)
        until(lambda: not deployment.world.store.jobs.list(0, 10))
        assert shop.heard == Counter([sid, sid, *sids])
        delivered = deployment.world.store.audit.list(0, 1000, "job.delivered")
        assert [line.event.facts["attempts"] for line in delivered] == [2] + [1] * 20
