"""The sign-up page: one form, with or without an application that waits."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.authenticator import enrol
from tests.signing_up import NEW, is_sign_up, sign_up
from tests.web.walking import start

TERMS = {"terms_uri": "https://people.test/terms", "policy_uri": "https://people.test/privacy"}


@pytest.fixture
def authserver_settings(database_url: str) -> dict[str, Any]:
    return {"database_url": database_url, "features": {"signup": True}, "signup": TERMS}


@pytest.fixture
def page(authserver: AuthServer, client: RegisteredClient, browser: Browser) -> Page:
    """The page for the application, in the browser ``browser``."""
    return start(browser, authserver.request(client, authserver.pkce(), prompt="create"))


def _link(page: Page, name: str) -> str:
    (found,) = re.findall(rf'id="{name}" href="([^"]+)"', page.text)
    return found.replace("&amp;", "&")


# Its place among the pages.


def test_the_sign_in_page_leads_there_and_back(
    authserver: AuthServer, client: RegisteredClient, browser: Browser
) -> None:
    for first in (start(browser, authserver.request(client, authserver.pkce())), browser.visit("/login")):
        page = browser.visit(_link(first, "sign-up"))
        assert is_sign_up(page)
        assert ("Holiday Photos" in page.text) is ("Holiday Photos" in first.text)
        assert "login-submit" in browser.visit(_link(page, "sign-in")).text


def test_from_the_sign_in_page_the_request_of_the_application_goes_on(
    authserver: AuthServer, client: RegisteredClient, browser: Browser
) -> None:
    login_page = start(browser, authserver.request(client, authserver.pkce(), state="s"))
    page = sign_up(browser, browser.visit(_link(login_page, "sign-up")), "zoe")
    assert "consent-allow" in page.text
    assert "<bdi>zoe</bdi>" in page.text
    assert browser.allow(page).callback["state"] == "s"
    (line,) = authserver.store.audit.list(0, 100, "user.signed_up")
    assert line.event.client_id == client.client_id


def test_without_an_application_it_leads_to_the_account(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    # What a phone or a copy has put at the ends is no part of a name.
    page = sign_up(browser, browser.visit("/signup"), " zoe ", email="zoe@people.test\t", name=" Zoë")
    assert page.url.endswith("/account")
    assert "zoe@people.test" in page.text
    assert "not confirmed" in page.text
    for told in ("zoe@people.test", "Zoë", NEW):
        assert told not in caplog.text


def test_who_signs_in_instead_and_types_wrong_codes_hears_of_it(
    authserver: AuthServer, signed_in: Browser, browser: Browser, page: Page
) -> None:
    app = enrol(authserver, signed_in)
    page = browser.log_in(browser.visit(_link(page, "sign-in")), "alice", PASSWORD)
    for _ in range(5):
        page = browser.submit(page, "second-factor-submit", code=app.wrong())
    assert "too many wrong codes" in page.text
    assert "login-submit" in page.text


def test_it_leads_on_to_the_page_of_ours_for_which_the_sign_in_was_begun(browser: Browser) -> None:
    login_page = browser.visit("/account/sessions")
    page = sign_up(browser, browser.visit(_link(login_page, "sign-up")), "zoe")
    assert page.url.endswith("/account/sessions")
    assert sign_up(browser, browser.visit("/signup?next=https://evil.test/&proof=x"), "yan").url.endswith("/account")


def test_where_somebody_is_named_already_nobody_else_is_made(
    authserver: AuthServer, alice: User, client: RegisteredClient, browser: Browser
) -> None:
    hint = authserver.tokens(client, alice)["id_token"]
    page = start(browser, authserver.request(client, authserver.pkce(), id_token_hint=hint))
    assert 'id="sign-up"' not in page.text
    assert "login-submit" in browser.visit(page.url.replace("/login", "/signup")).text


def test_when_all_is_answered_no_account_is_made(
    authserver: AuthServer, signed_in: Browser, consent_page: Page
) -> None:
    page = signed_in.visit(consent_page.url.replace("/consent", "/signup"))
    assert is_sign_up(page)
    signed_in.deny(consent_page)
    assert sign_up(signed_in, page, "zoe").callback["error"] == "access_denied"
    assert authserver.store.users.by_login("zoe") is None


def test_off_there_is_no_page_and_no_link(tmp_path: Path) -> None:
    server = AuthServer(tmp_path)
    browser = server.browser()
    assert 'id="sign-up"' not in browser.visit("/login").text
    assert browser.visit("/signup").status == 404
    assert browser.http.post("/signup", data={"username": "zoe"}).status_code == 404
    server.close()


# What it says.


def test_the_page_names_the_application_and_the_terms(page: Page) -> None:
    for text in ("Holiday Photos", "client.test", "localhost:9000", TERMS["terms_uri"], TERMS["policy_uri"]):
        assert text in page.text
    assert page.text.count('rel="noopener noreferrer" target="_blank"') == 2
    assert page.headers["cache-control"] == "no-store"


def test_every_field_has_its_label_and_its_purpose(page: Page) -> None:
    purposes = {"username": "username", "email": "email", "name": "name", "password": "new-password"}
    for field, purpose in purposes.items():
        assert f'<label for="{field}">' in page.text
        (text,) = re.findall(rf'<input [^>]*id="{field}"[^>]*>', page.text)
        assert f'autocomplete="{purpose}"' in text
        assert (" required" in text) is (field != "name")


def test_each_problem_stands_at_its_field_and_what_was_typed_stays(browser: Browser, page: Page) -> None:
    again = sign_up(browser, page, "zo", email="zoe", name="Zoë", password="short")
    assert again.status == 400
    for field in ("username", "email", "password"):
        assert f'id="{field}-problem" role="alert"' in again.text
        (text,) = re.findall(rf'<input [^>]*id="{field}"[^>]*>', again.text)
        assert 'aria-invalid="true"' in text
        assert f'aria-describedby="{field}-problem' in text
        assert ("autofocus" in text) is (field == "username")
    fields = again.form("signup-submit").fields
    assert (fields["username"], fields["email"], fields["name"], fields["password"]) == ("zo", "zoe", "Zoë", "")
    assert "consent-allow" in sign_up(browser, again, "zoe").text


def test_a_name_that_is_taken_is_said_plainly_and_an_address_is_not(
    authserver: AuthServer, alice: User, browser: Browser, page: Page
) -> None:
    again = sign_up(browser, page, "Alice", email="new@people.test")
    assert (again.status, "This user name is taken" in again.text) == (400, True)
    assert "consent-allow" in sign_up(browser, again, "zoe", email=alice.email or "").text


@pytest.mark.parametrize("text", ['"><script>alert(1)</script>', "{{ 7*7 }}", "\u202eevil", "a\x00b", "x" * 15_000])
def test_what_is_typed_comes_back_as_text_and_not_without_end(browser: Browser, page: Page, text: str) -> None:
    again = sign_up(browser, page, text, email=text, name=text, password=text)
    assert again.status == 400
    assert "<script>" not in again.text
    assert "49" not in again.form("signup-submit").fields["username"]
    assert len(again.text) < 20_000


def test_a_body_over_the_limit_is_413_as_a_page(authserver: AuthServer, browser: Browser, page: Page) -> None:
    answer = sign_up(browser, page, "zoe", name="x" * 1_000_000)
    assert (answer.status, answer.error_code) == (413, "too_large")
    assert authserver.store.users.by_login("zoe") is None


def test_a_form_without_fields_is_the_form_again(browser: Browser, page: Page) -> None:
    form = page.form("signup-submit")
    answer = browser.http.post(form.action, data={"csrf_token": form.fields["csrf_token"]})
    assert answer.status_code == 400
    assert answer.text.count('role="alert"') == 3


# Who sends it.


def test_the_form_counts_in_its_browser_and_for_its_request_alone(
    authserver: AuthServer, client: RegisteredClient, browser: Browser, page: Page
) -> None:
    other = authserver.browser()
    elsewhere = start(other, authserver.request(client, authserver.pkce(), prompt="create"))
    own = browser.visit("/signup")
    good = page.form("signup-submit").fields | {"username": "zoe", "email": "zoe@people.test", "password": NEW}
    for sender, action, token in (
        (browser, page.form("signup-submit").action, ""),
        (browser, page.form("signup-submit").action, own.form("signup-submit").fields["csrf_token"]),
        (browser, own.form("signup-submit").action, good["csrf_token"]),
        (other, elsewhere.form("signup-submit").action, good["csrf_token"]),
    ):
        assert sender.http.post(action, data={**good, "csrf_token": token}).status_code == 403
    foreign = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
    assert browser.http.post(page.form("signup-submit").action, data=good, headers=foreign).status_code == 403
    assert sign_up(other, page, "zoe").error_code == "interaction_lost"
    assert authserver.http().post("/signup", data=good).status_code == 400
    assert authserver.store.users.by_login("zoe") is None


def test_the_cookie_from_before_opens_nothing_afterwards(authserver: AuthServer, browser: Browser, page: Page) -> None:
    before = browser.http.cookies["authserver"]
    sign_up(browser, page, "zoe")
    assert browser.http.cookies["authserver"] != before
    assert authserver.http().get("/account", headers={"Cookie": f"authserver={before}"}).status_code == 303


def test_two_clicks_are_one_account_and_one_answer(authserver: AuthServer, browser: Browser, page: Page) -> None:
    form = page.form("signup-submit")
    data = {**form.fields, "username": "zoe", "email": "zoe@people.test", "password": NEW}
    cookie = {"Cookie": f"authserver={browser.http.cookies['authserver']}"}

    def click(_: int) -> tuple[int, str]:
        answer = authserver.http().post(form.action, data=data, headers=cookie)
        return answer.status_code, answer.headers["location"]

    with ThreadPoolExecutor(2) as pool:
        (first, second) = pool.map(click, range(2))
    assert first == second
    assert first[0] == 303
    assert authserver.store.users.count() == 1
    after = sign_up(browser, page, "zoe")
    assert "consent-allow" in after.text


def test_a_network_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    server = AuthServer(tmp_path, features={"signup": True}, limits={"sign_ups_per_address": 2})
    browser = server.browser()
    page = browser.visit("/signup")
    for _ in range(2):
        page = sign_up(browser, page, "zo")
    page = sign_up(browser, page, "zoe")
    assert (page.status, page.headers["retry-after"]) == (429, "3600")
    assert "Try again in an hour" in page.text
    assert server.store.users.count() == 0
    server.close()
