"""oidc-client-ts from npm in Chromium: the page of docs/javascript.md on its own origin, with the package's build.

Loopback stands for both ways to deploy it: two ports of ``127.0.0.1`` are one site, ``localhost`` is another one.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from authserver.manage import sessions
from pytest_authserver import AuthServer
from pytest_authserver.live import serving
from pytest_authserver.server import PASSWORD
from tests import documented
from tests.servers.looks import complaints_of

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

NewPage = Callable[..., "Page"]

PAGE = "javascript.md"
SETTINGS, APP, CALLBACK, MONITORED, BOUND, CALL = documented.blocks(PAGE, "js")[:6]
(INDEX,) = documented.blocks(PAGE, "html")
(POLICY,) = documented.blocks(PAGE, "http")
CLIENT = documented.blocks(PAGE, "json")[0]
LIBRARY = "oidc-client-ts.min.js"
_FAILURE = "error => ({ name: error.name, error: error.error, known: error instanceof oidc.ErrorResponse })"
# Written where a selector can wait for it: under the policy a test evaluates nothing later on.
_TELL_ANSWERS = """addEventListener("message", ({ data, origin }) => {
  if (origin !== location.origin) document.body.title += `${data} `;
});"""
_TELL_RENEWALS = """const seen = new Set();
const see = (user) => {
  if (user) seen.add(user.access_token);
  if (seen.size > 1) document.body.title = "renewed";
};
manager.getUser().then(see);
manager.events.addUserLoaded(see);"""


class Site(ThreadingHTTPServer):
    """The files of an application, under the policy of the documentation."""

    def __init__(self, host: str, at: AuthServer, library: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Files)
        self.origin = f"http://{host}:{self.server_port}"
        self.at = at
        callback = INDEX.replace("app.js", "callback.js")
        texts = {"": INDEX, "callback.html": callback, "callback.js": CALLBACK, "favicon.ico": ""}
        self.files = {LIBRARY: library} | {name: text.encode() for name, text in texts.items()}
        self.policy = POLICY.strip().partition(": ")[2].replace("https://login.example", at.issuer)

    def deploy(self, *settings: str, script: str = "", **metadata: Any) -> None:
        """Register the client of the documentation and write its files, with these changes and lines."""
        members = json.loads(CLIENT.replace("https://notes.example", self.origin))
        client = self.at.client(**(members | metadata))
        text = SETTINGS.replace("https://login.example", self.at.issuer).replace("CLIENT_ID", client.client_id)
        self.files["settings.js"] = "\n".join((text, *settings)).encode()
        self.files["app.js"] = f"{APP}\n{script}".encode()


class _Files(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        name = urlsplit(self.path).path.removeprefix("/")
        body = self.server.files.get(name)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Type", "text/javascript" if name.endswith(".js") else "text/html")
        self.send_header("Content-Security-Policy", self.server.policy)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextmanager
def _site(host: str, at: AuthServer, node_modules: Path) -> Iterator[Site]:
    library = node_modules / "oidc-client-ts" / "dist" / "browser" / LIBRARY
    with Site(host, at, library.read_bytes()) as site:
        thread = Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield site
        site.shutdown()
        thread.join()


@pytest.fixture
def site(server: AuthServer, node_modules: Path) -> Iterator[Site]:
    """An application on the site of a server with the default features."""
    with _site("127.0.0.1", server, node_modules) as running:
        yield running


@pytest.fixture(scope="module")
def watchful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server with session management, which wants its nonce in every proof."""
    settings: dict[str, Any] = {"features": {"session_management": True}, "dpop": {"require_nonce": True}}
    with serving(tmp_path_factory.mktemp("watchful"), **settings) as running:
        running.user("alice", name="Alice Liddell")
        yield running


@pytest.fixture
def watched(watchful: AuthServer, node_modules: Path) -> Iterator[Site]:
    """An application on the site of that server."""
    with _site("127.0.0.1", watchful, node_modules) as running:
        yield running


@pytest.fixture
def foreign(watchful: AuthServer, node_modules: Path) -> Iterator[Site]:
    """An application on another site."""
    with _site("localhost", watchful, node_modules) as running:
        yield running


def _sign_in(page: "Page", site: Site) -> None:
    page.goto(site.origin)
    page.click("#sign-in")
    _at_the_server(page)
    page.wait_for_url(f"{site.origin}/")
    page.wait_for_selector("#sign-out")


def _at_the_server(page: "Page", button: str = "#consent-allow") -> None:
    page.fill("#username", "alice")
    page.fill("#password", PASSWORD)
    page.click("#login-submit")
    page.click(button)


def _user(page: "Page") -> dict[str, Any]:
    user: dict[str, Any] = page.evaluate("manager.getUser()")
    return user


def _answers(page: "Page") -> list[str]:
    """Return what our frame has answered."""
    return (page.get_attribute("body", "title") or "").split()


def _asked(page: "Page") -> list[dict[str, list[str]]]:
    """Return a list of the authorization requests that the page's frames make from now on."""
    found: list[dict[str, list[str]]] = []

    def note(request: "Request") -> None:
        address = urlsplit(request.url)
        if address.path == "/authorize" and request.frame.parent_frame is not None:
            found.append(parse_qs(address.query))

    page.on("request", note)
    return found


