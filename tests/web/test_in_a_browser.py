"""What only a real browser shows: policies that it enforces, forms without script, small and dark screens."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.servers.looks import PHONE, Look

if TYPE_CHECKING:
    from playwright.sync_api import Page

NewPage = Callable[..., "Page"]
SMALL = Look("small", 320, 568, "dark", touch=True)


class Application(ThreadingHTTPServer):
    """An application whose callback sends people on to another origin, as many do."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Pages)
        self.callback = f"http://127.0.0.1:{self.server_port}/callback"
        self.home = f"http://localhost:{self.server_port}/home"
        self.received: list[dict[str, list[str]]] = []


class _Pages(BaseHTTPRequestHandler):
    server: Application

    def do_GET(self) -> None:
        if self.path.startswith("/callback"):
            self._received(urlsplit(self.path).query)
        else:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>home</title>")

    def do_POST(self) -> None:
        self._received(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _received(self, parameters: str) -> None:
        self.server.received.append(parse_qs(parameters))
        self.send_response(303)
        self.send_header("Location", self.server.home)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def application() -> Iterator[Application]:
    with Application() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(live_authserver: AuthServer, application: Application) -> RegisteredClient:
    live_authserver.user("alice")
    return live_authserver.client(client_name="Holiday Photos", redirect_uris=[application.callback])


def _start(page: "Page", at: AuthServer, client: RegisteredClient, **parameters: str) -> None:
    page.goto(f"{at.issuer}/authorize?{urlencode(at.request(client, at.pkce(), **parameters))}")


def _log_in(page: "Page") -> None:
    page.get_by_label("User name or e-mail address").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("script", [True, False])
def test_the_whole_way_to_the_application_and_beyond(
    live_authserver: AuthServer, client: RegisteredClient, application: Application, new_page: NewPage, *, script: bool
) -> None:
    """The policy lets the redirect after the form work, and what the client does then."""
    page = new_page(java_script_enabled=script)
    _start(page, live_authserver, client)
    _log_in(page)
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url(application.home)
    assert "code" in application.received[0]


@pytest.mark.parametrize("script", [True, False])
def test_the_answer_by_form_with_and_without_script(
    live_authserver: AuthServer, client: RegisteredClient, application: Application, new_page: NewPage, *, script: bool
) -> None:
    page = new_page(java_script_enabled=script)
    _start(page, live_authserver, client, response_mode="form_post")
    _log_in(page)
    page.get_by_role("button", name="Allow", exact=True).click()
    if not script:
        page.get_by_role("button", name="Continue").click()
    page.wait_for_url(application.home)
    assert "code" in application.received[0]


def test_denying_reaches_the_application_too(
    live_authserver: AuthServer, client: RegisteredClient, application: Application, new_page: NewPage
) -> None:
    page = new_page()
    _start(page, live_authserver, client)
    _log_in(page)
    page.click("#consent-deny")
    page.wait_for_url(application.home)
    assert application.received[0]["error"] == ["access_denied"]


def test_signing_in_needs_no_mouse(live_authserver: AuthServer, client: RegisteredClient, new_page: NewPage) -> None:
    page = new_page()
    _start(page, live_authserver, client)
    page.wait_for_selector("#username:focus")  # the browser sets the focus when it has drawn
    page.keyboard.type("alice")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#consent-allow")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "another-account"


def test_a_wrong_password_is_announced_and_the_password_has_the_focus(
    live_authserver: AuthServer, client: RegisteredClient, new_page: NewPage
) -> None:
    page = new_page()
    _start(page, live_authserver, client)
    page.fill("#username", "alice")
    page.fill("#password", "wrong")
    page.click("#login-submit")
    assert page.get_by_role("alert").inner_text() == "The user name or the password is not right."
    assert page.evaluate("document.activeElement.id") == "password"


def test_the_text_can_be_read_on_its_ground(
    live_authserver: AuthServer, client: RegisteredClient, new_page: NewPage
) -> None:
    """WCAG 2.2, 1.4.3 (4.5 to 1) for text and 1.4.11 (3 to 1) for the edges of fields."""
    for look in (PHONE, SMALL):
        page = new_page(look)
        _start(page, live_authserver, client)
        names = page.evaluate(
            """Object.fromEntries(["ground", "surface", "ink", "soft", "edge", "accent", "on-accent", "tint", "grave",
                "grave-tint", "care", "care-tint", "fair", "fair-tint"].map(name =>
                    [name, getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim()]))"""
        )
        pairs = [(text, ground) for text in ("ink", "soft", "accent", "grave") for ground in ("ground", "surface")]
        pairs += [("on-accent", "accent"), ("grave", "grave-tint"), ("care", "care-tint"), ("fair", "fair-tint")]
        pairs += [("accent", "tint"), ("soft", "tint"), ("ink", "tint")]
        low = [pair for pair in pairs if _contrast(names[pair[0]], names[pair[1]]) < 4.5]
        assert low == []
        assert _contrast(names["edge"], names["surface"]) >= 3


def _contrast(one: str, other: str) -> float:
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    digits = color.removeprefix("#")
    parts = [digits[n : n + 2] for n in (0, 2, 4)] if len(digits) == 6 else [digit * 2 for digit in digits]
    levels = [int(part, 16) / 255 for part in parts]
    red, green, blue = (level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
