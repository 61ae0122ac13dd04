"""Front-Channel Logout 1.0: whose addresses the page loads, and what else it may do."""

import re
import secrets
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from authserver.manage import clients
from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.described import ID, Web, at, client_at, document, web
from tests.world import code_of

__all__ = ["at", "web"]

PLACE = "https://client.test/front"
BACK = "https://client.test/bye"


@pytest.fixture
def anna(authserver: AuthServer) -> User:
    return authserver.user(f"anna-{secrets.token_hex(6)}")


def framed(at: AuthServer, host: str = "client.test", **metadata: Any) -> RegisteredClient:
    """Register a client on a host, which wants to be told by a frame."""
    return at.client(
        trusted=True,
        redirect_uris=[f"https://{host}/callback"],
        **{"frontchannel_logout_uri": f"https://{host}/front", "post_logout_redirect_uris": [BACK], **metadata},
    )


def use(at: AuthServer, browser: Browser, client: RegisteredClient) -> str:
    """Use a client in a browser; return the ID token."""
    pkce = at.pkce()
    code = code_of(browser.visit_request(at.request(client, pkce)))
    parameters = {"code": code, "code_verifier": pkce.verifier, "redirect_uri": client.redirect_uri}
    token: str = at.token(client, grant_type="authorization_code", **parameters).json()["id_token"]
    return token


def log_out(browser: Browser, hint: str, **parameters: str) -> Page:
    return browser.visit("/logout?" + urlencode({"id_token_hint": hint, **parameters}))


def frames(page: Page) -> list[str]:
    return [unescape(source) for source in re.findall(r'<iframe src="([^"]+)"', page.text)]


def policy(page: Page) -> dict[str, str]:
    return dict(part.partition(" ")[::2] for part in page.headers["content-security-policy"].split("; "))


def sid_of(hint: str) -> str:
    sid: str = jwt.decode(hint, options={"verify_signature": False})["sid"]
    return sid


# 2: registration.


@pytest.mark.parametrize(
    "uri",
    [
        "https://other.test/front",
        "https://client.test:8443/front",
        "http://client.test/front",
        "https://client.test/front#x",
        "javascript:alert(1)",
        "/front",
    ],
)
def test_only_an_address_where_the_client_is_at_home_is_registered_2(authserver: AuthServer, uri: str):
    with pytest.raises(InvalidMetadata):
        authserver.client(frontchannel_logout_uri=uri)


# 3: the page.


def test_every_client_that_was_used_in_the_session_is_told_its_own_name_of_it_3(authserver: AuthServer, anna: User):
    first, second = framed(authserver, "one.test"), framed(authserver, "two.test", subject_type="pairwise")
    unused, browser = framed(authserver, "three.test"), authserver.browser(anna)
    hint, other = use(authserver, browser, first), use(authserver, browser, second)
    use(authserver, browser, authserver.client(trusted=True))
    use(authserver, authserver.browser(anna), unused)
    page = log_out(browser, hint)
    wanted = [("one.test", sid_of(hint)), ("two.test", sid_of(other))]
    assert sid_of(hint) != sid_of(other)
    iss = urlencode({"iss": authserver.issuer})
    assert sorted(frames(page)) == [f"https://{host}/front?{iss}&sid={sid}" for host, sid in wanted]
    assert sorted(policy(page)["frame-src"].split()) == ["https://one.test", "https://two.test"]


def test_the_page_runs_its_one_script_and_is_framed_by_nobody(authserver: AuthServer, anna: User):
    browser = authserver.browser(anna)
    page = log_out(browser, use(authserver, browser, framed(authserver)))
    said = policy(page)
    (nonce,) = re.findall(r'<script nonce="([^"]+)"', page.text)
    assert said["script-src"] == f"'nonce-{nonce}'"
    assert said["default-src"] == "'none'"
    assert said["frame-ancestors"] == "'none'"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    # What is framed can neither lead this page elsewhere nor open another one.
    assert 'sandbox="allow-same-origin allow-scripts"' in page.text


def test_without_an_address_to_return_to_it_goes_on_to_the_page_of_ours(authserver: AuthServer, anna: User):
    browser, client = authserver.browser(anna), framed(authserver)
    use(authserver, browser, client)
    page = browser.submit(browser.visit("/logout"), "logout-confirm")
    assert len(frames(page)) == 1
    assert 'id="logout-continue" href="/logged-out"' in page.text
    assert frames(browser.visit("/logged-out")) == []


def test_the_page_is_one_browsers_own_for_a_minute(authserver: AuthServer, anna: User):
    browser = authserver.browser(anna)
    page = log_out(browser, use(authserver, browser, framed(authserver)), post_logout_redirect_uri=BACK)
    assert len(frames(browser.visit(page.url))) == 1, "it may be loaded again"
    for other in (authserver.browser(), authserver.browser(anna)):
        assert BACK not in other.visit(page.url).text
    with authserver.later(61):
        assert frames(browser.visit(page.url)) == []


@pytest.mark.parametrize("told", ["", "x", "\N{SNOWMAN}", "../x", "a.b", "x" * 5000])
def test_a_made_up_name_shows_the_plain_page(authserver: AuthServer, anna: User, told: str):
    page = authserver.browser(anna).visit("/logged-out?" + urlencode({"told": told}))
    assert page.status == 200
    assert frames(page) == []


def test_a_client_that_is_switched_off_is_not_loaded(authserver: AuthServer, anna: User):
    browser, client, other = authserver.browser(anna), framed(authserver), authserver.client(trusted=True)
    use(authserver, browser, client)
    hint = use(authserver, browser, other)
    clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
    authserver.server.forget()
    page = log_out(browser, hint)
    assert page.url.endswith("/logged-out")
    assert frames(page) == []


def test_what_is_switched_off_loads_nothing(tmp_path: Path):
    server = AuthServer(tmp_path, features={"frontchannel_logout": False})
    browser = server.browser(server.user())
    page = log_out(browser, use(server, browser, framed(server)), post_logout_redirect_uri=BACK)
    assert page.location == BACK
    assert "frontchannel_logout_supported" not in server.get("/.well-known/openid-configuration").json()
    server.close()


def test_nobody_waits_for_the_document_of_a_client_and_it_is_told_without(
    at: AuthServer, web: Web, monkeypatch: pytest.MonkeyPatch
):
    home = "https://app.example"
    posted: list[str] = []

    def post(url: str, _headers: object, _body: object) -> int:
        posted.append(url)
        return 200

    places = {"frontchannel_logout_uri": f"{home}/front", "backchannel_logout_uri": f"{home}/back"}
    web.pages[ID] = document(**places)
    browser, pkce = at.browser(), at.pkce()
    page = browser.visit_request(at.request(client_at(), pkce))
    page = browser.log_in(page, "alice", PASSWORD)
    assert code_of(browser.submit(page, "consent-allow"))
    monkeypatch.setattr(at.server.outbound, "post", post)
    fetched = list(web.fetched)
    web.pages.clear()
    with at.later(7 * 3600):
        at.server.forget()
        assert browser.visit(f"/logout?client_id={ID}").status == 200
        page = browser.submit(browser.visit("/logout"), "logout-confirm")
        assert [frame.partition("?")[0] for frame in frames(page)] == [places["frontchannel_logout_uri"]]
        at.server.deliveries.run()
        at.server.deliveries.wait(10)
    assert posted == [places["backchannel_logout_uri"]]
    assert web.fetched == fetched