def test_a_page_signs_in_renews_both_ways_and_signs_out(site: Site, new_page: NewPage):
    site.deploy()
    page = new_page()
    complaints, frames = complaints_of(page), _asked(page)
    _sign_in(page, site)
    # The name is from userinfo: the ID token has none.
    assert page.inner_text("#who") == "Signed in as Alice Liddell"
    first = _user(page)
    assert (first["token_type"], first["scope"]) == ("Bearer", "openid profile email")
    second = page.evaluate("manager.signinSilent()")
    assert (second["profile"]["sub"], frames) == (first["profile"]["sub"], [])
    third = page.evaluate("manager.signinSilent({ forceIframeAuth: true })")
    assert (third["profile"]["sub"], [asked["prompt"] for asked in frames]) == (first["profile"]["sub"], [["none"]])
    for name in ("access_token", "refresh_token"):
        assert len({each[name] for each in (first, second, third)}) == 3
    assert complaints == []
    with page.expect_navigation(url=re.compile(re.escape(site.origin) + r"/\?state=")):
        page.click("#sign-out")
    page.wait_for_url(f"{site.origin}/")
    assert page.inner_text("#who") == "Nobody is signed in"
    assert page.evaluate("Object.keys(localStorage).concat(Object.keys(sessionStorage))") == []
    refused = page.evaluate(f"manager.signinSilent().catch({_FAILURE})")
    assert refused == {"name": "ErrorResponse", "error": "login_required", "known": True}


def test_a_page_without_a_refresh_token_renews_by_itself_in_a_frame_until_the_session_is_over(
    site: Site, new_page: NewPage
):
    soon = "settings.accessTokenExpiringNotificationTimeInSeconds = 598;"
    site.deploy(soon, script=_TELL_RENEWALS, grant_types=["authorization_code"])
    page = new_page()
    frames = _asked(page)
    _sign_in(page, site)
    page.wait_for_selector("body[title=renewed]")
    assert frames[0]["prompt"] == ["none"]
    user = _user(page)
    assert user["refresh_token"] is None
    sessions.end_all(site.at.store, user["profile"]["sub"], actor="test")
    page.wait_for_selector("text=Nobody is signed in")


def test_revoked_tokens_are_gone_at_once(site: Site, new_page: NewPage):
    site.deploy()
    page = new_page()
    _sign_in(page, site)
    tokens = _user(page)
    page.evaluate("manager.revokeTokens()")
    answer = page.evaluate(
        "async ([url, token]) => (await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).status",
        [f"{site.at.issuer}/userinfo", tokens["access_token"]],
    )
    assert answer == 401
    page.evaluate("token => manager.getUser().then(user => manager.storeUser(Object.assign(user, token)))", tokens)
    refused = page.evaluate(f"manager.signinSilent().catch({_FAILURE})")
    assert refused == {"name": "ErrorResponse", "error": "invalid_grant", "known": True}


def test_a_popup_answers_although_our_pages_part_with_who_opened_them(site: Site, new_page: NewPage):
    site.deploy()
    page = new_page()
    page.goto(site.origin)
    with page.expect_popup() as opened:
        page.evaluate("void manager.signinPopup({ nonce: crypto.randomUUID() })")
    _at_the_server(opened.value)
    page.wait_for_selector("#sign-out")
    assert page.inner_text("#who") == "Signed in as Alice Liddell"


def test_a_refusal_reaches_the_page_by_its_code(site: Site, new_page: NewPage):
    site.deploy()
    page = new_page()
    page.goto(site.origin)
    page.click("#sign-in")
    _at_the_server(page, "#consent-deny")
    page.wait_for_selector("text=Not signed in: access_denied")


def test_tokens_are_bound_to_a_key_of_the_browser_with_nonces(watched: Site, new_page: NewPage):
    watched.deploy(BOUND, script=CALL, dpop_bound_access_tokens=True)
    page = new_page()
    frames = _asked(page)
    _sign_in(page, watched)
    first = _user(page)
    assert first["token_type"] == "DPoP"
    second = page.evaluate("manager.signinSilent()")
    assert second["refresh_token"] != first["refresh_token"]
    for token in (first, second):
        assert token["profile"]["sub"] == first["profile"]["sub"]
    userinfo = page.evaluate("url => call(url).then((answer) => answer.json())", f"{watched.at.issuer}/userinfo")
    assert userinfo["name"] == "Alice Liddell"
    assert page.evaluate("manager.signinSilent({ forceIframeAuth: true })")["token_type"] == "DPoP"
    assert "dpop_jkt" in frames[0]


def test_a_page_hears_of_a_logout_in_another_tab(watched: Site, new_page: NewPage):
    watched.deploy(MONITORED, "settings.checkSessionIntervalInSeconds = 0.3;", script=_TELL_ANSWERS)
    page = new_page()
    _sign_in(page, watched)
    page.wait_for_selector('body[title^="unchanged unchanged "]')
    other = page.context.new_page()
    other.goto(f"{watched.at.issuer}/logout")
    other.click("#logout-confirm")
    other.wait_for_selector("#logged-out")
    page.wait_for_selector("text=Nobody is signed in")
    assert _answers(page)[-1] == "changed"


def test_a_page_on_another_site_renews_by_refresh_token_alone(foreign: Site, new_page: NewPage):
    foreign.deploy(MONITORED, "settings.checkSessionIntervalInSeconds = 0.3;", script=_TELL_ANSWERS)
    page = new_page()
    _sign_in(page, foreign)
    assert page.inner_text("#who") == "Signed in as Alice Liddell"
    first = _user(page)
    assert page.evaluate("manager.signinSilent()")["refresh_token"] != first["refresh_token"]
    refused = page.evaluate(f"manager.signinSilent({{ forceIframeAuth: true }}).catch({_FAILURE})")
    assert refused == {"name": "ErrorResponse", "error": "login_required", "known": True}
    page.wait_for_selector('body[title^="error "]')
    assert page.inner_text("#who") == "Signed in as Alice Liddell"
