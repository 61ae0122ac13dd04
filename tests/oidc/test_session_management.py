"""Session Management 1.0: what the answer says, what the cookie says, and who may know."""

import re
import secrets
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

import pytest

from authserver.identity.sessions import cookie_name
from authserver.manage import sessions
from authserver.records import User
from authserver.web.session_state import state_cookie
from pytest_authserver import AuthServer, Browser, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.world import code_of


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server with the extension, which is off by itself."""
    server = AuthServer(tmp_path_factory.mktemp("state"), features={"session_management": True})
    yield server
    server.close()


@pytest.fixture
def anna(at: AuthServer) -> User:
    return at.user(f"anna-{secrets.token_hex(6)}")


@pytest.fixture(scope="module")
def client(at: AuthServer) -> RegisteredClient:
    return at.client(trusted=True, redirect_uris=["https://client.test:8443/callback"])


def kept(at: AuthServer, browser: Browser) -> str | None:
    """Return what the cookie says that a frame of ours may read."""
    value: str | None = browser.http.cookies.get(state_cookie(at.settings))
    return value


def signed_in(at: AuthServer, user: User) -> Browser:
    browser = at.browser()
    browser.log_in(browser.visit("/login"), user.username, PASSWORD)
    return browser


def answer_of(at: AuthServer, browser: Browser, client: RegisteredClient, **parameters: str) -> dict[str, str]:
    page = browser.visit_request(at.request(client, at.pkce(), **parameters))
    assert code_of(page)
    return page.callback


def is_unchanged(session_state: str, client: RegisteredClient, origin: str, state: str | None) -> bool:
    """Compare as the frame does (3.2)."""
    salt = session_state.partition(".")[2]
    text = f"{client.client_id} {origin} {state} {salt}"
    return session_state == f"{sha256(text.encode()).hexdigest()}.{salt}"


# 2: the answer.


def test_the_answer_has_a_state_of_client_origin_and_browser_2(at: AuthServer, client: RegisteredClient, anna: User):
    browser = signed_in(at, anna)
    state = answer_of(at, browser, client)["session_state"]
    assert re.fullmatch(r"[0-9a-f]{64}\.[A-Za-z0-9_-]{16}", state)
    assert is_unchanged(state, client, "https://client.test:8443", kept(at, browser))
    assert not is_unchanged(state, client, "https://client.test", kept(at, browser))
    assert state != answer_of(at, browser, client)["session_state"], "salted"


def test_a_browser_that_was_signed_in_before_gets_its_state_with_the_answer_2(
    at: AuthServer, client: RegisteredClient, anna: User
):
    browser = at.browser(anna)
    assert kept(at, browser) is None
    state = answer_of(at, browser, client, prompt="none")["session_state"]
    assert is_unchanged(state, client, "https://client.test:8443", kept(at, browser))


def test_only_openid_requests_to_web_addresses_get_one_2(at: AuthServer, client: RegisteredClient, anna: User):
    browser = signed_in(at, anna)
    assert "session_state" not in answer_of(at, browser, client, scope="profile")
    native = at.public_client(
        trusted=True, redirect_uris=["com.example.app:/back"], application_type="native", client_name="App"
    )
    page = browser.authorize(at.request(native, at.pkce()))
    assert code_of(page)
    assert "session_state" not in page.callback


def test_an_error_has_none_2(at: AuthServer, client: RegisteredClient):
    page = at.browser().visit_request(at.request(client, at.pkce(), prompt="none"))
    assert page.callback["error"] == "login_required"
    assert "session_state" not in page.callback


# 3.2: the state of the browser.


def test_nor_has_an_error_that_comes_in_the_place_of_an_answer_2(
    at: AuthServer, client: RegisteredClient, anna: User, monkeypatch: pytest.MonkeyPatch
):
    browser = signed_in(at, anna)
    monkeypatch.setitem(at.server.response_types, "code", lambda *_asked, **_seed: {"error": "login_required"})
    page = browser.visit_request(at.request(client, at.pkce()))
    assert page.callback.keys() == {"error", "state", "iss"}


def test_signing_in_and_out_changes_the_state_and_reading_pages_does_not_3_2(
    at: AuthServer, client: RegisteredClient, anna: User
):
    browser = at.browser()
    page = browser.visit("/login")
    nobody = kept(at, browser)
    browser.log_in(page, anna.username, PASSWORD)
    somebody = kept(at, browser)
    assert nobody != somebody
    state = answer_of(at, browser, client)["session_state"]
    browser.visit("/account")
    assert is_unchanged(state, client, "https://client.test:8443", kept(at, browser))
    browser.submit(browser.visit("/logout"), "logout-confirm")
    assert not is_unchanged(state, client, "https://client.test:8443", kept(at, browser))
    assert kept(at, browser) == nobody


def test_nobody_is_another_state_in_each_browser_so_that_no_site_can_ask_who_is_there_3_2(at: AuthServer):
    states = set()
    for browser in (at.browser(), at.browser()):
        browser.visit("/login")
        browser.visit("/login")
        states.add(kept(at, browser))
    assert None not in states
    assert len(states) == 2


def test_a_session_that_was_ended_elsewhere_is_seen_with_the_next_page_3_2(at: AuthServer, anna: User):
    browser = signed_in(at, anna)
    before = kept(at, browser)
    sessions.end_all(at.store, anna.sub, actor="test")
    browser.visit("/account")
    assert kept(at, browser) != before


def test_a_closed_browser_is_not_told_that_somebody_is_there_whom_it_has_forgotten_3_2(
    at: AuthServer, client: RegisteredClient, anna: User
):
    berta, browser = at.user(f"berta-{secrets.token_hex(6)}"), at.browser()
    for user, remember, lasts in ((anna, True, True), (berta, False, False), (berta, True, True), (anna, False, False)):
        browser.log_in(browser.visit("/login?switch=1"), user.username, PASSWORD, remember=remember)
        state = answer_of(at, browser, client)["session_state"]
        assert is_unchanged(state, client, "https://client.test:8443", kept(at, browser))
        cookies = {cookie.name: cookie for cookie in browser.http.cookies.jar}
        assert cookies[state_cookie(at.settings)].discard is not lasts, user.username
    browser.reopen()
    assert kept(at, browser) is None
    state = answer_of(at, browser, client)["session_state"]
    assert is_unchanged(state, client, "https://client.test:8443", kept(at, browser))


def test_the_cookie_is_for_scripts_and_the_sessions_one_is_not_3_2(tmp_path: Path):
    server = AuthServer(tmp_path, issuer="https://op.test", development=False, features={"session_management": True})
    anna = server.user()
    browser = server.browser()
    form = browser.visit("/login")
    answer = browser.http.post(
        form.url, data={**form.form("login-submit").fields, "username": anna.username, "password": PASSWORD}
    )
    cookies = {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}
    told = cookies[state_cookie(server.settings)].split("; ")
    assert {"Secure", "SameSite=None", "Path=/"} <= set(told)
    assert not any(part in {"HttpOnly", "Domain"} for part in told)
    assert told[0].startswith("__Host-")
    assert "HttpOnly" in cookies[cookie_name(server.settings)]
    assert "SameSite=Lax" in cookies[cookie_name(server.settings)]
    # It opens nothing, and tells nothing of what does.
    secret = cookies[cookie_name(server.settings)].partition("=")[2].partition(";")[0]
    assert told[0].partition("=")[2] not in secret
    server.close()


# 3.2, 3.3: the frame.


def test_the_frame_is_announced_and_is_the_one_page_that_may_be_framed_3_3(at: AuthServer):
    place = at.get("/.well-known/openid-configuration").json()["check_session_iframe"]
    page = at.get(place)
    assert page.status_code == 200
    assert "x-frame-options" not in page.headers
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors" not in policy
    script = page.text.partition("<script>")[2].partition("</script>")[0]
    assert f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "set-cookie" not in page.headers
    for path in ("/login", "/logged-out", "/account"):
        assert at.get(path, Accept="text/html").headers["x-frame-options"] == "DENY"


def test_what_is_off_has_no_frame_no_state_and_no_cookie(authserver: AuthServer, alice: User):
    assert "check_session_iframe" not in authserver.get("/.well-known/openid-configuration").json()
    assert authserver.get("/check-session").status_code == 404
    browser = authserver.browser()
    browser.log_in(browser.visit("/login?" + urlencode({})), alice.username, PASSWORD)
    assert kept(authserver, browser) is None
    page = browser.visit_request(authserver.request(authserver.client(trusted=True), authserver.pkce()))
    assert "session_state" not in page.callback
