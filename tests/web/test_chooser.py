"""The account chooser, and which of several accounts the pages of ours are about."""

import re
from html import unescape
from urllib.parse import urlencode, urlsplit

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.web.walking import sign_in, start

PATH = "/login/account"


@pytest.fixture
def bob(authserver: AuthServer) -> User:
    return authserver.user("bob")


@pytest.fixture
def both(authserver: AuthServer, signed_in: Browser, bob: User) -> Browser:
    """A browser in which alice has signed in, and bob after her."""
    signed_in.log_in(signed_in.visit("/login?switch=1"), "bob", PASSWORD)
    return signed_in


def _name(page: Page) -> str:
    """Return whom an account page is about."""
    return page.text.partition('class="who"')[2].partition("<bdi>")[2].partition("<")[0]


def _buttons(page: Page, name: str) -> dict[str, str]:
    """Return the buttons of this name: account to value."""
    found = re.findall(rf'<button[^>]* name="{name}" value="([^"]+)".*?<bdi>([^<]+)</bdi>', page.text, re.DOTALL)
    return {account: value for value, account in found}


def _press(browser: Browser, page: Page, name: str, account: str) -> Page:
    """Press the button of this name for an account."""
    form = page.form("csrf_token")
    answer = browser.http.post(
        form.action, data={**form.fields, name: _buttons(page, name)[account]}, follow_redirects=True
    )
    return browser._follow(answer)


def test_it_names_everybody_who_is_signed_in_and_leads_to_another_sign_in(both: Browser) -> None:
    page = both.visit(PATH)
    assert set(_buttons(page, "sid")) == set(_buttons(page, "end")) == {"alice", "bob"}
    link = unescape(page.text.partition('id="another-account" href="')[2].partition('"')[0])
    form = both.visit(link).form("login-submit")
    assert form.fields["username"] == ""


def test_without_anybody_it_is_the_sign_in_page(authserver: AuthServer, browser: Browser, signed_in: Browser) -> None:
    assert "login-submit" in browser.visit(PATH).text
    _press(signed_in, signed_in.visit(PATH), "end", "alice")
    assert "login-submit" in signed_in.visit(PATH).text


# The account pages


def test_the_account_pages_are_about_the_latest_sign_in_until_another_account_is_chosen(both: Browser) -> None:
    page = both.visit("/account/sessions")
    assert _name(page) == "bob"
    link = page.text.partition('id="switch-account" href="')[2].partition('"')[0]
    page = _press(both, both.visit(link), "sid", "alice")
    assert (_name(page), urlsplit(page.url).path) == ("alice", "/account")
    assert _name(both.visit("/account/security")) == "alice"


def test_an_application_s_sign_in_does_not_change_the_choice(
    authserver: AuthServer, client: RegisteredClient, both: Browser
) -> None:
    _press(both, both.visit(PATH), "sid", "alice")
    page = start(both, authserver.request(client, authserver.pkce(), prompt="login"))
    both.log_in(page, "bob", PASSWORD)
    assert _name(both.visit("/account")) == "alice"
    both.log_in(both.visit("/login?switch=1"), "bob", PASSWORD)
    assert _name(both.visit("/account")) == "bob", "whoever signs in there means it"


