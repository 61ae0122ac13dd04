"""The pages of the second factor: setting one up, signing in with it, changing it."""

from urllib.parse import parse_qs, urlsplit

import pytest

from authserver.records import Event, User
from pytest_authserver import AuthServer, Browser, Page, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.authenticator import Authenticator, codes_on, enrol, scanned
from tests.web.walking import sign_in, start

MFA = "urn:authserver:mfa"


@pytest.fixture
def app(authserver: AuthServer, signed_in: Browser) -> Authenticator:
    """Alice's app; ``signed_in`` is the browser in which she has set it up."""
    return enrol(authserver, signed_in)


def _password(authserver: AuthServer, path: str = "/login") -> tuple[Browser, Page]:
    """Return a new browser and the page after the password."""
    browser = authserver.browser()
    return browser, browser.log_in(browser.visit(path), "alice", PASSWORD)


def _is_signed_in(browser: Browser) -> bool:
    return urlsplit(browser.visit("/account").url).path == "/account"


def _acr(authserver: AuthServer, user: User) -> set[tuple[str, str]]:
    return {(session.acr, session.amr) for session in authserver.store.sessions.of_user(user.sub, 0)}


# Setting up


def test_an_app_is_set_up_by_one_code_and_recovery_codes_are_shown_once(
    authserver: AuthServer, alice: User, signed_in: Browser
):
    page = signed_in.visit("/account/second-factor")
    assert "<svg" in page.text
    assert "otpauth://totp/localhost%3A9000:alice?secret=" in page.text
    shown = signed_in.submit(page, "second-factor-add", code=scanned(page).code())
    codes = codes_on(shown)
    assert len(set(codes)) == 10
    assert shown.headers["cache-control"] == "no-store"
    assert not any(code in signed_in.visit("/account/second-factor").text for code in codes)
    assert _acr(authserver, alice) == {(MFA, "pwd otp mfa")}


def test_the_secret_is_sealed_and_recovery_codes_are_digests_in_the_database(
    authserver: AuthServer, alice: User, app: Authenticator
):
    credentials = authserver.store.credentials
    rows = [*credentials.of_user(alice.sub, "totp"), *credentials.of_user(alice.sub, "recovery")]
    stored = " ".join(f"{row.credential_id} {row.secret}" for row in rows)
    assert len(rows) == 11
    for secret in (app.secret.hex(), *app.recovery_codes, *(code.replace("-", "") for code in app.recovery_codes)):
        assert secret not in stored


def test_a_wrong_code_keeps_the_same_secret_on_the_page(signed_in: Browser):
    page = signed_in.visit("/account/second-factor")
    app = scanned(page)
    again = signed_in.submit(page, "second-factor-add", code=app.wrong())
    assert again.status == 400
    assert "This code is not right" in again.text
    assert scanned(again).secret == app.secret
    assert codes_on(signed_in.submit(again, "second-factor-add", code=app.code()))


def test_a_sign_in_of_some_minutes_ago_is_asked_for_the_password_again(authserver: AuthServer, signed_in: Browser):
    with authserver.later(301):
        page = signed_in.visit("/account/second-factor")
        assert urlsplit(page.url).path == "/login"
        assert page.form("username").fields["username"] == "alice"
        page = signed_in.log_in(page, "alice", PASSWORD)
        assert urlsplit(page.url).path == "/account/second-factor"
        assert scanned(page)


def test_an_offer_is_good_for_ten_minutes_and_for_its_own_session(authserver: AuthServer, signed_in: Browser):
    page = signed_in.visit("/account/second-factor")
    app = scanned(page)
    with authserver.later(601):
        for sent in ({}, {"offer": ""}):
            # A form that was left open gets no new offer for an old sign-in.
            late = signed_in.submit(page, "second-factor-add", code=app.code(), **sent)
            assert urlsplit(late.url).path == "/login"
    other = sign_in(authserver)
    mine = other.visit("/account/second-factor")
    stolen = page.form("offer").fields["offer"]
    assert "took too long" in other.submit(mine, "second-factor-add", offer=stolen, code=app.code()).text


@pytest.mark.parametrize("sealed", ["", "x", "AAAA" * 30, "é", "=", "A" * 10_000])
def test_an_offer_that_was_never_made_is_refused(signed_in: Browser, sealed: str):
    page = signed_in.visit("/account/second-factor")
    again = signed_in.submit(page, "second-factor-add", offer=sealed, code="123456")
    assert again.status == 400
    assert "took too long" in again.text


