"""RP-Initiated OP: a client asks for the person to be signed out; what it did not prove, the person is asked."""

import secrets
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from authserver.manage import sessions, users
from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page
from pytest_authserver.server import PASSWORD
from tests.assertions import OTHER_KEY
from tests.openid.party import INTERACTION, Party, Variant

BACK = "https://client.test/bye"


@pytest.fixture(scope="module")
def party(provider: AuthServer) -> Party:
    """A client that has registered where to go after a logout."""
    return Party(provider, Variant(), post_logout_redirect_uris=[BACK])


@pytest.fixture
def browser(provider: AuthServer, berta: User) -> Browser:
    return provider.browser(berta)


def end(provider: AuthServer, browser: Browser, **parameters: str) -> Page:
    """Send the browser to the endpoint that discovery names."""
    place: str = provider.get("/.well-known/openid-configuration").json()["end_session_endpoint"]
    return browser.visit(f"{place}?{urlencode(parameters)}")


def is_over(party: Party, browser: Browser) -> bool:
    """Ask without a page, as every module does in the end."""
    page = party.ask(browser, prompt="none")
    if "code" in page.callback:
        return False
    assert party.error(page) in INTERACTION
    return True


def confirm(browser: Browser, page: Page) -> Page:
    """Press the button where the person is asked."""
    return browser.submit(page, "logout-confirm") if "logout-confirm" in page.text else page


# OIDCCRpInitiatedLogoutDiscoveryEndpointVerification


def test_discovery_names_an_https_endpoint(provider: AuthServer):
    assert provider.get("/.well-known/openid-configuration").json()["end_session_endpoint"].startswith("https://")


# OIDCCRpInitiatedLogout, OIDCCRpInitiatedLogoutNoState


@pytest.mark.parametrize("state", ["128 letters: " + "a/b+c=d&" * 14 + "xyz", None])
def test_a_proven_request_returns_with_its_state_alone(
    provider: AuthServer, party: Party, browser: Browser, state: str | None
):
    hint = party.sign_in(browser).tokens["id_token"]
    parameters = {"id_token_hint": hint, "post_logout_redirect_uri": BACK} | ({"state": state} if state else {})
    page = confirm(browser, end(provider, browser, **parameters))
    assert page.location is not None
    assert page.location.partition("?")[0] == BACK
    assert page.callback == ({"state": state} if state else {})
    assert is_over(party, browser)


# OIDCCRpInitiatedLogoutBadLogoutRedirectUri, ...QueryAddedToLogoutRedirectUri


@pytest.mark.parametrize("uri", ["https://client.test/other", BACK + "?foo=bar"])
def test_nobody_is_sent_to_an_address_that_is_not_registered(
    provider: AuthServer, party: Party, browser: Browser, uri: str
):
    hint = party.sign_in(browser).tokens["id_token"]
    page = end(provider, browser, id_token_hint=hint, post_logout_redirect_uri=uri, state="s")
    assert (page.location, page.status, page.error_code) == (None, 400, "invalid_logout")
    assert uri not in page.text


# OIDCCRpInitiatedLogoutModifiedIdTokenHint, ...BadIdTokenHint, ...NoIdTokenHint


@pytest.mark.parametrize("how", ["unsigned", "foreign", "none"])
def test_a_request_that_proves_nothing_asks_and_returns_nowhere(
    provider: AuthServer, party: Party, browser: Browser, how: str
):
    hint = party.sign_in(browser).tokens["id_token"]
    claims, header = jwt.decode(hint, options={"verify_signature": False}), jwt.get_unverified_header(hint)
    hints = {
        "unsigned": {"id_token_hint": jwt.encode(claims, None, "none", {"kid": header["kid"]})},
        "foreign": {"id_token_hint": jwt.encode(claims, OTHER_KEY, "ES256", {"kid": header["kid"]})},
        "none": {},
    }
    page = end(provider, browser, post_logout_redirect_uri=BACK, state="s", **hints[how])
    assert page.location is None
    assert not is_over(party, browser)
    assert confirm(browser, page).location is None
    assert is_over(party, browser)


# OIDCCRpInitiatedLogoutNoParams, ...NoPostLogoutRedirectUri, ...OnlyState


@pytest.mark.parametrize("how", ["nothing", "a hint", "a state"])
def test_without_an_address_the_person_ends_on_a_page_that_says_so(
    provider: AuthServer, party: Party, browser: Browser, how: str
):
    hint = party.sign_in(browser).tokens["id_token"]
    parameters = {"nothing": {}, "a hint": {"id_token_hint": hint}, "a state": {"state": "s"}}[how]
    page = confirm(browser, end(provider, browser, **parameters))
    assert (page.location, page.status) == (None, 200)
    assert 'id="logged-out"' in page.text
    assert is_over(party, browser)


# What the suite does not try.


def test_a_hint_of_a_refresh_or_of_a_pairwise_client_is_as_good(provider: AuthServer, browser: Browser):
    kinds = ("authorization_code", "refresh_token")
    party = Party(provider, Variant(grant_types=kinds), post_logout_redirect_uris=[BACK], subject_type="pairwise")
    tokens = party.sign_in(browser, scope="openid offline_access", prompt="consent").tokens
    again = party.post("/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json()
    page = end(provider, browser, id_token_hint=again["id_token"], post_logout_redirect_uri=BACK)
    assert page.location == BACK
    assert is_over(party, browser)


def test_after_it_nothing_that_the_browser_has_kept_opens_anything(
    provider: AuthServer, party: Party, browser: Browser
):
    signed = party.sign_in(browser)
    account = browser.visit("/account/security")
    page = end(provider, browser, id_token_hint=signed.tokens["id_token"], post_logout_redirect_uri=BACK)
    assert page.location == BACK
    # The page of before is kept by nobody, and its form counts no more.
    assert account.headers["cache-control"] == "no-store"
    after = browser.submit(account, "current", current=PASSWORD, new="another long password", repeat="x")
    assert "/login" in after.url or after.status == 403
    assert is_over(party, browser)
    assert provider.get("/userinfo", signed.tokens["access_token"]).status_code == 401


ENDINGS: dict[str, Any] = {
    "an administrator": lambda at, user: sessions.end_all(at.store, user.sub, actor="test"),
    "a new password": lambda at, user: users.set_password(at.store, user, at.passwords.hash(PASSWORD), actor="test"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_consent_page_that_was_open_when_the_session_ended_gives_no_code(
    provider: AuthServer, party: Party, ending: str
):
    user = provider.user(f"carla-{secrets.token_hex(4)}")
    browser = provider.browser(user)
    page = browser.visit_request(party.request(prompt="consent"))
    assert "consent-allow" in page.text
    ENDINGS[ending](provider, user)
    after = browser.allow(page)
    assert after.location is None or "code" not in after.callback
    assert "login-submit" in after.text or after.status in {400, 403}
    assert is_over(party, browser)
