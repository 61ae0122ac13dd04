import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from authserver.records import User
from authserver.settings import Settings
from authserver.web import security
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.web.walking import sign_in, start

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


def _asked(page: httpx2.Response) -> bool:
    return page.headers.get("content-type", "").startswith("text/html")


def _everything(authserver: AuthServer, browser: Browser) -> Iterator[tuple[str, httpx2.Response]]:
    """Ask every address that there is, in every method, without anything and with rubbish."""
    for rule in authserver.app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in ("GET", "POST", "PUT"):
            for query in ("", "?interaction=x&a=%ff"):
                yield f"{method} {path}{query}", browser.http.request(method, path + query)


@pytest.mark.parametrize("signed_in_as", [None, "alice"])
def test_no_address_answers_a_page_without_the_headers(
    authserver: AuthServer, alice: User, signed_in_as: str | None
) -> None:
    """RFC 9700 4.16: whatever is HTML may be framed by nobody, whoever asks and however it went."""
    browser = authserver.browser(alice if signed_in_as else None)
    pages = {asked: page for asked, page in _everything(authserver, browser) if _asked(page)}
    assert len({page.status_code for page in pages.values()}) > 3
    for asked, page in pages.items():
        try:
            _safe(Page(asked, page.status_code, page.headers, page.text))
        except (AssertionError, KeyError) as problem:
            pytest.fail(f"{asked} ({page.status_code}): {problem!r}")


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


def test_a_cookie_of_another_deployment_is_no_session(authserver: AuthServer, alice: User, tmp_path: Path) -> None:
    other = AuthServer(tmp_path / "other", secret_key="the secret key of quite another deployment")
    cookie = other.browser(other.user("alice")).http.cookies["authserver"]
    other.close()
    assert authserver.http().get("/account", headers={"Cookie": f"authserver={cookie}"}).status_code == 303


def test_of_two_cookies_none_counts_whichever_comes_first(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser
) -> None:
    """RFC 6265 8.6: a neighbour can set a cookie of our name, and the order says nothing about whose is whose."""
    authserver.user("mallory")
    mine, theirs = (at.http.cookies["authserver"] for at in (signed_in, sign_in(authserver, "mallory")))
    trusted = authserver.client(trusted=True)
    request = "/authorize?" + urlencode(authserver.request(trusted, authserver.pkce(), prompt="none"))
    silently = "/authorize?" + urlencode(authserver.request(trusted, authserver.pkce()))

    def ask(path: str, *cookies: str) -> str:
        headers = {"Cookie": "; ".join(f"authserver={cookie}" for cookie in cookies)}
        return str(authserver.http().get(path, headers=headers).headers.get("location"))

    assert "code=" in ask(silently, mine)
    assert "code=" in ask(request, mine, mine), "the same one twice says the same"
    for cookies in ((mine, theirs), (theirs, mine), (mine, "x"), ("", mine), (mine, *[theirs] * 200)):
        assert ask("/account", *cookies) == "/login"
        assert "error=login_required" in ask(request, *cookies)
        assert ask(silently, *cookies).startswith("/login?interaction=")


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


FORGED = {
    "Host": "evil.test",
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "444",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "host=evil.test;proto=https",
    "X-Original-URL": "/account",
    "X-Rewrite-URL": "/account",
}


def test_forged_headers_change_neither_issuer_nor_cookie_nor_way(authserver: AuthServer, signed_in: Browser) -> None:
    """The issuer and every address of ours come from the settings, whatever a proxy was made to hand on."""
    plain, forging = authserver.http(), authserver.http(headers=FORGED)
    discovery = "/.well-known/openid-configuration"
    assert forging.get(discovery).json() == plain.get(discovery).json()
    answer = forging.get("/login")
    assert answer.status_code == 200
    assert "login-submit" in answer.text
    assert "secure" not in answer.headers["set-cookie"].lower()
    assert "evil" not in answer.text + str(answer.headers)
    cookie = {"Cookie": f"authserver={signed_in.http.cookies['authserver']}"}
    assert forging.get("/account/sessions", headers=cookie).text.count("<h1>Sessions</h1>") == 1
    assert forging.get("/account", headers={"Cookie": "x"}).headers["location"] == "/login"
