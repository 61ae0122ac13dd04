"""Cookies and sessions: what the browser holds, for how long, and what strangers' values do."""

from typing import Any

import pytest
import time_machine

from bff import create_app
from tests.bff.browser import Browser
from tests.bff.stub import Stub

SECURE_URL = "https://app.example"


def cookies(answer: Any) -> dict[str, str]:
    return {line.partition("=")[0]: line for line in answer.headers.getlist("Set-Cookie")}


@pytest.fixture
def secure(stub: Stub, tmp_path: Any) -> Any:
    app = create_app(stub.settings(f"sqlite:///{tmp_path / 'bff.db'}", public_url=SECURE_URL))
    yield Browser(app, stub, SECURE_URL)
    app.extensions["bff"].close()


def test_over_https_cookies_are_host_only_and_secure(secure: Browser):
    (login,) = cookies(secure.get("/bff/login")).values()
    assert login.startswith("__Host-bff-login=")
    answer = secure.log_in()
    session = cookies(answer)["__Host-bff"]
    for cookie in (login, session):
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
        assert len(cookie) < 300
    assert "Max-Age=604800" in session
    assert secure.get("/bff/user").status_code == 200
    assert secure.get("/").headers["Strict-Transport-Security"]


def test_over_loopback_http_cookies_have_their_own_names(browser: Browser):
    session = cookies(browser.log_in())["bff"]
    assert "HttpOnly" in session
    assert "SameSite=Lax" in session
    assert "Secure" not in session


def test_the_login_cookie_goes_when_the_log_in_is_complete(browser: Browser):
    answer = browser.log_in()
    assert "Max-Age=0" in cookies(answer)["bff-login"]


@pytest.mark.parametrize("value", ["x", "A" * 43, "A" * 5000, "é", "../../x", "' OR 1=1 --", "A" * 42 + "%00", ""])
def test_a_strange_cookie_is_no_session_and_is_cleared(browser: Browser, value: str):
    answer = browser.raw("/bff/user", Cookie=f"bff={value}")
    assert answer.status_code == 401
    assert "Max-Age=0" in cookies(answer)["bff"]


def test_a_cookie_sent_twice_is_no_session(browser: Browser):
    browser.log_in()
    real = browser.cookie()
    assert browser.raw("/bff/user", Cookie=f"bff={real}").status_code == 200
    for header in (f"bff={real}; bff={'A' * 43}", f"bff={'A' * 43}; bff={real}"):
        assert browser.raw("/bff/user", Cookie=header).status_code == 401


def test_a_session_of_another_deployment_is_no_session(browser: Browser, stub: Stub, tmp_path: Any):
    browser.log_in()
    app = create_app(stub.settings(f"sqlite:///{tmp_path / 'other.db'}"))
    other = Browser(app, stub)
    other.http.set_cookie("bff", browser.cookie() or "", domain="localhost")
    assert other.get("/bff/user").status_code == 401
    app.extensions["bff"].close()


def test_another_secret_key_ends_the_session_quietly(browser: Browser, stub: Stub, settings: Any):
    browser.log_in()
    changed = stub.settings(settings.database_url, secret_key="another key of thirty-two bytes!!")
    app = create_app(changed)
    other = Browser(app, stub)
    other.http.set_cookie("bff", browser.cookie() or "", domain="localhost")
    assert other.api("/api/notes").status_code == 401
    assert other.get("/bff/user").status_code == 401
    app.extensions["bff"].close()


def test_a_previous_secret_key_keeps_sessions_alive(browser: Browser, stub: Stub, settings: Any):
    browser.log_in()
    rotated = stub.settings(
        settings.database_url,
        secret_key="another key of thirty-two bytes!!",
        secret_key_previous=["0123456789abcdef0123456789abcdef"],
    )
    app = create_app(rotated)
    other = Browser(app, stub)
    other.http.set_cookie("bff", browser.cookie() or "", domain="localhost")
    assert other.api("/api/almanac").status_code == 200
    app.extensions["bff"].close()


def test_a_session_ends_when_it_is_idle(browser: Browser):
    browser.stub.lifetime = 86400
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False) as clock:
        browser.log_in()
        clock.shift(11 * 3600)
        assert browser.get("/bff/user").status_code == 200
        clock.shift(11 * 3600)
        assert browser.get("/bff/user").status_code == 200
        clock.shift(12 * 3600)
        assert browser.get("/bff/user").status_code == 401


def test_a_busy_session_ends_at_its_absolute_end(browser: Browser):
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False) as clock:
        browser.log_in()
        for _ in range(7 * 4 - 1):
            clock.shift(6 * 3600)
            assert browser.get("/bff/user").status_code == 200
        clock.shift(6 * 3600)
        assert browser.get("/bff/user").status_code == 401


def test_an_ended_session_is_told_calmly_and_its_cookie_goes(browser: Browser):
    browser.log_in()
    browser.stub.end_grants()
    browser.http.set_cookie("bff", "B" * 43, domain="localhost")
    answer = browser.get("/")
    assert 'id="session-ended"' in answer.text
    assert 'id="login"' in answer.text
    assert "Max-Age=0" in cookies(answer)["bff"]
    assert 'id="session-ended"' not in browser.get("/").text


def test_a_recognised_cookie_asks_no_provider(browser: Browser):
    browser.log_in()
    browser.stub.seen.clear()
    for _ in range(3):
        browser.get("/")
        browser.get("/bff/user")
    assert browser.stub.seen == []


def test_who_i_am_is_never_cached_and_holds_no_token(browser: Browser):
    browser.log_in()
    answer = browser.get("/bff/user")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]
    assert answer.json.keys() == {"issuer", "sub", "name", "email", "expires_at", "scope", "apis"}
    assert [api["prefix"] for api in answer.json["apis"]] == ["notes", "almanac"]
    assert "target" not in answer.text
    stranger = browser.http.application.test_client().get("/bff/user")
    assert stranger.status_code == 401
    assert stranger.headers["Cache-Control"] == "no-store"
    assert stranger.json["login_url"] == "/bff/login"


@pytest.mark.parametrize("path", ["/", "/bff/user", "/bff/callback", "/bff/login", "/api/notes", "/nowhere", "/bff/x"])
def test_every_answer_carries_the_security_headers(browser: Browser, path: str):
    answer = browser.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Permissions-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_page_may_send_forms_to_itself_and_the_provider_only(browser: Browser):
    policy = browser.get("/").headers["Content-Security-Policy"]
    assert f"form-action 'self' {browser.stub.issuer};" in policy
    assert "connect-src 'self';" in policy
    assert "script-src 'self';" in policy


def test_the_page_is_not_cached_and_its_parts_are_there(browser: Browser):
    assert "Cookie" in browser.get("/").headers["Vary"]
    for name in ("bff.js", "bff.css", "icon.svg"):
        answer = browser.get(f"/bff/static/{name}")
        assert answer.status_code == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        answer.close()
    assert browser.get("/bff/static/../settings.py").status_code == 404
