from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from authserver.records import Event, User
from authserver.web.account.sessions import device
from pytest_authserver import AuthServer, Browser, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.web.walking import sign_in, start

PATHS = ("/account", "/account/security", "/account/sessions", "/account/apps")
NEW = "a quokka under my piano"


@pytest.mark.parametrize("path", PATHS)
def test_nobody_sees_the_pages_without_signing_in(browser: Browser, path: str) -> None:
    assert "login-submit" in browser.visit(path).text


@pytest.mark.parametrize("path", PATHS[1:])
def test_nobody_changes_anything_without_signing_in(browser: Browser, path: str) -> None:
    sent = browser.http.post(path, data={"sid": "x", "client_id": "x"}, headers={"Sec-Fetch-Site": "same-origin"})
    location = urlsplit(sent.headers["location"])
    assert (location.netloc, location.path) == ("", "/login")


@pytest.mark.parametrize("path", [*PATHS[1:], "/account/second-factor"])
@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
def test_a_form_of_another_site_signs_nobody_out(
    authserver: AuthServer, signed_in: Browser, path: str, headers: dict[str, str]
) -> None:
    """It comes without the cookie, which is SameSite=Lax, and a new one in the answer would take its place."""
    sent = authserver.http().post(path, data={"sid": "x"}, headers=headers)
    assert "set-cookie" not in sent.headers
    page = signed_in.visit(sent.headers["location"])
    assert 'class="who"' in page.text
    assert 'id="undone"' not in page.text


@pytest.mark.parametrize("path", PATHS)
def test_a_disabled_account_is_signed_out_at_once(
    authserver: AuthServer, alice: User, signed_in: Browser, path: str
) -> None:
    assert signed_in.visit(path).status == 200
    authserver.store.users.set_disabled(alice.sub, True, Event("user.disabled", "test"))
    assert "login-submit" in signed_in.visit(path).text


def test_the_profile_shows_what_the_account_says(authserver: AuthServer, browser: Browser) -> None:
    eve = authserver.user("eve", name="<b>Eve</b>", address={"formatted": "1 Street"}, website="javascript:alert(1)")
    # As it may have been stored before it was checked.
    authserver.store.users.update(replace(eve, claims={**eve.claims, "locale": 5}), Event("user.updated", "test"))
    page = browser.log_in(browser.visit("/login"), "eve", PASSWORD)
    assert "&lt;b&gt;Eve&lt;/b&gt;" in page.text
    assert "1 Street" in page.text
    assert 'href="javascript' not in page.text
    assert "not confirmed" in page.text


# Password


def test_the_password_is_changed_and_the_browser_gets_a_new_cookie(authserver: AuthServer, signed_in: Browser) -> None:
    elsewhere, before = sign_in(authserver), signed_in.http.cookies["authserver"]
    page = signed_in.visit("/account/security")
    page = signed_in.submit(page, "password-submit", current=PASSWORD, new=NEW, repeat=NEW)
    assert 'id="password-changed"' in page.text
    assert signed_in.http.cookies["authserver"] != before
    dead = authserver.http().get("/account", headers={"Cookie": f"authserver={before}"})
    assert dead.status_code == 303
    assert "login-submit" in elsewhere.visit("/account").text
    fresh = authserver.browser()
    assert fresh.log_in(fresh.visit("/login"), "alice", NEW).url.endswith("/account")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"current": "wrong"}, "current"),
        ({"repeat": "other"}, "repeat"),
        ({"new": "short", "repeat": "short"}, "new"),
        ({"new": PASSWORD, "repeat": PASSWORD}, "new"),
    ],
)
def test_a_refusal_stands_at_its_field(signed_in: Browser, values: dict[str, str], field: str) -> None:
    page = signed_in.visit("/account/security")
    sent = {"current": PASSWORD, "new": NEW, "repeat": NEW, **values}
    page = signed_in.submit(page, "password-submit", **sent)
    assert page.status == 400
    assert f'id="{field}-problem" role="alert"' in page.text
    assert f'aria-describedby="{field}-problem' in page.text
    assert NEW not in page.text
    assert PASSWORD not in page.text


def test_guessing_the_current_password_is_put_off(signed_in: Browser) -> None:
    for _ in range(6):
        page = signed_in.visit("/account/security")
        page = signed_in.submit(page, "password-submit", current="wrong", new=NEW, repeat=NEW)
    assert page.status == 429
    assert int(page.headers["retry-after"]) > 0


