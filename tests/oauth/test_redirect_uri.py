"""Redirection endpoint (RFC 6749 3.1.2; RFC 9700 2.1, 4.1.3; RFC 8252 7)."""

from urllib.parse import urljoin

import httpx2
import pytest

from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.world import ask, assert_shown, code_of

REGISTERED = "https://app.test/cb"


@pytest.fixture(scope="module")
def app(authserver: AuthServer) -> RegisteredClient:
    """A web application with one redirect URI."""
    return authserver.client(redirect_uris=[REGISTERED], trusted=True)


def _native(authserver: AuthServer, *redirect_uris: str) -> RegisteredClient:
    return authserver.public_client(redirect_uris=list(redirect_uris), application_type="native", trusted=True)


# Who asks, and where the answer goes, is proven before any redirect (3.1.2.4, 4.1.2.1).


@pytest.mark.parametrize("client_id", [None, "", "nobody", "\N{SNOWMAN}", "a\0b", "a\nb", "' OR 1=1 --", "x" * 3000])
def test_an_unknown_client_gets_a_page_and_no_redirect(
    authserver: AuthServer, app: RegisteredClient, alice: User, client_id: str | None
):
    assert_shown(ask(authserver, app, alice, client_id=client_id), "invalid_client")


def test_a_disabled_client_gets_a_page_and_no_redirect(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True)
    from authserver.manage import clients

    clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
    assert_shown(ask(authserver, client, alice), "invalid_client")


def test_a_missing_redirect_uri_gets_a_page_even_where_only_one_is_registered(
    authserver: AuthServer, app: RegisteredClient, alice: User
):
    for scope in ("openid", "api:read"):
        assert_shown(ask(authserver, app, alice, redirect_uri=None, scope=scope), "invalid_redirect_uri")
        assert_shown(ask(authserver, app, alice, redirect_uri="", scope=scope), "invalid_redirect_uri")


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_a_repeated_address_gets_a_page_even_with_equal_values(
    authserver: AuthServer, app: RegisteredClient, alice: User, name: str
):
    value = {"client_id": app.client_id, "redirect_uri": REGISTERED}[name]
    assert_shown(ask(authserver, app, alice, **{name: [value, value]}))
    assert_shown(ask(authserver, app, alice, **{name: [value, "https://evil.test/"]}))
    assert_shown(ask(authserver, app, alice, **{name: ["https://evil.test/", value]}))
    assert_shown(ask(authserver, app, alice, **{name: [value, ""]}))


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://app.test/cb/",
        "https://app.test/CB",
        "https://app.test/cb/../cb",
        "https://app.test/cb%2f",
        "https://app.test//cb",
        "https://app.test:443/cb",
        "https://APP.test/cb",
        "HTTPS://app.test/cb",
        "http://app.test/cb",
        "https://app.test/cb?",
        "https://app.test/cb?a=b",
        "https://app.test/cb#",
        "https://app.test/cb#x",
        "https://app.test/cb;x",
        "https://app.test/cb\\",
        "https://app.test\\cb",
        "https://app.test/c\tb",
        "https://app.test/cb\n",
        "https://app.test/cb\r\nX-Injected: 1",
        " https://app.test/cb",
        "https://app.test/cb ",
        "https://app.test/%63b",
        "https://app.test/c\N{CYRILLIC SMALL LETTER VE}",
        "https://\N{CYRILLIC SMALL LETTER A}pp.test/cb",
        "https://user@app.test/cb",
        "https://app.test.evil.test/cb",
        "https://appxtest/cb",
        "https://evil.test/https://app.test/cb",
        "//app.test/cb",
        "/cb",
        "cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "about:blank",
        "blob:https://app.test/x",
        "https://app.test/cb\0",
        "https://[::1",
    ],
)
def test_a_redirect_uri_is_compared_as_a_string_9700_2_1(
    authserver: AuthServer, app: RegisteredClient, alice: User, redirect_uri: str
):
    page = ask(authserver, app, alice, redirect_uri=redirect_uri)
    assert_shown(page, "invalid_redirect_uri")
    assert "evil" not in page.text


