"""Frames of a logout in a real browser: clients hear of it, the browser goes on, a client's page sees the change."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.web.test_in_a_browser import NewPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

_PATIENCE = 30
# The client's page: a frame of the provider, and a question to it whenever the test asks.
_ASKING = """<!doctype html><title>client</title><iframe id="op" src="%s"></iframe><script>
const ready = new Promise((done) => document.getElementById("op").addEventListener("load", done));
const ask = async (text) => {
  await ready;
  return new Promise((done) => {
    addEventListener("message", (event) => done(event.data), {once: true});
    document.getElementById("op").contentWindow.postMessage(text, "%s");
  });
};
</script>"""


class Client(ThreadingHTTPServer):
    """A client that wants to be told by a frame; while it is not ``open`` that frame never loads."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.home = f"http://127.0.0.1:{self.server_port}"
        self.issuer = ""
        self.open = Event()
        self.open.set()
        self.told: Queue[dict[str, list[str]]] = Queue()


class _Pages(BaseHTTPRequestHandler):
    server: Client

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/front":
            self.server.told.put(parse_qs(parts.query))
            self.server.open.wait(_PATIENCE)
        text = (
            _ASKING % (f"{self.server.issuer}/check-session", self.server.issuer) if parts.path == "/asks" else "here"
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def authserver_settings() -> dict[str, Any]:
    return {"features": {"session_management": True}}


@pytest.fixture
def served(live_authserver: AuthServer) -> Iterator[Client]:
    with Client() as server:
        server.issuer = live_authserver.issuer
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.open.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def client(live_authserver: AuthServer, served: Client) -> RegisteredClient:
    live_authserver.user("alice")
    return live_authserver.client(
        trusted=True,
        redirect_uris=[f"{served.home}/callback"],
        post_logout_redirect_uris=[f"{served.home}/bye"],
        frontchannel_logout_uri=f"{served.home}/front",
    )


def _sign_in(page: "Page", at: AuthServer, client: RegisteredClient) -> tuple[str, str]:
    """Sign in to the client; return the ID token and the session state."""
    pkce = at.pkce()
    page.goto(f"{at.issuer}/authorize?{urlencode(at.request(client, pkce))}")
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#login-submit")
    page.wait_for_url("**/callback?*")
    answer = parse_qs(urlsplit(page.url).query)
    tokens = at.token(
        client,
        grant_type="authorization_code",
        code=answer["code"][0],
        redirect_uri=client.redirect_uri,
        code_verifier=pkce.verifier,
    ).json()
    return tokens["id_token"], answer["session_state"][0]


def _log_out(page: "Page", at: AuthServer, hint: str, served: Client) -> None:
    query = {"id_token_hint": hint, "post_logout_redirect_uri": f"{served.home}/bye", "state": "s"}
    page.goto(f"{at.issuer}/logout?{urlencode(query)}", wait_until="commit")


@pytest.mark.parametrize("how", ["script", "no script", "slow client"])
def test_the_client_is_told_and_the_browser_goes_on(
    live_authserver: AuthServer, client: RegisteredClient, served: Client, new_page: NewPage, how: str
) -> None:
    page = new_page(java_script_enabled=how != "no script")
    hint, _ = _sign_in(page, live_authserver, client)
    if how == "slow client":
        served.open.clear()
    _log_out(page, live_authserver, hint, served)
    told = served.told.get(timeout=_PATIENCE)
    assert told["iss"] == [live_authserver.issuer]
    if how == "no script":
        # No page goes on by a clock that people cannot stop (WCAG 2.2, 2.2.1).
        page.click("#logout-continue")
    page.wait_for_url(f"{served.home}/bye?state=s")


# oidcc-session-management: unchanged before a logout, changed after it.


def test_a_page_of_the_client_sees_that_the_session_is_over(
    live_authserver: AuthServer, client: RegisteredClient, served: Client, new_page: NewPage
) -> None:
    page = new_page()
    hint, state = _sign_in(page, live_authserver, client)
    asked = f"{client.client_id} {state}"
    page.goto(f"{served.home}/asks")
    assert page.evaluate("(text) => ask(text)", asked) == "unchanged"
    for wrong in ("", "x", f"{client.client_id} x", f"other {state}"[:3]):
        assert page.evaluate("(text) => ask(text)", wrong) == "error"
    assert page.evaluate("(text) => ask(text)", f"other {state}") == "changed"
    _log_out(page, live_authserver, hint, served)
    page.wait_for_url(f"{served.home}/bye?state=s")
    page.goto(f"{served.home}/asks")
    assert page.evaluate("(text) => ask(text)", asked) == "changed"
