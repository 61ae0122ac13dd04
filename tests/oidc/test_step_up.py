"""Step-up at the authorization server (RFC 9470 4 to 7): what is asked of whom, and what the tokens say."""

from itertools import count
from urllib.parse import urlsplit

import jwt as pyjwt
import pytest

from authserver.clock import now
from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page, Pkce, RegisteredClient
from pytest_authserver.server import PASSWORD
from tests.authenticator import Authenticator, enrol
from tests.world import assert_sent_back, code_of

PWD, MFA = "urn:authserver:pwd", "urn:authserver:mfa"
_numbers = count()


@pytest.fixture
def user(authserver: AuthServer) -> User:
    """An account of the test's own."""
    return authserver.user(f"carol{next(_numbers)}")


@pytest.fixture
def app(authserver: AuthServer, user: User) -> Authenticator:
    """The user's app, set up in another browser."""
    browser = authserver.browser()
    browser.log_in(browser.visit("/login"), user.username, PASSWORD)
    return enrol(authserver, browser)


def _ask(authserver: AuthServer, browser: Browser, client: RegisteredClient, **parameters: str) -> tuple[Page, Pkce]:
    pkce = authserver.pkce()
    return browser.visit_request(authserver.request(client, pkce, **parameters)), pkce


def _claims(authserver: AuthServer, client: RegisteredClient, page: Page, pkce: Pkce) -> dict[str, object]:
    answer = authserver.token(
        client,
        grant_type="authorization_code",
        code=code_of(page),
        redirect_uri=client.redirect_uri,
        code_verifier=pkce.verifier,
    ).json()
    identity = pyjwt.decode(answer["id_token"], options={"verify_signature": False})
    told = authserver.introspect(client, answer["access_token"])
    # 6.2: introspection and the ID token say the same.
    assert {name: identity[name] for name in ("acr", "amr", "auth_time")} == {
        name: told[name] for name in ("acr", "amr", "auth_time")
    }
    return told


def _path(page: Page) -> str:
    return urlsplit(page.url).path


# 4: the authorization request


def test_a_session_by_password_is_asked_for_the_second_factor_alone(
    authserver: AuthServer, client: RegisteredClient, user: User
):
    browser = authserver.browser(user)
    with authserver.later(-60):
        app = enrol_elsewhere(authserver, user)
    with authserver.later(3):
        page, pkce = _ask(authserver, browser, client, acr_values=MFA)
        assert _path(page) == "/login/second-factor"
        page = browser.submit(page, "second-factor-submit", code=app.code())
        claims = _claims(authserver, client, page, pkce)
    assert (claims["acr"], claims["amr"]) == (MFA, ["pwd", "otp", "mfa"])
    assert isinstance(claims["auth_time"], int)
    assert claims["auth_time"] <= now() // 1_000_000, "a code is no sign-in: its time is that of the password"


def test_a_code_alone_does_not_count_as_signing_in_again(
    authserver: AuthServer, client: RegisteredClient, user: User, app: Authenticator
):
    browser = authserver.browser(user)
    with authserver.later(400):
        waiting, _ = _ask(authserver, browser, client, prompt="login")
        assert _path(waiting) == "/login"
        page, _ = _ask(authserver, browser, client, acr_values=MFA)
        browser.submit(page, "second-factor-submit", code=app.code())
        # The other tab still wants the password; so do a limit of age, and a page that changes the protection.
        assert _path(browser.visit(f"/authorize/resume?{urlsplit(waiting.url).query}")) == "/login"
        assert _path(_ask(authserver, browser, client, max_age="300")[0]) == "/login"
        assert _path(browser.visit("/account/second-factor")) == "/login"


def enrol_elsewhere(authserver: AuthServer, user: User) -> Authenticator:
    browser = authserver.browser()
    browser.log_in(browser.visit("/login"), user.username, PASSWORD)
    return enrol(authserver, browser)