def test_the_query_of_a_registered_uri_is_kept_3_1_2(authserver: AuthServer, alice: User):
    client = authserver.client(redirect_uris=["https://app.test/cb?tenant=1&x="], trusted=True)
    page = ask(authserver, client, alice, state="s")
    assert page.location is not None
    assert page.location.startswith("https://app.test/cb?tenant=1&x=&code=")
    assert page.callback.keys() == {"tenant", "x", "code", "state", "iss"}
    for other in ("https://app.test/cb", "https://app.test/cb?tenant=2&x=", "https://app.test/cb?tenant=1&x=&y"):
        assert_shown(ask(authserver, client, alice, redirect_uri=other), "invalid_redirect_uri")


def test_each_of_several_registered_uris_is_good_and_none_is_the_default(authserver: AuthServer, alice: User):
    uris = ["https://app.test/one", "https://app.test/two"]
    client = authserver.client(redirect_uris=uris, trusted=True)
    for uri in uris:
        page = ask(authserver, client, alice, redirect_uri=uri)
        assert page.location is not None
        assert page.location.startswith(uri + "?code=")
    assert_shown(ask(authserver, client, alice, redirect_uri=None), "invalid_redirect_uri")


# RFC 8252 7.3: loopback.


@pytest.mark.parametrize("registered", ["http://127.0.0.1/cb", "http://127.0.0.1:8000/cb"])
def test_the_port_of_a_loopback_uri_may_differ(authserver: AuthServer, alice: User, registered: str):
    client = _native(authserver, registered)
    for uri in ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"):
        page = ask(authserver, client, alice, redirect_uri=uri)
        assert code_of(page)
        assert str(page.location).startswith(f"{uri}?")


def test_the_port_of_a_loopback_uri_in_version_6_may_differ(authserver: AuthServer, alice: User):
    client = _native(authserver, "http://[::1]/cb")
    code_of(ask(authserver, client, alice, redirect_uri="http://[::1]:51004/cb"))
    assert_shown(ask(authserver, client, alice, redirect_uri="http://127.0.0.1:51004/cb"))


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://localhost:1/cb",
        "http://[::1]:1/cb",
        "http://127.0.0.1.evil.test/cb",
        "http://127.0.0.1:80@evil.test/cb",
        "http://127.0.0.1:1x/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:080/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:-1/cb",
        "http://127.0.0.1:\N{ARABIC-INDIC DIGIT ONE}/cb",
        "http://127.0.0.1:1/other",
        "http://127.0.0.1:1/cb?x",
        "http://127.0.0.1:1/cb/",
        "http://127.0.0.1:1",
        "http://127.0.0.1?/cb",
        "http://127.1/cb",
        "http://127.0.0.2/cb",
        "http://0.0.0.0/cb",
        "http://0x7f000001/cb",
        "https://127.0.0.1:1/cb",
        "HTTP://127.0.0.1:1/cb",
    ],
)
def test_nothing_but_the_port_of_a_loopback_uri_may_differ(authserver: AuthServer, alice: User, redirect_uri: str):
    client = _native(authserver, "http://127.0.0.1/cb")
    assert_shown(ask(authserver, client, alice, redirect_uri=redirect_uri), "invalid_redirect_uri")


def test_the_name_localhost_takes_any_port_only_for_native_clients_that_registered_none(
    authserver: AuthServer, alice: User
):
    open_port = _native(authserver, "http://localhost/cb")
    code_of(ask(authserver, open_port, alice, redirect_uri="http://localhost:51004/cb"))
    fixed_port = _native(authserver, "http://localhost:8000/cb")
    code_of(ask(authserver, fixed_port, alice, redirect_uri="http://localhost:8000/cb"))
    assert_shown(ask(authserver, fixed_port, alice, redirect_uri="http://localhost:8001/cb"))
    web = authserver.client(redirect_uris=["http://localhost/cb"], trusted=True)
    assert_shown(ask(authserver, web, alice, redirect_uri="http://localhost:8000/cb"))


