import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import pytest

from authserver.records import Event, User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.authenticator import enrol
from tests.web.walking import start


def _same_body(text: str, *names: str) -> str:
    """Return the page without what a person typed and what is drawn anew for each page."""
    text = re.sub(r'name="csrf_token" value="[^"]+"', "", text)
    text = re.sub(r"interaction=[^\"&]+", "", text)
    for name in names:
        text = text.replace(f'value="{name}"', 'value=""')
    return text


def test_the_page_names_the_application_its_host_and_this_server(login_page: Page) -> None:
    assert "Holiday Photos" in login_page.text
    assert "client.test" in login_page.text
    assert "localhost:9000" in login_page.text
    fields = login_page.form("login-submit").fields
    assert {"username", "password"} <= set(fields)


def test_the_right_password_leads_on_to_consent(browser: Browser, login_page: Page) -> None:
    page = browser.log_in(login_page, "alice", PASSWORD)
    assert "consent-allow" in page.text


def test_without_an_application_signing_in_leads_to_the_account(browser: Browser, alice: User) -> None:
    page = browser.log_in(browser.visit("/login"), "alice", PASSWORD)
    assert page.url.endswith("/account")
    assert browser.visit("/login").url.endswith("/account")


def test_unknown_wrong_and_disabled_are_one_answer_in_bytes(authserver: AuthServer, alice: User) -> None:
    """What is on the page says nothing about who has an account here."""
    authserver.user("mallory")
    mallory = authserver.store.users.by_login("mallory")
    assert mallory is not None
    authserver.store.users.set_disabled(mallory.sub, True, Event("user.disabled", "test"))
    pages = []
    for name, password in (("alice", "wrong"), ("nobody", PASSWORD), ("mallory", PASSWORD)):
        browser = authserver.browser()
        pages.append(browser.log_in(browser.visit("/login"), name, password))
    assert {page.status for page in pages} == {400}
    assert len({_same_body(page.text, "alice", "nobody", "mallory") for page in pages}) == 1
    assert len({len(page.headers) for page in pages}) == 1


def test_the_wait_is_one_answer_in_bytes_too(authserver: AuthServer, alice: User) -> None:
    pages = []
    for name in ("alice", "nobody"):
        browser = authserver.browser()
        for _ in range(6):
            page = browser.log_in(browser.visit("/login"), name, "wrong")
        pages.append(page)
    assert {page.status for page in pages} == {429}
    assert {page.headers["retry-after"] for page in pages} == {"1"}
    assert len({_same_body(page.text, "alice", "nobody") for page in pages}) == 1


def test_the_message_is_tied_to_the_fields_and_the_name_stays(browser: Browser, login_page: Page) -> None:
    page = browser.log_in(login_page, "alice", "wrong")
    assert 'id="problem" role="alert"' in page.text
    assert page.text.count('aria-describedby="problem"') == 2
    assert page.form("login-submit").fields["username"] == "alice"
    assert page.form("login-submit").fields["password"] == ""
    assert "wrong" not in page.text.replace("went wrong", "")


@pytest.mark.parametrize("values", [{}, {"username": "alice"}, {"password": "x"}, {"username": "  ", "password": "x"}])
def test_an_incomplete_form_is_shown_again(browser: Browser, login_page: Page, values: dict[str, str]) -> None:
    form = login_page.form("login-submit")
    data = {"csrf_token": form.fields["csrf_token"], **values}
    response = browser.http.post(form.action, data=data)
    assert response.status_code == 400
    assert "Enter your user name" in response.text


@pytest.mark.parametrize("name", ['"><script>alert(1)</script>', "\u202eevil", "{{ 7*7 }}", "a\x00b", "x" * 60_000])
def test_what_is_typed_comes_back_as_text(browser: Browser, login_page: Page, name: str) -> None:
    page = browser.log_in(login_page, name, "wrong")
    assert page.status in {400, 413}
    assert "<script>" not in page.text
    assert "49" not in page.form("username").fields["username"] if page.status == 400 else True


def test_a_body_over_the_limit_is_413_as_a_page(browser: Browser, login_page: Page) -> None:
    page = browser.log_in(login_page, "alice", "x" * 70_000)
    assert (page.status, page.error_code) == (413, "too_large")


def test_the_login_hint_is_the_first_guess(
    authserver: AuthServer, alice: User, client: RegisteredClient, browser: Browser
) -> None:
    page = browser.authorize(authserver.request(client, authserver.pkce(), login_hint="alice@example.test"))
    assert page.form("username").fields["username"] == "alice@example.test"
    page = browser.authorize(authserver.request(client, authserver.pkce(), login_hint='"><script>x</script>'))
    assert "<script>" not in page.text


def test_the_login_hint_goes_before_whoever_is_signed_in_but_not_before_an_account_that_was_chosen(
    authserver: AuthServer, alice: User, client: RegisteredClient, signed_in: Browser
) -> None:
    def first_guess(**wishes: str) -> str:
        page = signed_in.authorize(authserver.request(client, authserver.pkce(), prompt="login", **wishes))
        return page.form("username").fields["username"]

    assert first_guess() == alice.username
    assert first_guess(login_hint="bob") == "bob"
    token = authserver.sign_in(client, alice.username)["id_token"]
    assert first_guess(login_hint="bob", id_token_hint=token) == alice.username


