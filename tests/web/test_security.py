import re
from urllib.parse import parse_qs, urlsplit

import pytest

from authserver.settings import Settings
from authserver.web import security
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.web.walking import start

HTTPS = Settings(issuer="https://id.example")
PAGES = (
    "/login",
    "/logged-out",
    "/nowhere",
    "/authorize?client_id=nobody",
    "/login?interaction=x",
    "/consent",
    "/logout?a=%ff",
)
ACCOUNT = ("/account", "/account/security", "/account/sessions", "/account/apps", "/logout")


def _policy(page: Page) -> dict[str, list[str]]:
    directives = (part.split() for part in page.headers["content-security-policy"].split(";"))
    return {name: values for name, *values in directives}


def _safe(page: Page) -> None:
    policy = _policy(page)
    assert policy["default-src"] == ["'none'"]
    assert policy["frame-ancestors"] == ["'none'"]
    assert policy["base-uri"] == ["'none'"]
    assert policy["form-action"][0] == "'self'"
    assert "script-src" not in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in page.headers["permissions-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in page.headers


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_the_headers_error_pages_included(browser: Browser, path: str) -> None:
    _safe(browser.visit(path))


@pytest.mark.parametrize("path", ACCOUNT)
def test_account_pages_have_the_headers_and_lead_nowhere_else(signed_in: Browser, path: str) -> None:
    page = signed_in.visit(path)
    _safe(page)
    assert _policy(page)["form-action"] == ["'self'"]


def test_only_https_promises_https() -> None:
    assert ("Strict-Transport-Security", "max-age=31536000") in security.page_headers(HTTPS)
    assert "Strict-Transport-Security" not in dict(security.page_headers(Settings(development=True)))


def test_login_and_consent_may_end_at_the_client_and_where_it_sends_people_next(
    login_page: Page, consent_page: Page
) -> None:
    for page in (login_page, consent_page):
        assert _policy(page)["form-action"] == ["'self'", "https://client.test", "https:"]


@pytest.mark.parametrize(
    ("uri", "sources"),
    [
        ("https://app.example/cb?x=;script-src%20*", "https://app.example https:"),
        ("http://127.0.0.1:5000/cb", "http://127.0.0.1:5000 http:"),
        ("http://[::1]:5000/cb", "http:"),
        ("com.example.app:/cb", "com.example.app:"),
        ("https://a;script-src *.b/", "https:"),
        ("https://a,b/", "https:"),
        ("https://xn--bcher-kva.example/cb", "https://xn--bcher-kva.example https:"),
    ],
)
def test_a_redirect_uri_never_adds_a_directive(uri: str, sources: str) -> None:
    policy = dict(security.page_headers(HTTPS, (uri,)))["Content-Security-Policy"]
    assert f"form-action 'self' {sources};" in policy
    assert "script-src" not in policy


def test_the_answer_by_form_runs_one_script_and_works_without_it(
    authserver: AuthServer, signed_in: Browser, consent_page: Page
) -> None:
    client = authserver.client(client_name="Poster", trusted=True)
    page = start(signed_in, authserver.request(client, authserver.pkce(), response_mode="form_post"))
    (nonce,) = _policy(page)["script-src"]
    assert re.fullmatch(r"'nonce-[\w-]{20,}'", nonce)
    assert f'<script nonce="{nonce[7:-1]}">' in page.text
    assert page.form("code").action == client.redirect_uri
    assert "form-post-submit" in page.form("code").buttons
    again = start(signed_in, authserver.request(client, authserver.pkce(), response_mode="form_post"))
    assert _policy(again)["script-src"] != [nonce]


# The cookie


def test_the_cookie_is_for_this_host_alone(login_page: Page, browser: Browser, authserver: AuthServer) -> None:
    header = authserver.http().get("/login").headers["set-cookie"]
    assert header.startswith("authserver=asb_")
    parts = {part.strip().lower() for part in header.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= parts
    assert not any(part.startswith("domain") or part == "secure" for part in parts)
    assert len(header) < 4096


def test_over_https_the_cookie_has_the_host_prefix_and_is_secure(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = AuthServer(tmp_path_factory.mktemp("https"), issuer="https://id.example", development=False)
    header = server.http().get("/login").headers["set-cookie"]
    server.close()
    assert header.startswith("__Host-authserver=")
    assert "Secure" in header
    assert "Path=/" in header


@pytest.mark.parametrize("cookie", ["", "x", "asb_", "asb_" + "A" * 49, "A" * 4000, "asr_" + "A" * 49, "%00"])
def test_a_cookie_that_is_not_ours_is_no_session(authserver: AuthServer, cookie: str) -> None:
    response = authserver.http().get("/account", headers={"Cookie": f"authserver={cookie}".encode()})
    assert (response.status_code, response.headers["location"]) == (303, "/login")


def test_a_hundred_sign_ins_at_once_need_one_cookie(authserver: AuthServer, client: RegisteredClient) -> None:
    browser = authserver.browser()
    for _ in range(100):
        browser.authorize(authserver.request(client, authserver.pkce()))
    assert len(browser.http.cookies) == 1


# Forms


def _post(authserver: AuthServer, browser: Browser, page: Page, **headers: str) -> int:
    form = page.form("login-submit")
    data = {**form.fields, "username": "alice", "password": PASSWORD}
    return browser.http.post(form.action, data=data, headers=headers).status_code


def test_a_form_of_ours_is_taken(authserver: AuthServer, browser: Browser, login_page: Page) -> None:
    origin = "http://localhost:9000"
    assert _post(authserver, browser, login_page, Origin=origin, **{"Sec-Fetch-Site": "same-origin"}) == 303


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "null"}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
)
def test_what_a_browser_leaves_out_does_not_count_against_it(
    authserver: AuthServer, browser: Browser, login_page: Page, headers: dict[str, str]
) -> None:
    assert _post(authserver, browser, login_page, **headers) == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "http://localhost:9001"},
        {"Origin": "https://localhost:9000"},
        {"Origin": "http://localhost:9000.evil.test"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_form_from_elsewhere_is_refused_even_with_the_token(
    authserver: AuthServer, browser: Browser, login_page: Page, headers: dict[str, str]
) -> None:
    assert _post(authserver, browser, login_page, **headers) == 403


@pytest.mark.parametrize("token", [None, "", "x", "A" * 43, "é", "\ud83d"])
def test_a_form_without_the_right_token_is_refused(browser: Browser, login_page: Page, token: str | None) -> None:
    data = {"username": "alice", "password": PASSWORD}
    if token is not None:
        data["csrf_token"] = token.encode("utf-8", "replace").decode()
    response = browser.http.post(login_page.form("login-submit").action, data=data)
    assert response.status_code == 403
    assert 'id="error-code">form_expired<' in response.text


def test_a_token_of_another_browser_interaction_or_form_is_refused(
    authserver: AuthServer, client: RegisteredClient, browser: Browser, login_page: Page
) -> None:
    action = login_page.form("login-submit").action
    other_browser = authserver.browser().authorize(authserver.request(client, authserver.pkce()))
    other_interaction = browser.authorize(authserver.request(client, authserver.pkce()))
    without = browser.visit("/login")
    for page in (other_browser, other_interaction, without):
        token = page.form("login-submit").fields["csrf_token"]
        data = {"username": "alice", "password": PASSWORD, "csrf_token": token}
        assert browser.http.post(action, data=data).status_code == 403


def test_the_token_is_not_a_word_of_the_cookie(login_page: Page, browser: Browser) -> None:
    cookie = browser.http.cookies["authserver"]
    token = login_page.form("login-submit").fields["csrf_token"]
    assert token not in cookie
    assert cookie[4:24] not in login_page.text


def test_redirects_after_forms_are_303(authserver: AuthServer, browser: Browser, login_page: Page) -> None:
    form = login_page.form("login-submit")
    response = browser.http.post(form.action, data={**form.fields, "username": "alice", "password": PASSWORD})
    assert response.status_code == 303
    location = urlsplit(response.headers["location"])
    assert (location.netloc, location.path) == ("", "/authorize/resume")
    assert "interaction" in parse_qs(location.query)


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL"])
def test_a_forged_host_changes_no_link(authserver: AuthServer, name: str) -> None:
    value = "host=evil.test" if name == "Forwarded" else "evil.test"
    for path in ("/login", "/account", "/logout", "/nowhere", "/login/", "/account//security", "/static//mark.svg"):
        response = authserver.http().get(path, headers={name: value})
        assert "evil.test" not in response.text
        assert "evil.test" not in str(response.headers)
