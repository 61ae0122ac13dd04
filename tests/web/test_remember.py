"""Staying signed in, as a browser has it: the box, the cookies, and what is left after the browser was closed."""

from datetime import UTC, datetime
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authserver.clock import SECOND
from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.authenticator import enrol
from tests.web.walking import sign_in, start

COOKIE, MARK = "authserver", "authserver-open"
TICKED = {"remember": "1"}


def _sign_in(browser: Browser, name: str = "alice", *, remember: bool = True) -> Page:
    return browser.log_in(browser.visit("/login?switch=1"), name, PASSWORD, remember=remember)


def _cookies(answer: httpx2.Response) -> dict[str, Any]:
    jar = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        jar.load(header)
    return dict(jar)


def _post(browser: Browser, page: Page, **values: str) -> httpx2.Response:
    form = page.form("login-submit")
    return browser.http.post(form.action, data={**form.fields, "username": "alice", "password": PASSWORD, **values})


def _name(browser: Browser) -> str | None:
    """Return whom the account pages are about."""
    text = browser.visit("/account").text
    return text.partition('class="who"')[2].partition("<bdi>")[2].partition("<")[0] or None


def _written(moment: int) -> str:
    return datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_choice_is_offered_unmade_and_stays_made_when_the_password_is_wrong(browser: Browser, alice: User) -> None:
    page = browser.visit("/login")
    assert 'type="checkbox" id="remember"' in page.text
    assert "remember" not in page.form("login-submit").fields
    assert "remember" not in browser.log_in(page, "alice", "wrong").form("login-submit").fields
    again = browser.log_in(page, "alice", "wrong", remember=True)
    assert again.form("login-submit").fields["remember"] == "1"


def test_without_it_the_cookie_goes_with_the_browser(browser: Browser, alice: User) -> None:
    cookies = _cookies(_post(browser, browser.visit("/login")))
    assert set(cookies) == {COOKIE}
    assert (cookies[COOKIE]["max-age"], cookies[COOKIE]["expires"]) == ("", "")
    assert _name(browser) == "alice"
    browser.reopen()
    assert browser.visit("/account").url.endswith("/login")


def test_with_it_the_cookie_lasts_and_a_mark_beside_it_does_not(
    authserver: AuthServer, browser: Browser, alice: User
) -> None:
    cookies = _cookies(_post(browser, browser.visit("/login"), **TICKED))
    assert int(cookies[COOKIE]["max-age"]) == authserver.settings.sessions.remember_seconds
    assert cookies[MARK]["max-age"] == ""
    for cookie in cookies.values():
        assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (True, "Lax", "/", "")
    browser.reopen()
    with authserver.later(13 * 3600):
        assert _name(browser) == "alice"


def test_over_https_the_mark_is_for_this_host_alone_too(tmp_path: Path) -> None:
    server = AuthServer(tmp_path, issuer="https://id.example", development=False)
    server.user("alice")
    browser = server.browser()
    cookies = _cookies(_post(browser, browser.visit("/login"), **TICKED))
    server.close()
    assert set(cookies) == {"__Host-authserver", "__Host-authserver-open"}
    assert all(cookie["secure"] and cookie["domain"] == "" and cookie["path"] == "/" for cookie in cookies.values())


def test_of_two_accounts_the_one_that_did_not_ask_goes_with_the_browser(
    authserver: AuthServer, browser: Browser, alice: User
) -> None:
    authserver.user("bob")
    _sign_in(browser)
    _sign_in(browser, "bob", remember=False)
    assert _name(browser) == "bob"
    browser.reopen()
    assert _name(browser) == "alice"
    assert "bob" not in browser.visit("/login/account").text
    # Nor does the next sign-in bring back what the closed browser has forgotten.
    authserver.user("carol")
    _sign_in(browser, "carol", remember=False)
    assert "bob" not in browser.visit("/login/account").text


@pytest.mark.parametrize("forged", ["1", "saved", "foreign"])
def test_whoever_opens_the_browser_next_cannot_make_the_mark(
    *, authserver: AuthServer, browser: Browser, alice: User, forged: str
) -> None:
    """The cookie that lasts is theirs to read, and so were the marks of their own sign-ins."""
    client, bob = authserver.client(trusted=True), authserver.user("bob")
    asked = authserver.request(client, authserver.pkce(), id_token_hint=authserver.tokens(client, bob)["id_token"])
    _sign_in(browser)
    other = authserver.browser()
    _sign_in(other)
    mark = {"1": "1", "saved": browser.http.cookies[MARK], "foreign": other.http.cookies[MARK]}[forged]
    _sign_in(browser, "bob", remember=False)
    assert "code" in start(browser, asked).callback
    mine = browser.http.cookies[MARK]
    browser.reopen()
    browser.http.cookies.set(MARK, mark)
    assert _name(browser) == "alice"
    assert "bob" not in browser.visit("/login/account").text
    assert "login-submit" in start(browser, asked).text, "the answer that needs no page keeps to the same rule"
    for marks, name in (((mine,), "bob"), ((mine, mark), "alice"), ((mark, mine), "alice"), (("",), "alice")):
        cookies = [f"{COOKIE}={browser.http.cookies[COOKIE]}", *(f"{MARK}={one}" for one in marks)]
        text = authserver.http().get("/account", headers={"Cookie": "; ".join(cookies)}).text
        assert f"<bdi>{name}</bdi>" in text.partition('class="who"')[2].partition("</p>")[0]