def test_setting_up_takes_the_token_of_the_form(authserver: AuthServer, alice: User, signed_in: Browser):
    page = signed_in.visit("/account/second-factor")
    assert signed_in.submit(page, "second-factor-add", csrf_token="x", code=scanned(page).code()).status == 403
    assert authserver.store.credentials.of_user(alice.sub, "totp") == ()


def test_nothing_is_put_over_a_factor_that_is_there(authserver: AuthServer, alice: User, signed_in: Browser):
    other = sign_in(authserver)
    late = other.visit("/account/second-factor")
    enrol(authserver, signed_in)
    before = authserver.store.credentials.of_user(alice.sub, "totp")
    page = other.submit(late, "second-factor-add", code=scanned(late).code(1))
    assert codes_on(page) == []
    assert authserver.store.credentials.of_user(alice.sub, "totp") == before


# Signing in


def test_the_password_alone_opens_nothing(authserver: AuthServer, alice: User, app: Authenticator):
    sessions = len(authserver.store.sessions.of_user(alice.sub, 0))
    browser, page = _password(authserver)
    assert urlsplit(page.url).path == "/login/second-factor"
    assert 'autocomplete="one-time-code"' in page.text
    assert 'inputmode="numeric"' in page.text
    for path in ("/account", "/account/security", "/account/second-factor", "/account/sessions", "/consent", "/login"):
        assert urlsplit(browser.visit(path).url).path in {"/login", "/consent"}
    assert len(authserver.store.sessions.of_user(alice.sub, 0)) == sessions


def test_password_and_code_sign_in(authserver: AuthServer, alice: User, app: Authenticator):
    browser, page = _password(authserver)
    half = browser.http.cookies.get("authserver")
    browser.submit(page, "second-factor-submit", code=app.code())
    assert _is_signed_in(browser)
    assert browser.http.cookies.get("authserver") != half
    assert _acr(authserver, alice) == {(MFA, "pwd otp mfa")}


def test_a_code_may_be_typed_with_a_space(authserver: AuthServer, app: Authenticator):
    browser, page = _password(authserver)
    browser.submit(page, "second-factor-submit", code=f" {app.code()[:3]} {app.code()[3:]} ")
    assert _is_signed_in(browser)


@pytest.mark.parametrize("steps", [0, 1])
def test_the_code_of_the_next_step_is_taken(authserver: AuthServer, app: Authenticator, steps: int):
    browser, page = _password(authserver)
    browser.submit(page, "second-factor-submit", code=app.code(steps))
    assert _is_signed_in(browser)


@pytest.mark.parametrize("steps", [-2, 3])
def test_codes_of_further_steps_are_not(authserver: AuthServer, app: Authenticator, steps: int):
    browser, page = _password(authserver)
    assert browser.submit(page, "second-factor-submit", code=app.code(steps)).status == 400
    assert not _is_signed_in(browser)


@pytest.mark.parametrize(
    "typed",
    ["\u0661\u0662\u0663\u0664\u0665\u0666", "12345", "1234567", "-12345", "\uff11" * 6, "\x00", "a" * 65, "0x1234"],
)
def test_what_is_no_code_is_refused(authserver: AuthServer, app: Authenticator, typed: str):
    browser, page = _password(authserver)
    assert browser.submit(page, "second-factor-submit", code=typed).status == 400
    assert not _is_signed_in(browser)


def test_a_code_counts_once(authserver: AuthServer, app: Authenticator):
    first, page = _password(authserver)
    second, other = _password(authserver)
    code = app.code()
    first.submit(page, "second-factor-submit", code=code)
    assert second.submit(other, "second-factor-submit", code=code).status == 400
    assert _is_signed_in(first)
    assert not _is_signed_in(second)


def test_the_code_that_set_the_app_up_does_not_sign_in(authserver: AuthServer, signed_in: Browser):
    page = signed_in.visit("/account/second-factor")
    app = scanned(page)
    code = app.code()
    signed_in.submit(page, "second-factor-add", code=code)
    browser, page = _password(authserver)
    assert browser.submit(page, "second-factor-submit", code=code).status == 400


def test_five_wrong_codes_ask_for_the_password_again_and_count_on_the_account(
    authserver: AuthServer, app: Authenticator
):
    browser, page = _password(authserver)
    for _ in range(4):
        page = browser.submit(page, "second-factor-submit", code=app.wrong())
        assert page.status == 400
    page = browser.submit(page, "second-factor-submit", code=app.wrong())
    assert urlsplit(page.url).path == "/login"
    assert "Sign in again" in page.text
    stranger, page = _password(authserver)
    page = stranger.submit(page, "second-factor-submit", code=app.code())
    assert page.status == 429
    assert int(page.headers["retry-after"]) <= 300


