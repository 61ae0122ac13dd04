"""Basic, Form Post, Hybrid and Implicit OP: what a request may ask of the sign-in, and what is refused."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Browser, Page
from pytest_authserver.server import PASSWORD
from tests.openid.party import CB, INTERACTION, VARIANTS, Party, SignIn


@pytest.fixture(scope="module", params=list(VARIANTS))
def party(request: pytest.FixtureRequest, provider: AuthServer) -> Party:
    with provider.later(-60):  # what a test does in the past is done after this client was made
        return Party(provider, VARIANTS[request.param])


def is_login(page: Page) -> bool:
    return page.location is None and page.status == 200 and "login-submit" in page.text


def sign_in_again(party: Party, browser: Browser, **parameters: Any) -> SignIn:
    """Make a request that has to show the login form once more."""
    asked = party.request(**parameters)
    page = browser.visit_request(asked)
    assert is_login(page)
    page = browser.log_in(page, "berta", PASSWORD)
    return party.finish(browser.allow(page) if "consent-allow" in page.text else page, asked)


# OIDCCDisplayPage, OIDCCDisplayPopup, OIDCCUiLocales, OIDCCClaimsLocales,
# OIDCCEnsureRequestWithUnknownParameterSucceeds
@pytest.mark.parametrize(
    "wish",
    [
        {"display": "page"},
        {"display": "popup"},
        {"ui_locales": "se de-AT"},
        {"claims_locales": "se"},
        {"extra": "foobar"},
    ],
    ids=str,
)
def test_a_wish_that_is_not_met_is_no_error(party: Party, berta: User, wish: dict[str, str]):
    assert is_login(party.browser().visit_request(party.request(**wish)))
    party.sign_in(party.browser(berta), **wish)


# OIDCCLoginHint
def test_a_login_hint_fills_the_form(party: Party, berta: User):
    asked = party.request(login_hint="berta")
    browser = party.browser()
    page = browser.visit_request(asked)
    assert page.form("login-submit").fields["username"] == "berta"
    party.finish(browser.authorize(asked, username="berta", password=PASSWORD), asked)


# OIDCCEnsureRequestWithAcrValuesSucceeds
def test_an_acr_that_is_announced_can_be_asked_for_and_is_told(party: Party, provider: AuthServer, berta: User):
    weakest, *_ = provider.get("/.well-known/openid-configuration").json()["acr_values_supported"]
    assert party.sign_in(party.browser(berta), acr_values=weakest).claims["acr"] == weakest
    assert party.sign_in(party.browser(berta), acr_values="1 2").claims["acr"]


# OIDCCPromptLogin
def test_prompt_login_signs_in_anew(party: Party, provider: AuthServer, berta: User):
    with provider.later(-2):
        browser = party.browser(berta)
        before = party.sign_in(browser)
    after = sign_in_again(party, browser, prompt="login")
    assert after.claims["auth_time"] > before.claims["auth_time"]
    assert after.claims["sub"] == before.claims["sub"]


# OIDCCPromptNoneNotLoggedIn
def test_prompt_none_without_a_session_is_an_error_and_never_a_page(party: Party):
    assert party.error(party.browser().visit_request(party.request(prompt="none"))) in INTERACTION


# OIDCCPromptNoneLoggedIn
def test_prompt_none_with_session_and_consent_is_silent(party: Party, berta: User):
    browser = party.browser(berta)
    before = party.sign_in(browser)
    after = party.sign_in(browser, prompt="none")
    assert [after.claims[name] for name in ("sub", "auth_time")] == [
        before.claims[name] for name in ("sub", "auth_time")
    ]


# OIDCCMaxAge1
def test_a_sign_in_that_is_too_old_is_made_anew(party: Party, provider: AuthServer, berta: User):
    with provider.later(-2):
        browser = party.browser(berta)
        before = party.sign_in(browser)
    after = sign_in_again(party, browser, max_age="1")
    assert after.claims["auth_time"] > before.claims["auth_time"]


# OIDCCMaxAge10000
def test_a_sign_in_that_is_young_enough_is_taken(party: Party, berta: User):
    browser = party.browser(berta)
    times = [party.sign_in(browser, max_age=age).claims["auth_time"] for age in ("15000", "10000")]
    assert times[0] == times[1]


# OIDCCIdTokenHint
def test_an_id_token_names_whom_the_request_is_about(party: Party, provider: AuthServer, berta: User):
    browser = party.browser(berta)
    hint = party.sign_in(browser).tokens["id_token"]
    for seconds in (0, 7200):
        with provider.later(seconds):
            page = browser.visit_request(party.request(prompt="none", id_token_hint=hint))
            first, *_ = party.variant.response_type.split()
            assert party.answer(page)[first]


# OIDCCUnsignedRequestObjectSupportedCorrectlyOrRejectedAsUnsupported, OIDCCEnsureRequestObjectWithRedirectUri,
# OIDCCRequestUriUnsignedSupportedCorrectlyOrRejectedAsUnsupported are skipped where "none" is not announced.
def test_an_unsigned_request_object_is_refused_and_not_ignored(party: Party, provider: AuthServer, berta: User):
    document = provider.get("/.well-known/openid-configuration").json()
    assert "none" not in document["request_object_signing_alg_values_supported"]
    inside = {"client_id": party.client.client_id, "redirect_uri": CB, "scope": "openid"}
    inside["response_type"] = party.variant.response_type
    unsigned = f"{_encoded({'alg': 'none'})}.{_encoded(inside)}."
    for sent in ({"request": unsigned}, {"request_uri": "https://client.test/request.jwt"}):
        page = party.browser(berta).visit_request(party.request(**sent))
        assert (page.location, page.status, bool(page.error_code)) == (None, 400, True)


def _encoded(members: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()