def test_an_interaction_of_another_browser_is_not_open(authserver: AuthServer, login_page: Page) -> None:
    page = authserver.browser().visit(login_page.url)
    assert (page.status, page.error_code) == (400, "interaction_lost")


@pytest.mark.parametrize("value", ["", "x", "asi_", "../../etc", "asi_" + "A" * 49 + ".0", "\x00", "%"])
def test_a_made_up_interaction_is_a_page(browser: Browser, login_page: Page, value: str) -> None:
    for path in ("/login", "/consent", "/authorize/resume"):
        response = browser.http.get(path, params={"interaction": value})
        assert response.status_code == 400
        assert 'id="error-code">interaction_lost<' in response.text
    assert browser.http.post("/login", params={"interaction": value}, data={}).status_code == 400


def test_without_cookies_the_form_leads_to_an_explanation(authserver: AuthServer, login_page: Page) -> None:
    form = login_page.form("login-submit")
    response = authserver.http().post(form.action, data={**form.fields, "username": "alice", "password": PASSWORD})
    assert response.status_code == 400
    assert 'id="error-code">interaction_lost<' in response.text


# The cookie (ASVS 7.2.4)


def test_signing_in_rotates_the_cookie_and_the_old_one_is_dead(
    authserver: AuthServer, browser: Browser, login_page: Page
) -> None:
    before = browser.http.cookies["authserver"]
    browser.log_in(login_page, "alice", PASSWORD)
    after = browser.http.cookies["authserver"]
    assert after != before
    for cookie, status in ((before, 303), (after, 200)):
        response = authserver.http().get("/account", headers={"Cookie": f"authserver={cookie}"})
        assert response.status_code == status


def test_signing_in_again_rotates_the_cookie_again(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser
) -> None:
    before = signed_in.http.cookies["authserver"]
    page = start(signed_in, authserver.request(client, authserver.pkce(), prompt="login"))
    assert page.form("username").fields["username"] == "alice"
    signed_in.log_in(page, "alice", PASSWORD)
    assert signed_in.http.cookies["authserver"] != before
    dead = authserver.http().get("/account", headers={"Cookie": f"authserver={before}"})
    assert dead.status_code == 303
    assert signed_in.visit("/account/sessions").text.count('name="sid"') == 1


def test_a_failed_sign_in_changes_neither_cookie_nor_session(signed_in: Browser, alice: User) -> None:
    before = signed_in.http.cookies["authserver"]
    page = signed_in.visit("/account")
    assert page.status == 200
    form_page = signed_in.visit("/login")
    assert form_page.url.endswith("/account")
    assert signed_in.http.cookies["authserver"] == before


# Several accounts


def test_select_account_offers_the_accounts_and_another_one(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser
) -> None:
    page = start(signed_in, authserver.request(client, authserver.pkce(), prompt="select_account"))
    assert "Continue as" in page.text
    assert "login-submit" not in page.text
    chosen = signed_in.submit(page, "sid")
    assert "consent-allow" in chosen.text
    link = unescape(page.text.partition('id="another-account" href="')[2].partition('"')[0])
    assert "login-submit" in signed_in.visit(link).text


def test_only_an_account_of_this_browser_can_be_chosen(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser
) -> None:
    bob = authserver.user("bob")
    elsewhere = authserver._session(bob)[1]
    page = start(signed_in, authserver.request(client, authserver.pkce(), prompt="select_account"))
    form = page.form("sid")
    for sid in (elsewhere.sid, "", "x"):
        response = signed_in.http.post(form.action, data={**form.fields, "sid": sid})
        assert response.status_code == 403


def test_another_account_can_sign_in_from_the_consent_page(
    authserver: AuthServer, signed_in: Browser, consent_page: Page
) -> None:
    authserver.user("bob")
    page = signed_in.visit(consent_page.url.replace("/consent", "/login") + "&switch=1")
    assert page.form("username").fields["username"] == ""
    page = signed_in.log_in(page, "bob", PASSWORD)
    assert "signed in as <strong><bdi>bob" in page.text


@pytest.mark.parametrize("asked", [{}, {"prompt": "select_account"}])
def test_too_many_wrong_codes_are_told_where_somebody_else_is_signed_in_too(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser, asked: dict[str, str]
) -> None:
    app, browser = enrol(authserver, signed_in), authserver.browser(authserver.user("bob"))
    begun = start(browser, authserver.request(client, authserver.pkce(), **asked)) if asked else browser.visit("/login")
    page = browser.visit(f"/login?switch=1&{begun.url.partition('?')[2]}")
    page = browser.log_in(page, "alice", PASSWORD)
    for _ in range(5):
        page = browser.submit(page, "second-factor-submit", code=app.wrong())
    assert "too many wrong codes" in page.text
    assert "login-submit" in page.text


def test_two_clicks_on_sign_in_are_both_answered(authserver: AuthServer, browser: Browser, login_page: Page) -> None:
    form = login_page.form("login-submit")
    cookie = {"Cookie": f"authserver={browser.http.cookies['authserver']}"}

    def click(_: int) -> tuple[int, str]:
        data = {**form.fields, "username": "alice", "password": PASSWORD}
        response = authserver.http().post(form.action, data=data, headers=cookie)
        return response.status_code, response.headers["set-cookie"].partition(";")[0]

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(click, range(2)))
    assert [status for status, _ in outcomes] == [303, 303]
    last = authserver.http().get("/account", headers={"Cookie": outcomes[1][1]})
    assert last.status_code == 200