def test_the_owner_is_not_kept_out_by_a_stranger_who_has_the_password(authserver: AuthServer, app: Authenticator):
    mine, page = _password(authserver)
    mine.submit(page, "second-factor-submit", code=app.code())
    other, page = _password(authserver)
    for _ in range(5):
        other.submit(page, "second-factor-submit", code=app.wrong())
    page = mine.log_in(mine.visit("/login?switch=1"), "alice", PASSWORD)
    mine.submit(page, "second-factor-submit", code=app.code(1))
    assert _is_signed_in(mine)


def test_ten_minutes_later_the_password_is_asked_for_again(authserver: AuthServer, app: Authenticator):
    browser, page = _password(authserver)
    with authserver.later(601):
        assert urlsplit(browser.submit(page, "second-factor-submit", code=app.code()).url).path == "/login"
        assert not _is_signed_in(browser)


def test_half_a_sign_in_counts_in_no_other_browser(authserver: AuthServer, app: Authenticator):
    browser, page = _password(authserver)
    stranger = authserver.browser()
    stranger.visit("/login")
    assert urlsplit(stranger.visit(page.url).url).path == "/login"
    assert urlsplit(stranger.submit(page, "second-factor-submit", code=app.code()).url).path == "/login"
    assert not _is_signed_in(stranger)
    browser.submit(page, "second-factor-submit", code=app.code())
    assert _is_signed_in(browser)


def test_a_planted_cookie_is_not_half_way_in(authserver: AuthServer, app: Authenticator):
    browser = authserver.browser()
    page = browser.visit("/login")
    planted = browser.http.cookies.get("authserver")
    page = browser.log_in(page, "alice", PASSWORD)
    thief = authserver.browser()
    thief.http.cookies.set("authserver", planted or "", domain="localhost.local")
    assert urlsplit(thief.visit("/login/second-factor").url).path == "/login"
    thief.submit(page, "second-factor-submit", code=app.code())
    assert not _is_signed_in(thief)


def test_the_form_takes_its_own_token_only(authserver: AuthServer, app: Authenticator):
    browser, page = _password(authserver)
    assert browser.submit(page, "second-factor-submit", csrf_token="x", code=app.code()).status == 403
    browser, page = _password(authserver)
    page = browser.log_in(browser.visit("/login"), "alice", PASSWORD)
    assert page.status == 200


@pytest.mark.parametrize("change", ["disabled", "password"])
def test_what_happened_to_the_account_meanwhile_counts(
    authserver: AuthServer, alice: User, app: Authenticator, change: str
):
    browser, page = _password(authserver)
    if change == "disabled":
        authserver.store.users.set_disabled(alice.sub, True, Event("user.disabled", "test", sub=alice.sub))
    else:
        hashed = authserver.passwords.hash("another correct horse battery")
        authserver.store.credentials.replace(alice.sub, "password", hashed, Event("password.changed", "test"))
    browser.submit(page, "second-factor-submit", code=app.code())
    assert not _is_signed_in(browser)


def test_the_sign_in_goes_on_to_the_application(
    authserver: AuthServer, alice: User, client: RegisteredClient, app: Authenticator
):
    browser = authserver.browser()
    page = browser.log_in(start(browser, authserver.request(client, authserver.pkce())), "alice", PASSWORD)
    assert "Holiday Photos" in page.text
    assert set(parse_qs(urlsplit(page.url).query)) == {"interaction"}
    page = browser.submit(page, "second-factor-submit", code=app.code())
    assert "code" in browser.allow(page).callback


def test_half_a_sign_in_for_one_application_does_not_answer_another(
    authserver: AuthServer, client: RegisteredClient, app: Authenticator
):
    browser = authserver.browser()
    browser.log_in(start(browser, authserver.request(client, authserver.pkce())), "alice", PASSWORD)
    other = start(browser, authserver.request(client, authserver.pkce()))
    interaction = parse_qs(urlsplit(other.url).query)["interaction"][0]
    assert urlsplit(browser.visit(f"/login/second-factor?interaction={interaction}").url).path == "/login"
    assert urlsplit(browser.visit(f"/authorize/resume?interaction={interaction}").url).path == "/login"


def test_the_sign_in_goes_on_to_the_page_it_was_begun_for(authserver: AuthServer, app: Authenticator):
    browser = authserver.browser()
    page = browser.log_in(browser.visit("/account/second-factor"), "alice", PASSWORD)
    page = browser.submit(page, "second-factor-submit", code=app.code())
    assert urlsplit(page.url).path == "/account/second-factor"


# Recovery codes


