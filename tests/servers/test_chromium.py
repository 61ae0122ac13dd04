"""Chromium as the tests get it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from playwright.sync_api import Error, Page

from tests.servers.fixtures import NewPage
from tests.servers.looks import LOOKS, PHONE, Look

BODY = b"<!doctype html><title>Hello</title><link rel=icon href='data:,'><p>words</p>"


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Set-Cookie", "seen=1")
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the standard library
        return


@pytest.fixture
def site() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Hello) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("page", LOOKS, indirect=True, ids=str)
def test_pages_are_shown_in_every_look(page: Page, site: str, request: pytest.FixtureRequest) -> None:
    look: Look = request.node.callspec.params["page"]
    page.goto(site)
    assert page.title() == "Hello"
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is (look.colors == "dark")
    assert page.viewport_size == {"width": look.width, "height": look.height}


def test_each_page_has_its_own_cookies(new_page: NewPage, site: str) -> None:
    one, other = new_page(), new_page(PHONE)
    one.goto(site)
    assert [cookie.get("name") for cookie in one.context.cookies()] == ["seen"]
    assert other.context.cookies() == []


def test_names_outside_this_machine_do_not_resolve(page: Page) -> None:
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        page.goto("http://somewhere.example/")


def test_tests_of_pages_are_marked_browser(request: pytest.FixtureRequest, page: Page) -> None:
    assert request.node.get_closest_marker("browser")