def test_a_session_that_has_both_is_asked_nothing(
    authserver: AuthServer, client: RegisteredClient, user: User, app: Authenticator
):
    browser = authserver.browser(user)
    page, _ = _ask(authserver, browser, client, acr_values=MFA)
    browser.submit(page, "second-factor-submit", code=app.code())
    for wish in (MFA, f"{PWD} {MFA}", f"{MFA} {PWD}", PWD, ""):
        page, pkce = _ask(authserver, browser, client, acr_values=wish)
        assert _claims(authserver, client, page, pkce)["acr"] == MFA


@pytest.mark.parametrize("wish", [PWD, f"{PWD} {MFA}", "phr", "1 2", "", f"  {PWD}  "])
def test_a_session_by_password_suffices_where_it_comes_first(
    authserver: AuthServer, client: RegisteredClient, user: User, app: Authenticator, wish: str
):
    page, pkce = _ask(authserver, authserver.browser(user), client, acr_values=wish)
    assert _claims(authserver, client, page, pkce)["acr"] == PWD


@pytest.mark.parametrize("wish", [MFA, f"{MFA} {PWD}", f"unknown {MFA}", f"{MFA} {MFA}"])
def test_the_best_that_the_user_can_do_is_asked_for(
    authserver: AuthServer, client: RegisteredClient, user: User, app: Authenticator, wish: str
):
    page, _ = _ask(authserver, authserver.browser(user), client, acr_values=wish)
    assert _path(page) == "/login/second-factor"


def test_the_second_factor_cannot_be_walked_around(
    authserver: AuthServer, client: RegisteredClient, user: User, app: Authenticator
):
    browser = authserver.browser(user)
    page, _ = _ask(authserver, browser, client, acr_values=MFA)
    query = urlsplit(page.url).query
    for path in ("/authorize/resume", "/consent", "/login/offer", "/login"):
        assert _path(browser.visit(f"{path}?{query}")) == "/login/second-factor"
    page = browser.submit(page, "second-factor-submit", code=app.wrong())
    assert page.status == 400
    assert _path(browser.visit(f"/authorize/resume?{query}")) == "/login/second-factor"


def test_with_prompt_none_a_missing_second_factor_is_login_required(
    authserver: AuthServer, client: RegisteredClient, user: User, app: Authenticator
):
    page, _ = _ask(authserver, authserver.browser(user), client, acr_values=MFA, prompt="none", state="s")
    assert_sent_back(page, "login_required", client, state="s")


def test_max_age_asks_for_both_factors_again(
    authserver: AuthServer, client: RegisteredClient, user: User, app: Authenticator
):
    browser = authserver.browser(user)
    with authserver.later(400):
        page, pkce = _ask(authserver, browser, client, acr_values=MFA, max_age="300")
        assert _path(page) == "/login"
        page = browser.log_in(page, user.username, PASSWORD)
        assert _path(page) == "/login/second-factor"
        page = browser.submit(page, "second-factor-submit", code=app.code())
        claims = _claims(authserver, client, page, pkce)
        assert claims["acr"] == MFA
        assert now() // 1_000_000 - int(str(claims["auth_time"])) < 300


def test_a_sign_in_that_grew_too_old_while_the_code_was_looked_for_is_repeated_once(
    authserver: AuthServer, client: RegisteredClient, user: User, app: Authenticator
):
    browser = authserver.browser(user)
    with authserver.later(280):
        page, pkce = _ask(authserver, browser, client, acr_values=MFA, max_age="300")
        assert _path(page) == "/login/second-factor"
    with authserver.later(380):
        page = browser.submit(page, "second-factor-submit", code=app.code())
        assert _path(page) == "/login"
        page = browser.log_in(page, user.username, PASSWORD)
    with authserver.later(440):
        page = browser.submit(page, "second-factor-submit", code=app.code())
        assert int(str(_claims(authserver, client, page, pkce)["auth_time"])) >= now() // 1_000_000 - 300


