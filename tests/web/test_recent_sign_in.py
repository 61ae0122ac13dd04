"""What takes a sign-in of the last minutes (OWASP ASVS 7.5), and that nothing is lost in silence on the way."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page
from pytest_authserver.server import PASSWORD
from tests.authenticator import enrol
from tests.web.walking import sign_in

LATER = 301


def _post(browser: Browser, page: Page, button: str, **values: str) -> Page:
    return browser.submit(page, button, **values)


def _other(browser: Browser, page: Page) -> Page:
    """Press the button that ends the session elsewhere."""
    form = page.forms[1]
    return browser._follow(browser.http.post(form.action, data={**form.fields, "sid": form.buttons["sid"][1]}))


def test_ending_sessions_elsewhere_takes_a_recent_sign_in(authserver: AuthServer, signed_in: Browser) -> None:
    elsewhere = sign_in(authserver)
    page = signed_in.visit("/account/sessions")
    with authserver.later(LATER):
        for press in (lambda: _other(signed_in, page), lambda: _post(signed_in, page, "end-others")):
            again = press()
            assert urlsplit(again.url).path == "/login"
            assert again.form("username").fields["username"] == "alice"
        assert elsewhere.visit("/account").status == 200
        back = signed_in.log_in(again, "alice", PASSWORD)
        assert urlsplit(back.url).path == "/account/sessions"
        assert 'id="undone"' in back.text
        assert back.text.count('name="sid"') == 2
        done = signed_in.submit(back, "end-others")
        assert done.text.count('name="sid"') == 1
        assert 'id="undone"' not in done.text
        assert "login-submit" in elsewhere.visit("/account").text


def test_signing_out_here_takes_none(authserver: AuthServer, signed_in: Browser) -> None:
    page = signed_in.visit("/account/sessions")
    with authserver.later(LATER):
        assert 'id="logged-out"' in signed_in.submit(page, "end-this").text


def test_the_second_factor_takes_one_and_says_that_nothing_was_changed(
    authserver: AuthServer, alice: User, signed_in: Browser
) -> None:
    app = enrol(authserver, signed_in)
    page = signed_in.visit("/account/second-factor")
    with authserver.later(LATER):
        assert urlsplit(signed_in.visit("/account/second-factor").url).path == "/login"
        again = signed_in.submit(page, "second-factor-remove", code=app.code())
        page = signed_in.log_in(again, "alice", PASSWORD)
        page = signed_in.submit(page, "second-factor-submit", code=app.code())
        assert urlsplit(page.url).path == "/account/second-factor"
        assert 'id="undone"' in page.text
    assert authserver.store.credentials.of_user(alice.sub, "totp")


def test_the_way_leads_back_as_the_account_that_was_asked(authserver: AuthServer, signed_in: Browser) -> None:
    authserver.user("bob")
    signed_in.log_in(signed_in.visit("/login?switch=1"), "bob", PASSWORD)
    with authserver.later(LATER):
        page = signed_in.visit("/account/second-factor")
        assert page.form("username").fields["username"] == "bob"
        signed_in.log_in(signed_in.visit("/login?switch=1"), "alice", PASSWORD)
        # The other one proves to be there: the page is about them then.
        page = signed_in.log_in(page, "alice", PASSWORD)
        assert urlsplit(page.url).path == "/account/second-factor"
        assert "<bdi>alice</bdi>" in page.text.partition('class="who"')[2].partition("</p>")[0]


def test_the_notice_is_not_shown_by_a_link_of_somebody_else(authserver: AuthServer, signed_in: Browser) -> None:
    other = sign_in(authserver)
    page = other.visit("/account/sessions")
    with authserver.later(LATER):
        form = page.form("end-others")
        location = other.http.post(form.action, data={**form.fields, "which": "others"}).headers["location"]
    ours = parse_qs(urlsplit(location).query)["next"][0]
    assert 'id="undone"' in other.visit(ours).text
    for link in (ours, "/account?undone=1", "/account/apps?undone="):
        assert 'id="undone"' not in signed_in.visit(link).text


def test_whoever_is_not_signed_in_comes_back_to_the_page_that_was_asked_for(browser: Browser, alice: User) -> None:
    page = browser.log_in(browser.visit("/account/apps"), "alice", PASSWORD)
    assert urlsplit(page.url).path == "/account/apps"
    assert 'id="undone"' not in page.text


class TestAnotherTime:
    @pytest.fixture
    def authserver_settings(self, database_url: str) -> dict[str, Any]:
        return {"database_url": database_url, "sessions": {"fresh_seconds": 20}}

    def test_is_that_of_the_settings(self, authserver: AuthServer, signed_in: Browser) -> None:
        assert signed_in.visit("/account/second-factor").url.endswith("/account/second-factor")
        with authserver.later(21):
            assert urlsplit(signed_in.visit("/account/second-factor").url).path == "/login"
