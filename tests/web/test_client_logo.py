"""Logos of clients as a browser draws them: from here, and with a letter where there is none to be had."""

import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from pytest_authserver import AuthServer
from tests.drawing import png
from tests.listener import Listener, says
from tests.servers.looks import PHONE, complaints_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

NewPage = Callable[..., "Page"]
_BOX = """() => {
    const box = document.querySelector(".logo"), [letter, picture] = box.children;
    return {
        drawn: picture.naturalWidth, wide: picture.getBoundingClientRect().width, letter: letter.textContent,
        box: [box.offsetWidth, box.offsetHeight], from: new URL(picture.src).origin,
    };
}"""


@pytest.fixture
def authserver_settings(database_url: str) -> dict[str, Any]:
    return {"database_url": database_url, "outbound_allow": ["127.0.0.1"]}


def _picture_or_nothing(listener: Listener, connection: socket.socket) -> None:
    there = b"/logo.png" in listener.heads[-1]
    (says(png(300, 60)) if there else says(b"", "404 Not Found"))(listener, connection)


@pytest.fixture
def place() -> Iterator[str]:
    with Listener(_picture_or_nothing) as listener:
        yield f"http://127.0.0.1:{listener.port}"


def test_the_picture_is_drawn_in_its_box_or_a_letter_is(
    live_authserver: AuthServer, place: str, new_page: NewPage
) -> None:
    shown = {}
    for name in ("logo.png", "nothing.png"):
        page = new_page(PHONE)
        complaints = complaints_of(page)
        client = live_authserver.client(client_name="holiday photos", logo_uri=f"{place}/{name}")
        page.goto(
            f"{live_authserver.issuer}/authorize?{urlencode(live_authserver.request(client, live_authserver.pkce()))}"
        )
        page.wait_for_load_state("networkidle")
        shown[name] = page.evaluate(_BOX)
        assert not [said for said in complaints if "Content Security Policy" in said]
        assert page.locator("body").aria_snapshot().count("holiday photos") >= 1
    box = {"letter": "H", "box": [48, 48], "from": live_authserver.issuer}
    assert shown["logo.png"] == {"drawn": 300, "wide": 48, **box}
    # The letter is seen: the picture that is not there has no width.
    assert shown["nothing.png"] == {"drawn": 0, "wide": 0, **box}
