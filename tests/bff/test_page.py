"""The page in a real browser: log in, write, delete, lose the session, log out."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from bff import BffSettings, create_app
from tests.bff.database import expire
from tests.bff.stub import Stub
from tests.servers.looks import LOOKS


@pytest.fixture
def served(stub: Stub, tmp_path: Path) -> Iterator[BffSettings]:
    """The application on a free port that its public URL names."""
    # The port must be known before the application is made, so the server is made around a stand-in.
    server = make_server("127.0.0.1", 0, lambda environ, start: [], threaded=True)
    settings = stub.settings(
        f"sqlite:///{tmp_path / 'bff.db'}", public_url=f"http://localhost:{server.server_port}", port=server.server_port
    )
    server.app = create_app(settings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield settings
    server.shutdown()
    thread.join()
    server.server_close()
    server.app.extensions["bff"].close()


@pytest.mark.parametrize("page", LOOKS, indirect=True, ids=str)
def test_a_day_with_the_page(served: BffSettings, stub: Stub, page: Any):
    violations: list[str] = []
    page.on("console", lambda said: violations.append(said.text) if "Content Security Policy" in said.text else None)
    page.on("pageerror", lambda error: violations.append(str(error)))
    page.goto(f"{served.public_url}/")
    page.click("#login")
    page.wait_for_selector("#almanac dl")
    assert page.inner_text("#user-name") == "Alice Liddell"
    assert page.inner_text("#notes-card [data-checked-by]") == "checked by introspection (opaque token)"
    assert page.inner_text("#almanac-card [data-checked-by]") == "checked by published keys (JWT)"

    page.fill("[name=text]", "<b>Tea</b> at four")
    page.click("#note-add")
    page.wait_for_selector("#notes li")
    assert page.inner_text("#notes li span") == "<b>Tea</b> at four"
    assert page.evaluate("document.activeElement.name") == "text"
    page.click("#notes li button")
    page.wait_for_selector("#notes li", state="detached")
    assert page.inner_text("#notes-status") == "Note deleted."

    assert page.evaluate("document.cookie") == ""
    stub.end_grants()
    expire(served)
    page.fill("[name=text]", "not yet sent")
    page.click("#note-add")
    page.wait_for_selector("#session-over", state="visible")
    page.click("#login-again")
    page.wait_for_selector("#almanac dl")
    assert page.input_value("[name=text]") == "not yet sent"

    page.click("#logout")
    page.wait_for_selector("text=You are logged out")
    assert page.is_visible("#login")
    assert violations == []


def test_another_site_cannot_use_the_session(served: BffSettings, stub: Stub, page: Any):
    page.goto(f"{served.public_url}/")
    page.click("#login")
    page.wait_for_selector("#almanac dl")
    stub.api_calls.clear()
    # Another port of the same host is the same site, so the browser would send the cookie.
    page.goto(f"{stub.issuer.replace('127.0.0.1', 'localhost')}/.well-known/openid-configuration")
    blocked = page.evaluate(
        """async (base) => {
          const tries = [
            fetch(base + "/api/notes", {credentials: "include", headers: {"X-CSRF": "1"}}),
            fetch(base + "/bff/user", {credentials: "include"}),
          ];
          return (await Promise.allSettled(tries)).map((result) => result.status);
        }""",
        served.public_url,
    )
    assert blocked == ["rejected", "rejected"]
    page.evaluate(
        """async (base) => {
          await fetch(base + "/bff/logout", {method: "POST", credentials: "include", mode: "no-cors"}).catch(() => 0);
          await fetch(base + "/api/notes", {credentials: "include", mode: "no-cors"}).catch(() => 0);
        }""",
        served.public_url,
    )
    assert stub.api_calls == []
    page.goto(f"{served.public_url}/")
    assert page.inner_text("#user-name") == "Alice Liddell"