def test_a_client_may_have_wishes_of_its_own(authserver: AuthServer, user: User, app: Authenticator):
    # Registration 2, default_acr_values; the request's own value is the one that counts.
    client, browser = authserver.client(trusted=True, default_acr_values=[MFA]), authserver.browser(user)
    assert _path(_ask(authserver, browser, client)[0]) == "/login/second-factor"
    assert code_of(_ask(authserver, browser, client, acr_values="urn:authserver:pwd")[0])


def test_a_pushed_wish_counts_as_well(authserver: AuthServer, client: RegisteredClient, user: User, app: Authenticator):
    pushed = authserver.push(client, authserver.pkce(), acr_values=MFA).json()["request_uri"]
    page = authserver.browser(user).visit_request({"client_id": client.client_id, "request_uri": pushed})
    assert _path(page) == "/login/second-factor"


# 5: an account that has no second factor


@pytest.fixture
def offered(authserver: AuthServer, client: RegisteredClient, user: User) -> tuple[Browser, Page, Pkce]:
    """The page that offers to set one up, to somebody who has just signed in."""
    browser = authserver.browser(user)
    page, pkce = _ask(authserver, browser, client, acr_values=MFA)
    assert _path(page) == "/login/offer"
    return browser, page, pkce


def test_the_page_offers_to_set_one_up_and_the_request_goes_on_with_it(
    authserver: AuthServer, client: RegisteredClient, offered: tuple[Browser, Page, Pkce]
):
    browser, page, pkce = offered
    query = urlsplit(page.url).query
    enrol(authserver, browser, browser.visit(f"/account/second-factor?{query}"))
    page = browser.visit(f"/authorize/resume?{query}")
    assert _claims(authserver, client, page, pkce)["acr"] == MFA


def test_going_on_without_is_answered_with_what_was_proven(
    authserver: AuthServer, client: RegisteredClient, offered: tuple[Browser, Page, Pkce]
):
    browser, page, pkce = offered
    page = browser.submit(page, "offer-without")
    assert _claims(authserver, client, page, pkce)["acr"] == PWD


def test_the_decision_takes_the_token_of_its_form(offered: tuple[Browser, Page, Pkce]):
    browser, page, _ = offered
    assert browser.submit(page, "offer-without", csrf_token="x").status == 403
    assert _path(browser.visit(page.url)) == "/login/offer"


def test_whoever_has_set_one_up_meanwhile_cannot_go_on_without(
    authserver: AuthServer, user: User, offered: tuple[Browser, Page, Pkce]
):
    browser, page, _ = offered
    enrol_elsewhere(authserver, user)
    assert _path(browser.submit(page, "offer-without")) == "/login/second-factor"


def test_with_prompt_none_nothing_is_offered(authserver: AuthServer, client: RegisteredClient, user: User):
    page, pkce = _ask(authserver, authserver.browser(user), client, acr_values=MFA, prompt="none")
    assert _claims(authserver, client, page, pkce)["acr"] == PWD


@pytest.mark.parametrize("wish", [f"{MFA} {PWD}", f"{PWD} {MFA}", PWD])
def test_nothing_is_offered_where_the_password_is_enough(
    authserver: AuthServer, client: RegisteredClient, user: User, wish: str
):
    page, pkce = _ask(authserver, authserver.browser(user), client, acr_values=wish)
    assert _claims(authserver, client, page, pkce)["acr"] == PWD


# 6: what the tokens say later


def test_a_refreshed_token_says_what_was_proven_at_its_grant(
    authserver: AuthServer, client: RegisteredClient, user: User
):
    tokens = authserver.tokens(client, user, scope="openid offline_access", prompt="consent")
    enrol_elsewhere(authserver, user)
    fresh = authserver.refresh(client, tokens["refresh_token"]).json()
    assert authserver.introspect(client, fresh["access_token"])["acr"] == PWD


# 7: metadata


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"])
def test_metadata_names_the_classes(authserver: AuthServer, path: str):
    assert authserver.get(path).json()["acr_values_supported"] == [PWD, MFA]