def test_prompt_none_does_not_see_whom_the_closed_browser_forgot(
    authserver: AuthServer, browser: Browser, alice: User
) -> None:
    client, bob = authserver.client(trusted=True), authserver.user("bob")
    hint = authserver.tokens(client, bob)["id_token"]
    _sign_in(browser)
    _sign_in(browser, "bob", remember=False)
    silent = {"prompt": "none", "id_token_hint": hint}
    for closed, answer in ((False, "code"), (True, "error")):
        if closed:
            browser.reopen()
        page = start(browser, authserver.request(client, authserver.pkce(), **silent))
        assert answer in page.callback
    assert page.callback["error"] == "login_required"


class TestNotOffered:
    @pytest.fixture
    def authserver_settings(self, database_url: str) -> dict[str, Any]:
        return {"database_url": database_url, "sessions": {"remember_seconds": 0}}

    def test_there_is_no_box_and_a_made_up_choice_counts_for_nothing(
        self, authserver: AuthServer, browser: Browser, alice: User
    ) -> None:
        page = browser.visit("/login")
        assert "remember" not in page.text
        cookies = _cookies(_post(browser, page, may_remember="1", remember="1"))
        assert set(cookies) == {COOKIE}
        assert authserver.store.sessions.of_user(alice.sub, 0)[0].remembered_at == 0


# Second factor, and proving it again


def test_the_choice_waits_for_the_second_factor_and_cannot_be_made_there(
    authserver: AuthServer, signed_in: Browser, alice: User
) -> None:
    app = enrol(authserver, signed_in)
    for remember, code in ((True, app.code()), (False, app.code(1))):
        browser = authserver.browser()
        page = _sign_in(browser, remember=remember)
        assert not any(cookie.name == MARK for cookie in browser.http.cookies.jar)
        page = browser.submit(page, "second-factor-submit", code=code, **TICKED)
        assert page.url.endswith("/account")
        browser.reopen()
        assert (_name(browser) == "alice") is remember


@pytest.mark.parametrize("remember", [True, False])
def test_who_has_to_prove_it_again_is_not_asked_and_stays_as_they_were(
    *, authserver: AuthServer, client: RegisteredClient, browser: Browser, alice: User, remember: bool
) -> None:
    _sign_in(browser, remember=remember)
    page = start(browser, authserver.request(client, authserver.pkce(), prompt="login"))
    assert page.form("username").fields["username"] == "alice"
    assert "remember" not in page.text
    page = browser.log_in(page, "alice", "wrong")
    assert "remember" not in page.text
    assert "consent-allow" in browser.log_in(page, "alice", PASSWORD).text
    browser.reopen()
    assert (_name(browser) == "alice") is remember


def test_another_account_that_answers_instead_is_not_remembered(
    authserver: AuthServer, client: RegisteredClient, browser: Browser, alice: User
) -> None:
    bob = authserver.user("bob")
    _sign_in(browser)
    page = start(browser, authserver.request(client, authserver.pkce(), prompt="login"))
    browser.log_in(page, "bob", PASSWORD)
    assert authserver.store.sessions.of_user(bob.sub, 0)[0].remembered_at == 0


# Absolute end, and expiry while a page is open


@pytest.mark.parametrize("remember", [True, False])
def test_prompt_none_after_the_absolute_end_is_login_required_however_busy_the_session(
    *, authserver: AuthServer, browser: Browser, alice: User, remember: bool
) -> None:
    """OWASP ASVS 7.3.2: single sign-on keeps the session in use, and its end comes nevertheless."""
    client, limits = authserver.client(trusted=True), authserver.settings.sessions
    _sign_in(browser, remember=remember)
    end, idle = (limits.absolute_seconds, limits.idle_seconds)
    if remember:
        end, idle = limits.remember_seconds, limits.remember_idle_seconds
    silent = authserver.request(client, authserver.pkce(), prompt="none")
    for moment in range(0, end - 60, idle - 60):
        with authserver.later(moment):
            assert "code" in start(browser, silent).callback
    with authserver.later(end + 1):
        assert start(browser, silent).callback["error"] == "login_required"


def test_a_session_that_ends_while_its_page_is_open_changes_nothing_and_says_so(
    authserver: AuthServer, signed_in: Browser
) -> None:
    page = signed_in.visit("/account/security")
    values = {"current": PASSWORD, "new": "a quokka under my piano", "repeat": "a quokka under my piano"}
    with authserver.later(13 * 3600):
        page = signed_in.submit(page, "password-submit", **values)
        assert "login-submit" in page.text
        page = signed_in.log_in(page, "alice", PASSWORD)
        assert page.url.partition("?")[0].endswith("/account/security")
        assert 'id="undone"' in page.text
        assert 'id="password-changed"' not in page.text
    assert sign_in(authserver).visit("/account").status == 200


# What people are shown


def test_the_sessions_page_says_which_stays_and_until_when(
    authserver: AuthServer, browser: Browser, alice: User
) -> None:
    _sign_in(browser)
    ordinary = sign_in(authserver)
    text = browser.visit("/account/sessions").text
    assert text.count("Stays signed in") == 1
    assert text.index("This device") < text.index("Stays signed in") < text.index("Ends")
    sessions = {session.remembered_at > 0: session for session in authserver.store.sessions.of_user(alice.sub, 0)}
    for remembered, seconds in ((True, 30 * 86400), (False, 12 * 3600)):
        for moment in (sessions[remembered].seen_at + seconds * SECOND, sessions[remembered].expires_at):
            assert f'datetime="{_written(moment)}"' in text
    assert ordinary.visit("/account/sessions").text.count("Stays signed in") == 1
