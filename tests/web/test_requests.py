"""The account pages on which a user answers what applications ask behind the scenes (CIBA 8)."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from authserver.manage import clients
from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.backchannel import GRANT_TYPE, PLENTY, asking_client, begin, decide, make, opened, poll
from tests.web.test_in_a_browser import NewPage

PATH = "/account/requests"


@pytest.fixture
def authserver_settings(database_url: str) -> dict[str, Any]:
    return {"database_url": database_url, "features": {"ciba": True}, "limits": PLENTY}


@pytest.fixture
def till(authserver: AuthServer) -> RegisteredClient:
    return asking_client(authserver)


@pytest.fixture
def codes(authserver: AuthServer, till: RegisteredClient, alice: User) -> dict[str, Any]:
    """What the till got when it asked alice for a few things."""
    return begin(authserver, till, alice, scope="openid email offline_access", binding_message="Till 4, 12.50 EUR")


@pytest.fixture
def question(signed_in: Browser, codes: dict[str, Any]) -> Page:
    """The page on which alice compares, in the browser ``signed_in``."""
    return opened(signed_in)


def test_the_page_says_who_asks_for_what_and_shows_the_words_to_compare(question: Page):
    for words in (
        "<bdi>Corner shop</bdi> asks you to confirm",
        "<bdi>alice</bdi>",
        "<bdi>Till 4, 12.50 EUR</bdi>",
        "Confirm who you are",
        "See your e-mail address",
        "Also while you are away",
        'id="request-warning"',
    ):
        assert words in question.text
    assert "offline_access" not in question.text
    assert question.headers["cache-control"] == "no-store"


def test_the_list_names_what_waits_the_latest_first_and_leads_there(
    authserver: AuthServer, till: RegisteredClient, alice: User, signed_in: Browser
):
    assert "Nothing waits for your answer" in signed_in.visit(PATH).text
    assert f'href="{PATH}"' in signed_in.visit("/account").text
    for message in ("first", "second"):
        begin(authserver, till, alice, binding_message=message)
    begin(authserver, till, authserver.user("bob"), binding_message="of bob")
    page = signed_in.visit(PATH)
    assert page.text.index("second") < page.text.index("first")
    assert "of bob" not in page.text


def test_of_two_accounts_the_one_that_is_asked_answers(
    authserver: AuthServer, till: RegisteredClient, codes: dict[str, Any], question: Page, signed_in: Browser
):
    authserver.user("bob")
    signed_in.log_in(signed_in.visit("/login?switch=1"), "bob", PASSWORD)
    assert "Nothing waits for your answer" in signed_in.visit(PATH).text
    page = signed_in.visit(question.url)
    assert "signed in as <strong><bdi>alice</bdi>" in page.text
    for _ in range(2):
        assert 'id="request-allowed"' in signed_in.submit(page, "request-allow").text
    assert poll(authserver, till, codes).status_code == 200


def test_allowing_gives_and_denying_does_not(
    authserver: AuthServer, till: RegisteredClient, alice: User, codes: dict[str, Any], signed_in: Browser
):
    page = decide(authserver, signed_in)
    assert (page.status, 'id="request-allowed"' in page.text, urlsplit(page.url).path) == (200, True, PATH)
    assert "Nothing waits" in page.text
    assert poll(authserver, till, codes).status_code == 200
    other = begin(authserver, till, alice)
    assert 'id="request-denied"' in decide(authserver, signed_in, "request-deny").text
    assert poll(authserver, till, other).json()["error"] == "access_denied"


def test_opening_the_pages_changes_nothing(
    authserver: AuthServer, till: RegisteredClient, codes: dict[str, Any], question: Page, signed_in: Browser
):
    for _ in range(2):
        assert "request-allow" in signed_in.visit(question.url).text
        assert "Corner shop" in signed_in.visit(PATH).text
    assert poll(authserver, till, codes).json()["error"] == "authorization_pending"


def test_signing_in_comes_first_and_leads_back(codes: dict[str, Any], question: Page, browser: Browser):
    for url in (PATH, question.url):
        page = browser.visit(url)
        assert "login-submit" in page.text
        assert "Corner shop" not in page.text
    assert "request-allow" in browser.log_in(page, "alice", PASSWORD).text


def test_a_request_is_for_its_user_alone(
    authserver: AuthServer, till: RegisteredClient, codes: dict[str, Any], question: Page
):
    other = authserver.browser(authserver.user("bob"))
    for url in (question.url, f"{PATH}/x", f"{PATH}/%00", f"{PATH}/{'0' * 64}"):
        page = other.visit(url)
        assert urlsplit(page.url).path == PATH
        assert "Corner shop" not in page.text
    form = question.form("request-allow")
    sent = other.http.post(form.action, data={**form.fields, "decision": "allow"})
    assert sent.status_code == 403
    assert poll(authserver, till, codes).json()["error"] == "authorization_pending"


def test_only_the_two_buttons_decide(signed_in: Browser, question: Page):
    form = question.form("request-allow")
    for decision in ({}, {"decision": ""}, {"decision": "yes"}, {"decision": "allow,deny"}):
        assert signed_in.http.post(form.action, data={**form.fields, **decision}).status_code == 400
    assert "request-allow" in signed_in.visit(question.url).text


def test_an_answer_needs_the_page_that_this_account_was_shown(
    authserver: AuthServer,
    alice: User,
    till: RegisteredClient,
    codes: dict[str, Any],
    signed_in: Browser,
    question: Page,
):
    form = question.form("request-allow")
    begin(authserver, till, alice, binding_message="other")
    listed = signed_in.visit(PATH).text.split('href="/account/requests/')
    keys = [part.partition('"')[0] for part in listed[1:]]
    (another,) = [key for key in keys if not form.action.endswith(key)]
    other = signed_in.visit(f"{PATH}/{another}").form("request-allow").fields["csrf_token"]
    for token in ("", "x", other):
        sent = signed_in.http.post(form.action, data={"decision": "allow", "csrf_token": token})
        assert sent.status_code == 403
    across = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    data = {**form.fields, "decision": "allow"}
    assert signed_in.http.post(form.action, data=data, headers=across).status_code == 403
    assert signed_in.http.get(form.action, params=data).status_code == 200
    assert poll(authserver, till, codes).json()["error"] == "authorization_pending"


def test_nobody_can_make_the_page_say_how_it_ended(signed_in: Browser, authserver: AuthServer, codes: dict[str, Any]):
    for query in ("done=allow", "done=allow&proof=x", "done=&proof="):
        assert 'role="status"' not in signed_in.visit(f"{PATH}?{query}").text
    ours = urlsplit(decide(authserver, signed_in).url).query
    assert 'role="status"' in signed_in.visit(f"{PATH}?{ours}").text
    other = authserver.browser(authserver.user("bob"))
    assert 'role="status"' not in other.visit(f"{PATH}?{ours}").text


def test_sending_the_answer_twice_is_sending_it_once(
    authserver: AuthServer, alice: User, codes: dict[str, Any], signed_in: Browser, question: Page
):
    form = question.form("request-allow")
    data = {**form.fields, "decision": "allow"}
    cookie = {"Cookie": f"authserver={signed_in.http.cookies['authserver']}"}

    def click(_: int) -> int:
        return authserver.http().post(form.action, data=data, headers=cookie).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(click, range(4))) == {303}
    assert len(authserver.store.grants.of_user(alice.sub)) == 1
    # Nor does the other button change anything any more; either says what stands.
    for button in ("request-allow", "request-deny"):
        page = signed_in.submit(question, button)
        assert [f'id="request-{word}"' in page.text for word in ("allowed", "denied", "over")] == [True, False, False]
    assert len(authserver.store.grants.of_user(alice.sub)) == 1
    # In another sign-in it was not decided, nor is it told what was.
    elsewhere = authserver.browser(alice)
    assert elsewhere.http.post(form.action, data=data).status_code == 403


def test_of_two_browsers_that_answer_differently_at_once_one_decides(
    authserver: AuthServer, alice: User, till: RegisteredClient
):
    browsers = [authserver.browser(alice) for _ in range(6)]
    for _ in range(3):
        codes = begin(authserver, till, alice)
        pages = [opened(browser) for browser in browsers]

        def press(number: int, pages: list[Page] = pages) -> str:
            return browsers[number].submit(pages[number], "request-allow" if number % 2 else "request-deny").text

        with ThreadPoolExecutor(6) as pool:
            texts = list(pool.map(press, range(6)))
        allowed = [text for text in texts if 'id="request-allowed"' in text]
        denied = [text for text in texts if 'id="request-denied"' in text]
        assert (len(allowed), len(denied)) in {(1, 0), (0, 1)}
        assert poll(authserver, till, codes).json().get("error") == (None if allowed else "access_denied")


def test_a_late_answer_is_told_so(
    authserver: AuthServer, till: RegisteredClient, codes: dict[str, Any], signed_in: Browser, question: Page
):
    with authserver.later(600):
        page = signed_in.submit(question, "request-allow")
        assert urlsplit(page.url).path == PATH
        assert 'id="request-over"' in page.text
        assert 'id="request-allowed"' not in page.text
        assert poll(authserver, till, codes).json()["error"] == "expired_token"


def test_names_and_words_of_clients_are_text_and_strangers_are_called_so(
    authserver: AuthServer, alice: User, signed_in: Browser
):
    metadata = {
        "client_name": "<b>Your bank</b>",
        "grant_types": [GRANT_TYPE],
        "scope": "openid",
        "backchannel_token_delivery_mode": "poll",
    }
    registered = clients.register(
        authserver.store,
        authserver.sealer,
        metadata,
        actor="anybody",
        origin="registration",
        members=authserver.server.registry.CLIENT_METADATA,
    )
    client = RegisteredClient(registered["client_id"], registered["client_secret"], "", registered)
    begin(authserver, client, alice)
    page = opened(signed_in)
    assert "&lt;b&gt;Your bank" in page.text
    assert "<b>" not in page.text
    assert 'id="unverified"' in page.text
    assert 'id="compare"' not in page.text


def test_below_a_path_every_link_of_the_pages_works(tmp_path: Path):
    server = make(tmp_path, issuer="http://localhost:9000/tenant")
    client, alice, browser = asking_client(server), server.user("alice"), server.browser()
    codes = begin(server, client, alice)
    page = browser.log_in(browser.visit("http://localhost:9000/tenant/account/requests"), "alice", PASSWORD)
    link = page.text.partition('href="/tenant/account/requests/')[2].partition('"')[0]
    page = browser.visit(f"http://localhost:9000/tenant/account/requests/{link}")
    assert 'id="request-allowed"' in browser.submit(page, "request-allow").text
    assert poll(server, client, codes).status_code == 200
    server.close()


# In a real browser.


@pytest.mark.parametrize("script", [True, False])
def test_the_whole_way_in_a_browser(live_authserver: AuthServer, new_page: NewPage, *, script: bool):
    client = asking_client(live_authserver)
    codes = begin(live_authserver, client, live_authserver.user("alice"), binding_message="W4SCT")
    page = new_page(java_script_enabled=script)
    page.goto(f"{live_authserver.issuer}{PATH}")
    page.get_by_label("User name or e-mail address").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Answer the request of Corner shop").click()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_selector("#request-allowed")
    assert poll(live_authserver, client, codes).status_code == 200