def test_a_private_use_scheme_is_compared_exactly_8252_7_1(authserver: AuthServer, alice: User):
    client = _native(authserver, "com.example.app:/cb")
    page = ask(authserver, client, alice)
    assert page.location is not None
    assert page.location.startswith("com.example.app:/cb?code=")
    for other in ("com.example.app://cb", "com.example.app:cb", "com.example.App:/cb", "com.example.app:/cb/"):
        assert_shown(ask(authserver, client, alice, redirect_uri=other), "invalid_redirect_uri")


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///x",
        "about:blank",
        "blob:https://a.test/x",
        "app:/cb",
        "https://app.test/cb?code=x",
        "https://app.test/cb?state=y&iss=z",
        "https://app.test/cb#x",
        "http://a.test/",
    ],
)
def test_what_could_never_be_answered_safely_is_not_registered(authserver: AuthServer, redirect_uri: str):
    with pytest.raises(InvalidMetadata) as refused:
        authserver.client(redirect_uris=[redirect_uri])
    assert refused.value.error == "invalid_redirect_uri"


# RFC 6749 Appendix A, RFC 9700 4.12: how the answer is sent there.


@pytest.mark.parametrize(
    "state", ["a\r\nSet-Cookie: x=y", "a\nb", "a\0b", "\t", "%0d%0aX: y", "\N{SNOWMAN}\u2028", "a#b&c=d?e"]
)
@pytest.mark.parametrize("refused", [False, True])
def test_what_comes_back_stays_one_value_of_one_line(
    authserver: AuthServer, app: RegisteredClient, alice: User, state: str, *, refused: bool
):
    page = ask(authserver, app, alice, state=state, **({"scope": "api:read\r\nX-Injected: 1"} if refused else {}))
    assert page.location is not None
    assert page.location.isascii()
    assert page.location.isprintable()
    assert page.callback.keys() == {"state", "iss", *({"error", "error_description"} if refused else {"code"})}
    assert page.callback["state"] == state
    assert {"x-injected", "x"}.isdisjoint(page.headers)
    assert "x=y" not in page.headers.get("set-cookie", "")


@pytest.mark.parametrize("trusted", [True, False])
def test_whoever_posts_a_password_or_a_yes_is_sent_on_by_303_and_posts_it_to_nobody_else_9700_4_12(
    authserver: AuthServer, alice: User, *, trusted: bool
):
    client = authserver.client(trusted=trusted)
    browser = authserver.browser()
    page = browser.visit_request(authserver.request(client, authserver.pkce()))
    posted = [_post(browser, page, "login-submit", username=alice.username, password=PASSWORD)]
    if not trusted:
        posted.append(_post(browser, browser.visit(posted[0].headers["location"]), "consent-allow"))
    assert [answer.status_code for answer in posted] == [303] * len(posted)
    ways = [answer.headers["location"] for answer in posted]
    # Neither form is answered by the way to the client: a page of our own is between them.
    assert all(way.startswith("/authorize/resume?") for way in ways)
    end = browser.visit(ways[-1])
    assert (end.status, str(end.location).partition("=")[0]) == (303, f"{client.redirect_uri}?code")


def _post(browser: Browser, page: Page, button: str, **values: str) -> httpx2.Response:
    """Send a form and follow nothing."""
    form = page.form(button)
    pressed = dict([form.buttons[button]] if form.buttons[button][0] else [])
    head = {"Origin": browser.origin, "Sec-Fetch-Site": "same-origin"}
    url = urljoin(page.url, form.action or page.url)
    return browser.http.post(url, data={**form.fields, **values, **pressed}, headers=head, follow_redirects=False)
