"""The pages on which a person connects a device (RFC 8628 3.3, 5.4)."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from authserver.records import Event, User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.devices import begin, decide, device_client, enter, poll
from tests.web.test_in_a_browser import NewPage

if TYPE_CHECKING:
    from playwright.sync_api import Page as BrowserPage

UNKNOWN = "BCDF-GHJK"


@pytest.fixture
def screen(authserver: AuthServer) -> RegisteredClient:
    return device_client(authserver)


@pytest.fixture
def codes(authserver: AuthServer, screen: RegisteredClient) -> dict[str, Any]:
    """What a device shows that asks for a few things."""
    return begin(authserver, screen, scope="openid email offline_access")


@pytest.fixture
def confirmation(signed_in: Browser, codes: dict[str, Any]) -> Page:
    """The page on which alice compares, in the browser ``signed_in``."""
    return enter(signed_in, codes["user_code"])


def test_the_page_says_who_asks_for_what_and_shows_the_code_to_compare_5_4(
    authserver: AuthServer, codes: dict[str, Any], confirmation: Page
):
    for words in (
        "Is this the device in front of you?",
        "Living room screen",
        "alice",
        codes["user_code"],
        "Confirm who you are",
        "See your e-mail address",
        "Also while you are away",
        "from <bdi>127.0.0.1</bdi> (your own network)",
        'id="device-warning"',
    ):
        assert words in confirmation.text
    assert "offline_access" not in confirmation.text


def test_allowing_connects_the_device_and_denying_does_not(
    authserver: AuthServer, screen: RegisteredClient, codes: dict[str, Any], signed_in: Browser, confirmation: Page
):
    page = signed_in.submit(confirmation, "device-allow")
    assert (page.status, 'id="device-allowed"' in page.text) == (200, True)
    assert poll(authserver, screen, codes).status_code == 200
    other = begin(authserver, screen)
    page = decide(authserver, signed_in, other, "device-deny")
    assert (page.status, 'id="device-denied"' in page.text) == (200, True)
    assert poll(authserver, screen, other).json()["error"] == "access_denied"


def test_a_link_with_the_code_fills_the_form_in_and_does_nothing_else_3_3_1(
    authserver: AuthServer, screen: RegisteredClient, codes: dict[str, Any], signed_in: Browser
):
    page = signed_in.visit(codes["verification_uri_complete"])
    assert page.form("device-submit").fields["user_code"] == codes["user_code"]
    assert "Living room" not in page.text
    assert poll(authserver, screen, codes).json()["error"] == "authorization_pending"
    page = signed_in.submit(page, "device-submit")
    assert "Is this the device in front of you?" in page.text


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "WDJB", '"><b>', "%00", "A" * 3000])
def test_a_link_fills_in_nothing_but_a_code(signed_in: Browser, text: str):
    page = signed_in.visit(f"/device?user_code={text}")
    assert page.status == 200
    assert page.form("device-submit").fields["user_code"] == ""


def test_signing_in_comes_before_the_code_is_looked_up(
    authserver: AuthServer, alice: User, codes: dict[str, Any], browser: Browser
):
    strange, right = enter(browser, UNKNOWN), enter(browser, codes["user_code"])
    for page in (strange, right):
        assert page.status == 200
        assert "login-submit" in page.text
        assert "Living room" not in page.text
    assert "device-allow" in browser.log_in(right, "alice", PASSWORD).text


def test_a_wrong_password_on_the_way_loses_nothing(alice: User, codes: dict[str, Any], browser: Browser):
    page = browser.log_in(enter(browser, codes["user_code"]), "alice", "wrong")
    assert "login-submit" in page.text
    assert codes["user_code"] in browser.log_in(page, "alice", PASSWORD).text


def test_sign_in_leads_on_only_where_this_browser_began(
    authserver: AuthServer, alice: User, codes: dict[str, Any], browser: Browser
):
    """CWE-601."""
    ours = urlsplit(enter(browser, codes["user_code"]).url).query
    foreign = urlsplit(enter(authserver.browser(), codes["user_code"]).url).query
    forged = "next=https%3A%2F%2Fevil.test%2F&proof=" + parse_qs(ours)["proof"][0]
    for query in (foreign, forged, "next=https%3A%2F%2Fevil.test%2F", "next=", "next=&proof=", "next=//evil.test"):
        page = browser.visit(f"/login?{query}")
        assert "next=" not in page.form("login-submit").action
        assert browser.visit("/login").location is None
    page = browser.log_in(browser.visit(f"/login?{foreign}"), "alice", PASSWORD)
    assert (page.location, urlsplit(page.url).path) == (None, "/account")
    assert urlsplit(browser.visit(f"/login?{forged}").url).path == "/account"
    assert "device-allow" in browser.visit(f"/login?{ours}").text


def test_a_link_to_the_confirmation_of_another_browser_shows_the_form(
    authserver: AuthServer, confirmation: Page, screen: RegisteredClient
):
    other = authserver.browser(authserver.user("bob"))
    for url in (confirmation.url, "/device/confirm", "/device/confirm?user_code=WDJBMJHT", f"{confirmation.url}x"):
        page = other.visit(url)
        assert urlsplit(page.url).path == "/device"
        assert "device-submit" in page.text
    page = other.visit("/device/done?decision=allow")
    assert "device-submit" in page.text


def test_only_the_two_buttons_decide(signed_in: Browser, confirmation: Page):
    form = confirmation.form("device-allow")
    for decision in ({}, {"decision": ""}, {"decision": "yes"}, {"decision": "allow,deny"}):
        assert signed_in.http.post(form.action, data={**form.fields, **decision}).status_code == 400
    assert "device-allow" in signed_in.visit(confirmation.url).text


def test_a_decision_needs_the_page_that_this_account_was_shown(
    authserver: AuthServer, screen: RegisteredClient, codes: dict[str, Any], signed_in: Browser, confirmation: Page
):
    form = confirmation.form("device-allow")
    other = enter(signed_in, begin(authserver, screen)["user_code"]).form("device-allow")
    for token in (
        "",
        "x",
        other.fields["csrf_token"],
        signed_in.visit("/device").form("user_code").fields["csrf_token"],
    ):
        sent = signed_in.http.post(form.action, data={"decision": "allow", "csrf_token": token})
        assert sent.status_code == 403
    across = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    data = {**form.fields, "decision": "allow"}
    assert signed_in.http.post(form.action, data=data, headers=across).status_code == 403
    # Another account signs in in the same browser: what alice was shown is not for bob to decide.
    authserver.user("bob")
    link = confirmation.text.partition('id="another-account" href="')[2].partition('"')[0].replace("&amp;", "&")
    shown = signed_in.log_in(signed_in.visit(link), "bob", PASSWORD)
    assert "<bdi>bob" in shown.text
    assert signed_in.http.post(form.action, data=data).status_code == 403
    assert poll(authserver, screen, codes).json()["error"] == "authorization_pending"


def test_entering_a_code_needs_the_form_too(signed_in: Browser, codes: dict[str, Any]):
    for data in ({}, {"csrf_token": "x"}):
        sent = signed_in.http.post("/device", data={"user_code": codes["user_code"], **data})
        assert sent.status_code == 403


def test_without_a_cookie_nothing_is_entered(authserver: AuthServer, codes: dict[str, Any]):
    sent = authserver.http().post("/device", data={"user_code": codes["user_code"]})
    assert sent.status_code == 400


def test_wrong_late_and_foreign_codes_are_answered_alike(
    authserver: AuthServer, screen: RegisteredClient, signed_in: Browser
):
    decided = begin(authserver, screen)
    decide(authserver, authserver.user("bob"), decided)
    expired = begin(authserver, screen)
    pages = [enter(signed_in, UNKNOWN), enter(signed_in, decided["user_code"])]
    with authserver.later(600):
        pages.append(enter(signed_in, expired["user_code"]))
    pages.append(enter(signed_in, "WDJ-MJHT"))
    assert {page.status for page in pages} == {400}
    assert all("This code is not right, or its time is over." in page.text for page in pages)


def test_sending_the_decision_twice_is_sending_it_once(
    authserver: AuthServer, alice: User, codes: dict[str, Any], signed_in: Browser, confirmation: Page
):
    form = confirmation.form("device-allow")
    data = {**form.fields, "decision": "allow"}
    cookie = {"Cookie": f"authserver={signed_in.http.cookies['authserver']}"}

    def click(_: int) -> str:
        return authserver.http().post(form.action, data=data, headers=cookie).headers["location"]

    with ThreadPoolExecutor(4) as pool:
        where = set(pool.map(click, range(4)))
    assert len(where) == 1
    assert "device-allowed" in signed_in.visit(where.pop()).text
    assert len(authserver.store.grants.of_user(alice.sub)) == 1
    # And going back to the page shows how it ended; the other button does not change it.
    assert "device-allowed" in signed_in.visit(confirmation.url).text
    assert "device-allowed" in signed_in.submit(confirmation, "device-deny").text


def test_of_two_people_with_one_code_the_first_decides(
    authserver: AuthServer, screen: RegisteredClient, codes: dict[str, Any], signed_in: Browser, confirmation: Page
):
    bob = authserver.user("bob")
    other = authserver.browser(bob)
    page = enter(other, codes["user_code"])
    signed_in.submit(confirmation, "device-allow")
    refused = other.submit(page, "device-allow")
    assert (refused.status, "device-submit" in refused.text) == (400, True)
    assert authserver.store.grants.of_user(bob.sub) == ()
    assert poll(authserver, screen, codes).status_code == 200


def test_of_many_who_allow_and_deny_at_once_one_decides(authserver: AuthServer, screen: RegisteredClient):
    people = [authserver.user(f"person-{number}") for number in range(6)]
    browsers = [authserver.browser(person) for person in people]
    for _ in range(3):
        codes = begin(authserver, screen, scope="openid")
        pages = [enter(browser, codes["user_code"]) for browser in browsers]

        def press(number: int, pages: list[Page] = pages) -> str:
            return browsers[number].submit(pages[number], "device-allow" if number % 2 else "device-deny").text

        with ThreadPoolExecutor(6) as pool:
            texts = list(pool.map(press, range(6)))
        told = [number for number, text in enumerate(texts) if "device-allowed" in text or "device-denied" in text]
        assert len(told) == 1
        allowed = "device-allowed" in texts[told[0]]
        answer = poll(authserver, screen, codes)
        assert answer.json().get("error") == (None if allowed else "access_denied")
        grants = [len(authserver.store.grants.of_user(person.sub)) for person in people]
        assert sum(grants) == allowed
        for person in people:
            authserver.store.grants.revoke_all(sub=person.sub, reason="test", event=Event("grant.revoked_all", "test"))


def test_a_remembered_consent_does_not_stand_in_for_the_comparison_5_4(authserver: AuthServer, alice: User):
    for trusted in (False, True):
        client = device_client(authserver, trusted=trusted)
        browser = authserver.browser(alice)
        for _ in range(2):
            page = enter(browser, begin(authserver, client, scope="openid")["user_code"])
            assert "Is this the device in front of you?" in page.text
            assert 'id="device-allowed"' in browser.submit(page, "device-allow").text


def test_a_session_that_ended_while_the_page_was_open_decides_nothing(
    authserver: AuthServer,
    alice: User,
    screen: RegisteredClient,
    codes: dict[str, Any],
    signed_in: Browser,
    confirmation: Page,
):
    authserver.store.sessions.end_all(alice.sub, "administrator", Event("session.ended", "test"))
    page = signed_in.submit(confirmation, "device-allow")
    assert "login-submit" in page.text
    assert poll(authserver, screen, codes).json()["error"] == "authorization_pending"
    # Signed in again, alice sees the page again.
    assert "device-allow" in signed_in.log_in(page, "alice", PASSWORD).text


def test_opening_the_pages_changes_nothing(authserver: AuthServer, alice: User, confirmation: Page, signed_in: Browser):
    for _ in range(3):
        assert "device-allow" in signed_in.visit(confirmation.url).text
    assert authserver.store.grants.of_user(alice.sub) == ()
    assert authserver.store.consents.of_user(alice.sub) == ()


def test_names_of_clients_are_text_and_strangers_are_called_so(authserver: AuthServer, signed_in: Browser):
    from authserver.manage import clients

    metadata = {"client_name": "<b>Your bank</b>", "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"]}
    answer = clients.register(authserver.store, authserver.sealer, metadata, actor="anybody", origin="registration")
    client = RegisteredClient(answer["client_id"], answer["client_secret"], "", answer)
    page = enter(signed_in, begin(authserver, client, scope="openid")["user_code"])
    assert "&lt;b&gt;Your bank" in page.text
    assert "<b>" not in page.text
    assert 'id="unverified"' in page.text


def test_a_strange_address_of_a_device_is_shown_as_text(
    authserver: AuthServer, screen: RegisteredClient, signed_in: Browser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("authserver.web.protocol.client_address", lambda *_: "<b>\0\ud800" + "x" * 9999)
    codes = begin(authserver, screen)
    page = enter(signed_in, codes["user_code"])
    assert "from <bdi>&lt;b&gt;xxx" in page.text
    assert "your own network" not in page.text
    assert len(page.text) < 8000


def test_below_a_path_every_link_of_the_pages_works(tmp_path: Path):
    server = AuthServer(tmp_path, issuer="http://localhost:9000/tenant")
    server.user("alice")
    screen, browser = device_client(server), server.browser()
    codes = begin(server, screen)
    assert codes["verification_uri"] == "http://localhost:9000/tenant/device"
    page = browser.visit(codes["verification_uri_complete"])
    page = browser.log_in(browser.submit(page, "device-submit"), "alice", PASSWORD)
    page = browser.submit(page, "device-allow")
    assert "device-allowed" in page.text
    server.close()


# In a real browser.


def _walk(page: "BrowserPage", at: AuthServer, codes: dict[str, Any], *, link: bool) -> None:
    page.goto(codes["verification_uri_complete"] if link else codes["verification_uri"])
    if not link:
        page.get_by_label("Code", exact=True).fill(codes["user_code"].lower())
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("User name or e-mail address").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("#device-allow")


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("link", [True, False])
def test_the_whole_way_in_a_browser(live_authserver: AuthServer, new_page: NewPage, *, script: bool, link: bool):
    live_authserver.user("alice")
    screen = device_client(live_authserver)
    codes = begin(live_authserver, screen)
    page = new_page(java_script_enabled=script)
    _walk(page, live_authserver, codes, link=link)
    page.get_by_role("button", name="Allow this device").click()
    page.wait_for_selector("#device-allowed")
    assert poll(live_authserver, screen, codes).status_code == 200


def test_connecting_needs_no_mouse(live_authserver: AuthServer, new_page: NewPage):
    live_authserver.user("alice")
    codes = begin(live_authserver, device_client(live_authserver))
    page = new_page()
    page.goto(codes["verification_uri"])
    page.wait_for_selector("#user_code:focus")
    page.keyboard.type(codes["user_code"])
    page.keyboard.press("Enter")
    page.wait_for_selector("#username:focus")
    page.keyboard.type("alice")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#device-allow")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "another-account"


def test_a_wrong_code_is_announced_and_the_field_has_the_focus(live_authserver: AuthServer, new_page: NewPage):
    page = new_page()
    page.goto(f"{live_authserver.issuer}/device")
    page.fill("#user_code", "WDJ")
    page.keyboard.press("Enter")
    assert page.get_by_role("alert").inner_text().startswith("This code is not right")
    page.wait_for_selector("#user_code:focus")