# Sessions


def test_sessions_are_listed_with_this_one_marked_and_can_be_ended(authserver: AuthServer, signed_in: Browser) -> None:
    elsewhere = sign_in(authserver)
    page = signed_in.visit("/account/sessions")
    assert page.text.count("This device") == 1
    assert page.text.index("This device") < page.text.index(">End<")
    other = page.forms[1]
    response = signed_in.http.post(other.action, data={**other.fields, "sid": other.buttons["sid"][1]})
    assert response.headers["location"] == "/account/sessions"
    assert "login-submit" in elsewhere.visit("/account").text
    assert signed_in.visit("/account").status == 200


def test_all_other_sessions_end_with_one_button(authserver: AuthServer, signed_in: Browser) -> None:
    others = [sign_in(authserver) for _ in range(2)]
    page = signed_in.submit(signed_in.visit("/account/sessions"), "end-others")
    assert page.text.count('name="sid"') == 1
    assert all("login-submit" in other.visit("/account").text for other in others)


def test_a_session_of_somebody_else_is_not_there(authserver: AuthServer, signed_in: Browser) -> None:
    authserver.user("bob")
    bob = sign_in(authserver, "bob")
    sid = bob.visit("/account/sessions").forms[0].buttons["sid"][1]
    form = signed_in.visit("/account/sessions").forms[0]
    for value in (sid, "", "x", "\x00"):
        assert signed_in.http.post(form.action, data={**form.fields, "sid": value}).status_code == 404
    assert bob.visit("/account").status == 200


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/150 Safari/537.36 Edg/150", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/150 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.9", "curl"),
        ("", "Unknown browser"),
        ("<script>", "Unknown browser"),
    ],
)
def test_a_browser_is_named_as_people_know_it(authserver: AuthServer, user_agent: str, words: str) -> None:
    with authserver.app.test_request_context():
        assert device(user_agent) == words


# Applications


@pytest.fixture
def refresh_token(authserver: AuthServer, client: RegisteredClient, signed_in: Browser) -> str:
    """The refresh token of the application that alice has allowed."""
    pkce = authserver.pkce()
    scope = "openid email offline_access"
    page = start(signed_in, authserver.request(client, pkce, scope=scope, prompt="consent"))
    code = signed_in.allow(page).callback["code"]
    sent = {"redirect_uri": client.redirect_uri, "code": code, "code_verifier": pkce.verifier}
    answer = authserver.token(client, grant_type="authorization_code", **sent)
    return str(answer.json()["refresh_token"])


def test_an_application_is_listed_with_what_it_may(signed_in: Browser, refresh_token: str) -> None:
    text = signed_in.visit("/account/apps").text
    for words in ("Holiday Photos", "Confirm who you are", "See your e-mail address", "also while you are away"):
        assert words in text
    assert "offline_access" not in text


def test_withdrawing_takes_effect_at_once(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser, refresh_token: str
) -> None:
    page = signed_in.submit(signed_in.visit("/account/apps"), "client_id")
    assert "No application has access" in page.text
    assert authserver.refresh(client, refresh_token).json()["error"] == "invalid_grant"
    again = start(signed_in, authserver.request(client, authserver.pkce(), scope="openid email"))
    assert "consent-allow" in again.text


def test_an_application_that_is_gone_does_not_break_the_page(
    authserver: AuthServer, client: RegisteredClient, signed_in: Browser, refresh_token: str
) -> None:
    authserver.store.clients.delete(client.client_id, Event("client.removed", "test"))
    with authserver.later(2):
        assert signed_in.visit("/account/apps").status == 200


@pytest.mark.parametrize("form", ["password-submit", "end-others", "client_id"])
def test_no_form_of_the_account_works_from_elsewhere_or_for_another_session(
    authserver: AuthServer, signed_in: Browser, refresh_token: str, form: str
) -> None:
    other = sign_in(authserver)
    paths = {"password-submit": PATHS[1], "end-others": PATHS[2], "client_id": PATHS[3]}
    mine, theirs = (at.visit(paths[form]).form(form) for at in (signed_in, other))
    post = signed_in.http.post
    assert post(mine.action, data=mine.fields, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert post(mine.action, data=theirs.fields).status_code == 403
    assert post(mine.action, data={}).status_code == 403
