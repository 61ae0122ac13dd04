"""Hybrid and Implicit OP: what the front channel brings, beside what they share with the Basic OP (test_basic_*.py)."""

from urllib.parse import urlsplit

import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.openid.party import IMPLICIT, VARIANTS, Party, half
from tests.world import assert_refused

HYBRID = ["code id_token", "code token", "code id_token token"]
WITH_ID_TOKEN = [name for name in (*HYBRID, *IMPLICIT) if "id_token" in name]


@pytest.fixture(scope="module", params=[*HYBRID, *IMPLICIT])
def party(request: pytest.FixtureRequest, provider: AuthServer) -> Party:
    return Party(provider, VARIANTS[request.param])


# OIDCCDiscoveryEndpointVerification
def test_response_types_and_the_implicit_grant_are_announced(provider: AuthServer):
    document = provider.get("/.well-known/openid-configuration").json()
    assert {"code", *HYBRID, *IMPLICIT} <= set(document["response_types_supported"])
    assert {"authorization_code", "implicit"} <= set(document["grant_types_supported"])
    assert "fragment" in document["response_modes_supported"]


# OIDCCServerTest
def test_the_fragment_brings_what_was_asked_for_and_the_query_nothing(party: Party, berta: User):
    words = party.variant.response_type.split()
    asked = party.request(scope="openid email")
    page = party.browser(berta).authorize(asked)
    assert urlsplit(page.location).query == ""
    done = party.finish(page, asked)
    assert ("access_token" in done.answer) is ("token" in words)
    assert ("id_token" in done.answer) is ("id_token" in words)
    assert party.told(done)["email"] == "berta@example.test"


@pytest.mark.parametrize("party", HYBRID, indirect=True, scope="module")
def test_the_code_brings_the_rest(party: Party, berta: User):
    done = party.sign_in(party.browser(berta), scope="openid email")
    assert {"access_token", "id_token"} <= done.tokens.keys()
    if "access_token" in done.answer:
        assert done.answer["access_token"] != done.tokens["access_token"]
        assert party.userinfo(done.answer) == party.userinfo(done.tokens)


@pytest.mark.parametrize("party", WITH_ID_TOKEN, indirect=True, scope="module")
def test_the_id_token_vouches_for_what_came_with_it(party: Party, berta: User):
    asked = party.request(state="a state")
    done = party.finish(party.browser(berta).authorize(asked), asked)
    came = {"c_hash": done.answer.get("code"), "at_hash": done.answer.get("access_token"), "s_hash": "a state"}
    vouched = {name: half(text) for name, text in came.items() if text is not None}
    assert {name: done.front[name] for name in came if name in done.front} == vouched
    same = ("iss", "sub", "aud", "nonce", "auth_time", "acr", "amr", "sid")
    assert [done.front[name] for name in same] == [done.claims[name] for name in same]


@pytest.mark.parametrize("party", IMPLICIT, indirect=True, scope="module")
def test_without_a_code_nothing_is_given_to_keep_access_with(party: Party, berta: User):
    browser = party.browser(berta)
    done = party.sign_in(browser, scope="openid email offline_access", prompt="consent")
    assert done.answer.get("scope", "openid email") == "openid email"
    assert_refused(party.redeem({"code": "guessed"}), "unauthorized_client")
    for response_type in {"code", *HYBRID, *IMPLICIT} - {party.variant.response_type}:
        page = party.ask(browser, response_type=response_type, response_mode=party.variant.place)
        assert party.error(page) == "unauthorized_client"


def test_errors_are_in_the_fragment(party: Party, berta: User):
    for mistake, error in (
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"response_mode": "query"}, "invalid_request"),
        ({"scope": "openid unheard-of", "max_age": "soon"}, "invalid_request"),
    ):
        page = party.browser().visit_request(party.request(**mistake))
        assert party.error(page) == error
        assert urlsplit(page.location).query == ""
    refusing = Party(party.provider, party.variant)
    browser = refusing.browser(berta)
    assert refusing.error(browser.deny(browser.visit_request(refusing.request()))) == "access_denied"


# OIDCCAuthCodeReuse
@pytest.mark.parametrize("party", HYBRID, indirect=True, scope="module")
def test_a_code_that_is_used_twice_takes_the_front_channels_token_with_it(
    party: Party, provider: AuthServer, berta: User
):
    done = party.sign_in(party.browser(berta))
    assert_refused(party.redeem(done.answer), "invalid_grant")
    for token in {done.answer.get("access_token"), done.tokens["access_token"]} - {None}:
        assert provider.get("/userinfo", token).status_code == 401
