from collections.abc import Callable

import pytest

from authserver.identity.passwords import TooBusy
from authserver.limits import Exceeded
from authserver.records import User
from authserver.store.errors import BadValue, Busy, Unavailable
from pytest_authserver import AuthServer, Browser, Page
from pytest_authserver.server import PASSWORD


def _raise(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/static/../../settings.py", 404, "not_found"),
        ("GET", "/static/nothing.css", 404, "not_found"),
        ("GET", "/account/", 404, "not_found"),
        ("GET", f"/login?a={'a' * 9000}", 414, "address_too_long"),
        ("GET", f"/authorize?state={'a' * 9000}", 414, "address_too_long"),
        ("DELETE", "/login", 405, "method_not_allowed"),
        ("PUT", "/consent", 405, "method_not_allowed"),
        ("GET", "/logout/confirm", 405, "method_not_allowed"),
        ("TRACE", "/account", 405, "method_not_allowed"),
    ],
)
def test_a_wrong_address_or_method_is_a_page_with_a_code(
    authserver: AuthServer, method: str, path: str, status: int, code: str
) -> None:
    response = authserver.http().request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert f'id="error-code">{code}<' in response.text
    assert (status == 405) == ("allow" in response.headers)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Busy(), 503, "temporarily_unavailable"),
        (Unavailable(), 503, "temporarily_unavailable"),
        (TooBusy(), 503, "temporarily_unavailable"),
        (Exceeded(17), 429, "too_many_requests"),
        (BadValue(), 400, "bad_request"),
        (RuntimeError("the secret inside"), 500, "server_error"),
    ],
)
def test_every_failure_of_a_page_is_a_page(
    authserver: AuthServer,
    alice: User,
    login_page: Page,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    code: str,
) -> None:
    monkeypatch.setattr(authserver.server.passwords, "verify", _raise(error))
    page = browser.log_in(login_page, "alice", PASSWORD)
    assert (page.status, page.error_code) == (status, code)
    assert "secret" not in page.text
    assert "Traceback" not in page.text
    assert ("retry-after" in page.headers) == (status in {429, 503})
    assert page.headers["cache-control"] == "no-store"


def test_a_store_that_is_away_fails_closed(
    authserver: AuthServer, signed_in: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(authserver.store.sessions, "of_browser", _raise(Unavailable()))
        page = signed_in.visit("/account")
        assert (page.status, page.headers["retry-after"]) == (503, "1")
    assert signed_in.visit("/account").status == 200


def test_a_page_of_words_needs_no_store(authserver: AuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authserver.store.sessions, "of_browser", _raise(Unavailable()))
    assert authserver.http().get("/nowhere").status_code == 404
    assert authserver.http().get("/static/authserver.css").status_code == 200


def test_a_failure_is_logged_without_what_was_sent(
    authserver: AuthServer,
    login_page: Page,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(authserver.server.passwords, "verify", _raise(RuntimeError("broken")))
    browser.log_in(login_page, "alice", "a password in the clear")
    assert "unexpected failure at login.submit" in caplog.text
    assert "a password in the clear" not in caplog.text


def test_too_many_fields_are_refused_in_bounded_time(browser: Browser, login_page: Page) -> None:
    body = "&".join(f"a{n}=1" for n in range(9000))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = browser.http.post(login_page.form("login-submit").action, content=body, headers=headers)
    assert response.status_code in {400, 403, 413}
