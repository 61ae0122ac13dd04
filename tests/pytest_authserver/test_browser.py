"""The kit's browser: cookies, redirects inside of the server, forms."""

from collections.abc import Callable

import httpx2
import pytest

from pytest_authserver import AuthServer, Browser
from pytest_authserver.server import PASSWORD

ISSUER = "http://localhost:9000"
PAGE = """
<form action="/search"><input name="q" value="&lt;b&gt;"><input type="submit" name="go" value="Go"></form>
<form method="POST" action="/save">
  <input type="hidden" name="token" value="t"><input type="checkbox" name="on" value="1" checked>
  <input type="checkbox" name="off" value="1"><textarea name="text"></textarea>
  <button id="keep" name="which" value="keep">Keep</button><button id="drop" name="which" value="drop">Drop</button>
  <button id="plain">Plain</button>
</form>
<p id="error-code"> some_code </p>
"""


def _browser(answer: Callable[[httpx2.Request], httpx2.Response]) -> Browser:
    return Browser(httpx2.Client(transport=httpx2.MockTransport(answer), base_url=ISSUER), ISSUER)


def _echo(request: httpx2.Request) -> httpx2.Response:
    if request.url.path == "/":
        return httpx2.Response(200, html=PAGE)
    headers = {name: request.headers.get(name, "") for name in ("origin", "sec-fetch-site")}
    query = request.url.query.decode()
    return httpx2.Response(
        200, text=f"{request.method} {request.url.path}?{query} {request.content.decode()}", headers=headers
    )


def test_a_page_tells_its_forms_and_its_error_code():
    page = _browser(_echo).visit("/")
    assert [(form.action, form.method) for form in page.forms] == [("/search", "get"), ("/save", "post")]
    assert page.forms[0].fields == {"q": "<b>"}
    assert page.forms[1].fields == {"token": "t", "on": "1", "text": ""}
    assert page.error_code == "some_code"
    assert page.form("drop") is page.forms[1]
    assert page.form("q") is page.forms[0]
    with pytest.raises(LookupError, match="no form with nothing"):
        page.form("nothing")


def test_a_form_is_sent_with_the_button_that_was_pressed():
    browser = _browser(_echo)
    page = browser.visit("/")
    assert browser.submit(page, "drop", text="x").text == "POST /save? token=t&on=1&text=x&which=drop"
    assert browser.submit(page, "keep").text == "POST /save? token=t&on=1&text=&which=keep"
    assert browser.submit(page, "plain").text == "POST /save? token=t&on=1&text="
    assert browser.submit(page, "q", q="a b").text == "GET /search?q=a+b "


def test_a_posted_form_says_where_it_comes_from_as_browsers_do():
    browser = _browser(_echo)
    sent = browser.submit(browser.visit("/"), "plain")
    assert sent.headers["origin"] == ISSUER
    assert sent.headers["sec-fetch-site"] == "same-origin"


@pytest.mark.parametrize(
    "target",
    ["https://client.test/cb?code=1&state=", "http://localhost:9001/?code=1&state=", "com.app:/cb?code=1&state="],
)
def test_redirects_to_elsewhere_are_told_and_not_followed(target: str):
    page = _browser(lambda _: httpx2.Response(303, headers={"Location": target})).visit("/")
    assert page.location == target
    assert page.callback == {"code": "1", "state": ""}
    assert page.forms == []


def test_an_answer_in_the_fragment_is_read_too():
    target = "https://client.test/cb#error=access_denied&state=s"
    page = _browser(lambda _: httpx2.Response(303, headers={"Location": target})).visit("/")
    assert page.callback == {"error": "access_denied", "state": "s"}


def test_redirects_inside_of_the_server_are_followed_but_not_for_ever():
    with pytest.raises(LookupError, match="redirects"):
        _browser(lambda _: httpx2.Response(303, headers={"Location": "/"})).visit("/")


def test_what_is_no_page_has_no_forms():
    page = _browser(lambda _: httpx2.Response(200, text=PAGE)).visit("/")
    assert page.forms == []
    assert page.error_code == "some_code"


def test_people_can_refuse(authserver: AuthServer):
    authserver.user("alice")
    browser = authserver.browser()
    page = browser.visit_request(authserver.request(authserver.client(), authserver.pkce()))
    page = browser.log_in(page, "alice", PASSWORD)
    assert browser.deny(page).callback["error"] == "access_denied"


def test_authorize_goes_as_far_as_it_can(authserver: AuthServer):
    authserver.user("alice")
    request = authserver.request(authserver.client(), authserver.pkce())
    assert "login-submit" in authserver.browser().authorize(request).text
    page = authserver.browser().authorize(request, username="alice", password="wrong")
    assert page.location is None
    assert page.status == 400


@pytest.mark.parametrize("remember", [True, False])
def test_a_browser_that_was_closed_keeps_what_lasts(*, authserver: AuthServer, remember: bool):
    authserver.user("alice")
    browser = authserver.browser()
    browser.log_in(browser.visit("/login"), "alice", PASSWORD, remember=remember)
    assert browser.visit("/account").url.endswith("/account")
    browser.reopen()
    assert browser.visit("/account").url.endswith("/account") is remember