def test_nobody_is_switched_by_a_link_or_from_elsewhere(authserver: AuthServer, both: Browser) -> None:
    page = both.visit(PATH)
    sid = _buttons(page, "sid")["alice"]
    for path in (f"{PATH}?sid={sid}", f"{PATH}?account={sid}", f"/account?account={sid}", f"/account?sid={sid}"):
        both.visit(path)
        assert _name(both.visit("/account")) == "bob"
    data = {**page.form("csrf_token").fields, "sid": sid}
    foreign = authserver.browser()
    token = sign_in(authserver).visit(PATH).form("csrf_token").fields["csrf_token"]
    assert both.http.post(PATH, data=data, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert both.http.post(PATH, data={**data, "csrf_token": token}).status_code == 403
    assert foreign.http.post(PATH, data=data).status_code == 400
    assert _name(both.visit("/account")) == "bob"


@pytest.mark.parametrize("name", ["sid", "end"])
def test_only_an_account_of_this_browser_can_be_named(authserver: AuthServer, both: Browser, name: str) -> None:
    elsewhere = authserver._session(authserver.user("carol"))[1]
    form = both.visit(PATH).form("csrf_token")
    for sid in (elsewhere.sid, "", "x", "\x00"):
        answer = both.http.post(form.action, data={**form.fields, name: sid})
        assert answer.status_code == (403 if name == "sid" else 303)
    assert authserver.store.sessions.get(elsewhere.sid) is not None
    assert set(_buttons(both.visit(PATH), "sid")) == {"alice", "bob"}


def test_a_form_counts_for_the_account_on_whose_page_it_stands(authserver: AuthServer, both: Browser) -> None:
    """Two tabs: the page of one account is sent after the other account was chosen."""
    page = both.visit("/account/security")
    assert _name(page) == "bob"
    _press(both, both.visit(PATH), "sid", "alice")
    new = "a quokka under my piano"
    answer = both.submit(page, "password-submit", current=PASSWORD, new=new, repeat=new)
    assert 'id="password-changed"' in answer.text
    for name, password in (("bob", new), ("alice", PASSWORD)):
        browser = authserver.browser()
        assert browser.log_in(browser.visit("/login"), name, password).url.endswith("/account")


# Signing out one account


def test_one_account_signs_out_and_the_other_stays(authserver: AuthServer, both: Browser) -> None:
    before = both.http.cookies["authserver"]
    page = _press(both, both.visit(PATH), "end", "bob")
    assert set(_buttons(page, "sid")) == {"alice"}
    assert "bob" not in page.text
    assert _name(both.visit("/account")) == "alice"
    assert both.http.cookies["authserver"] != before


def test_signing_out_here_on_the_sessions_page_shows_nobody_else_s_sessions(both: Browser) -> None:
    page = both.submit(both.visit("/account/sessions"), "end-this")
    assert 'id="logged-out"' in page.text
    assert "alice" in page.text
    assert _name(both.visit("/account")) == "alice"


# For an application


def test_an_application_gets_the_account_that_was_chosen_and_the_pages_keep_theirs(
    authserver: AuthServer, client: RegisteredClient, both: Browser
) -> None:
    page = start(both, authserver.request(client, authserver.pkce(), prompt="select_account"))
    assert urlsplit(page.url).path == PATH
    assert "Holiday Photos" in page.text
    page = _press(both, page, "sid", "alice")
    assert "<bdi>alice</bdi>" in page.text
    assert "consent-allow" in page.text
    assert _name(both.visit("/account")) == "bob"


def test_signing_out_comes_back_to_the_choice(authserver: AuthServer, client: RegisteredClient, both: Browser) -> None:
    page = start(both, authserver.request(client, authserver.pkce(), prompt="select_account"))
    page = _press(both, page, "end", "bob")
    assert "Holiday Photos" in page.text
    assert "consent-allow" in _press(both, page, "sid", "alice").text


def test_the_choice_of_one_request_answers_no_other(
    authserver: AuthServer, client: RegisteredClient, both: Browser
) -> None:
    first, second = (
        start(both, authserver.request(client, authserver.pkce(), prompt="select_account")) for _ in range(2)
    )
    form, data = first.form("csrf_token"), second.form("csrf_token").fields
    sid = _buttons(first, "sid")["alice"]
    assert both.http.post(form.action, data={**data, "sid": sid}).status_code == 403
    assert both.http.post(PATH, data={**data, "sid": sid}).status_code == 403


# Accounts whose session was not used for too long


def test_an_account_that_idled_out_is_shown_signed_out_and_signs_in_with_its_name(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser, bob: User
) -> None:
    with authserver.later(13 * 3600):
        signed_in.log_in(signed_in.visit("/login?switch=1"), "bob", PASSWORD)
        page = start(signed_in, authserver.request(client, authserver.pkce(), prompt="select_account"))
        assert set(_buttons(page, "sid")) == {"bob"}
        link = unescape(re.findall(r'<a class="button" href="([^"]+)"', page.text)[0])
        assert "alice" not in link, "no name stands in an address"
        page = signed_in.visit(link)
        assert page.form("username").fields["username"] == "alice"
        page = signed_in.log_in(page, "alice", PASSWORD)
        assert "signed in as <strong><bdi>alice" in page.text


def test_it_is_a_choice_also_when_nobody_is_signed_in_any_more(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser
) -> None:
    with authserver.later(13 * 3600):
        page = start(signed_in, authserver.request(client, authserver.pkce(), prompt="select_account"))
        assert urlsplit(page.url).path == PATH
        assert _buttons(page, "sid") == {}
        assert "<bdi>alice</bdi>" in page.text
        plain = start(signed_in, authserver.request(client, authserver.pkce()))
        assert plain.form("username").fields["username"] == "", "only who asks for the choice is shown names"


def test_who_is_forgotten_or_has_signed_out_is_not_shown(authserver: AuthServer, both: Browser) -> None:
    _press(both, both.visit(PATH), "end", "bob")
    with authserver.later(13 * 3600):
        page = both.visit(PATH)
        assert set(_buttons(page, "end")) == {"alice"}
        assert "login-submit" in _press(both, page, "end", "alice").text


@pytest.mark.parametrize("other", [False, True], ids=["alone", "beside-another"])
def test_who_signs_out_at_an_application_after_that_is_not_shown_either(
    *, authserver: AuthServer, alice: User, signed_in: Browser, bob: User, other: bool
) -> None:
    client = authserver.client(trusted=True, post_logout_redirect_uris=["https://client.test/bye"])
    hint = authserver.tokens(client, alice)["id_token"]
    with authserver.later(13 * 3600):
        if other:
            signed_in.log_in(signed_in.visit("/login?switch=1"), "bob", PASSWORD)
        assert set(_buttons(signed_in.visit(PATH), "end")) == {"alice", *(["bob"] if other else [])}
        leave = urlencode({"id_token_hint": hint, "post_logout_redirect_uri": "https://client.test/bye"})
        assert signed_in.visit(f"/logout?{leave}").location == "https://client.test/bye"
        page = signed_in.visit(PATH)
        assert "alice" not in page.text
        assert set(_buttons(page, "sid")) == ({"bob"} if other else set())


def test_a_name_is_known_in_the_browser_of_its_session_alone(
    authserver: AuthServer, browser: Browser, signed_in: Browser
) -> None:
    with authserver.later(13 * 3600):
        sid = _buttons(signed_in.visit(PATH), "end")["alice"]
        assert signed_in.visit(f"/login?switch=1&account={sid}").form("username").fields["username"] == "alice"
        browser.visit("/login")
        assert browser.visit(f"/login?switch=1&account={sid}").form("username").fields["username"] == ""


@pytest.mark.parametrize("query", ["account=x", "account=%00", "again=1&account=x", "account=" + "A" * 3000])
def test_a_made_up_account_in_the_address_is_nobody(signed_in: Browser, query: str) -> None:
    page = signed_in.visit(f"/login?switch=1&{query}")
    assert (page.status, page.form("username").fields["username"]) == (200, "")