def test_a_recovery_code_signs_in_once(authserver: AuthServer, alice: User, app: Authenticator):
    code = app.recovery_codes[0]
    for good in (True, False):
        browser, page = _password(authserver)
        page = browser.visit(page.url + "?recovery=1")
        assert 'inputmode="numeric"' not in page.text
        browser.submit(page, "second-factor-submit", code=code)
        assert _is_signed_in(browser) is good
    assert (MFA, "pwd mfa") in _acr(authserver, alice)


def test_a_recovery_code_is_read_as_people_write_it(authserver: AuthServer, app: Authenticator):
    browser, page = _password(authserver)
    typed = app.recovery_codes[0].upper().replace("-", " ").replace("O", "0").replace("I", "1").replace("B", "8")
    browser.submit(page, "second-factor-submit", code=typed)
    assert _is_signed_in(browser)


def test_a_recovery_code_of_somebody_else_is_refused(authserver: AuthServer, app: Authenticator):
    authserver.user("bob")
    bob = sign_in(authserver, "bob")
    theirs = enrol(authserver, bob)
    browser, page = _password(authserver)
    assert browser.submit(page, "second-factor-submit", code=theirs.recovery_codes[0]).status == 400


def test_guessed_recovery_codes_are_delayed_but_the_app_is_not(authserver: AuthServer, app: Authenticator):
    browser, page = _password(authserver)
    for _ in range(5):
        browser.submit(page, "second-factor-submit", code="aaaa-aaaa-aaaa-aaaa-aaaa-aaaa")
    stranger, page = _password(authserver)
    assert stranger.submit(page, "second-factor-submit", code="aaaa-aaaa-aaaa-aaaa-aaaa-aaaa").status == 429
    stranger.submit(page, "second-factor-submit", code=app.code())
    assert _is_signed_in(stranger)


# Changing


def test_new_recovery_codes_make_the_old_ones_void(authserver: AuthServer, signed_in: Browser, app: Authenticator):
    page = signed_in.visit("/account/second-factor")
    fresh = codes_on(signed_in.submit(page, "codes-renew", code=app.code()))
    assert len(fresh) == 10
    assert set(fresh).isdisjoint(app.recovery_codes)
    browser, page = _password(authserver)
    assert browser.submit(page, "second-factor-submit", code=app.recovery_codes[0]).status == 400
    browser.submit(page, "second-factor-submit", code=fresh[0])
    assert _is_signed_in(browser)


@pytest.mark.parametrize("by", ["app", "recovery code"])
def test_the_app_is_removed_by_a_code(
    authserver: AuthServer, alice: User, signed_in: Browser, app: Authenticator, by: str
):
    page = signed_in.visit("/account/second-factor")
    code = app.code() if by == "app" else app.recovery_codes[3]
    page = signed_in.submit(page, "second-factor-remove", code=code)
    assert 'id="second-factor-removed"' in page.text
    for kind in ("totp", "recovery"):
        assert authserver.store.credentials.of_user(alice.sub, kind) == ()
    assert "second_factor.removed" in [line.event.name for line in authserver.store.audit.list(0, 100)]
    browser, _ = _password(authserver)
    assert _is_signed_in(browser)


@pytest.mark.parametrize("button", ["second-factor-remove", "codes-renew"])
def test_without_a_code_nothing_changes(
    authserver: AuthServer, alice: User, signed_in: Browser, app: Authenticator, button: str
):
    before = authserver.store.credentials.of_user(alice.sub, "recovery")
    for code in (app.wrong(), "", "x"):
        page = signed_in.visit("/account/second-factor")
        assert signed_in.submit(page, button, code=code).status == 400
    assert signed_in.submit(page, button, csrf_token="x", code=app.code()).status == 403
    assert authserver.store.credentials.of_user(alice.sub, "recovery") == before


def test_removing_takes_a_sign_in_of_the_last_minutes(
    authserver: AuthServer, alice: User, signed_in: Browser, app: Authenticator
):
    page = signed_in.visit("/account/second-factor")
    with authserver.later(301):
        page = signed_in.submit(page, "second-factor-remove", code=app.code())
        assert urlsplit(page.url).path == "/login"
    assert authserver.store.credentials.of_user(alice.sub, "totp")


def test_guessing_at_the_page_that_removes_is_delayed(signed_in: Browser, app: Authenticator):
    for _ in range(5):
        page = signed_in.submit(signed_in.visit("/account/second-factor"), "second-factor-remove", code=app.wrong())
    page = signed_in.submit(signed_in.visit("/account/second-factor"), "second-factor-remove", code=app.wrong())
    assert page.status == 429
