"""The sign-up page in a real browser: by the keyboard, without script, in small windows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.servers.looks import DESKTOP, PHONE_DARK, Look, assert_fits, complaints_of
from tests.signing_up import NEW

if TYPE_CHECKING:
    from playwright.sync_api import Page

NewPage = Callable[..., "Page"]
SMALL = Look("small", 360, 640, "light", touch=True)


@pytest.fixture
def authserver_settings(database_url: str) -> dict[str, Any]:
    terms = {"terms_uri": "https://people.test/terms", "policy_uri": "https://people.test/privacy"}
    return {"database_url": database_url, "features": {"signup": True}, "signup": terms}


@pytest.fixture
def alice(live_authserver: AuthServer) -> User:
    return live_authserver.user("alice")


@pytest.fixture
def client(live_authserver: AuthServer) -> RegisteredClient:
    return live_authserver.client(client_name="Holiday Photos")


def _open(page: "Page", at: AuthServer, client: RegisteredClient) -> None:
    page.goto(f"{at.issuer}/authorize?{urlencode(at.request(client, at.pkce(), prompt='create'))}")


def _focused(page: "Page") -> str:
    name: str = page.evaluate("document.activeElement.id")
    return name


def test_an_account_is_made_by_the_keyboard_alone_without_script(
    live_authserver: AuthServer, client: RegisteredClient, new_page: NewPage
) -> None:
    page = new_page(java_script_enabled=False)
    _open(page, live_authserver, client)
    page.wait_for_selector("#username:focus")
    for text in ("zoe", "zoe@people.test", "Zoë Jones", NEW):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    assert _focused(page) == "terms-link"
    for _ in range(2):
        page.keyboard.press("Tab")
    assert _focused(page) == "signup-submit"
    page.keyboard.press("Enter")
    page.wait_for_selector("#consent-allow")
    assert page.get_by_text("zoe", exact=True).is_visible()


@pytest.mark.parametrize("look", [DESKTOP, PHONE_DARK, SMALL], ids=str)
def test_what_is_wrong_is_announced_has_the_focus_and_fits(
    live_authserver: AuthServer, client: RegisteredClient, alice: User, new_page: NewPage, look: Look
) -> None:
    page = new_page(look)
    complaints = complaints_of(page)
    _open(page, live_authserver, client)
    assert_fits(page)
    for name, text in (("username", "zoe"), ("email", "zoe@people.test"), ("password", "short")):
        page.fill(f"#{name}", text)
    page.click("#signup-submit")
    assert "12 characters" in page.get_by_role("alert").inner_text()
    assert (_focused(page), page.input_value("#username"), page.input_value("#password")) == ("password", "zoe", "")
    assert_fits(page)
    page.fill("#username", alice.username)
    page.fill("#password", NEW)
    page.click("#signup-submit")
    assert page.get_by_role("alert").inner_text() == "This user name is taken. Choose another."
    assert _focused(page) == "username"
    # An answer with status 400 is written to the console of every browser.
    assert [text for text in complaints if "400" not in text] == []
