"""Hybrid OP: what the front channel brings, beside what it shares with the Basic OP (``test_basic_*.py``)."""

from urllib.parse import urlsplit

import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.openid.party import VARIANTS, Party, assert_random, half
from tests.world import assert_refused

HYBRID = [name for name, variant in VARIANTS.items() if "implicit" in variant.grant_types]


@pytest.fixture(scope="module", params=HYBRID)
def party(request: pytest.FixtureRequest, provider: AuthServer) -> Party:
    return Party(provider, VARIANTS[request.param])


# OIDCCDiscoveryEndpointVerification
def test_response_types_and_the_implicit_grant_are_announced(provider: AuthServer):
    document = provider.get("/.well-known/openid-configuration").json()
    assert {"code", *HYBRID, "id_token", "id_token token"} <= set(document["response_types_supported"])
    assert {"authorization_code", "implicit"} <= set(document["grant_types_supported"])
    assert "fragment" in document["response_modes_supported"]


# OIDCCServerTest
def test_the_fragment_brings_what_was_asked_for_and_the_code_brings_the_rest(party: Party, berta: User):
    words = party.variant.response_type.split()
    done = party.sign_in(party.browser(berta), scope="openid email")
    assert ("access_token" in done.answer) is ("token" in words)
    assert ("id_token" in done.answer) is ("id_token" in words)
    if "token" in words:
        assert_random(done.answer["access_token"])
        assert done.answer["token_type"] == "Bearer"
        assert 0 < int(done.answer["expires_in"]) <= 300
        assert done.answer["access_token"] != done.tokens["access_token"]
        told = party.userinfo(done.answer)
        assert told == party.userinfo(done.tokens)
        assert told["email"] == "berta@example.test"


def test_the_id_token_vouches_for_what_came_with_it(party: Party, berta: User):
    asked = party.request(state="a state")
    done = party.finish(party.browser(berta).authorize(asked), asked)
    if not done.front:
        assert "id_token" not in party.variant.response_type.split()
        return
    assert done.front["c_hash"] == half(done.answer["code"])
    assert done.front["s_hash"] == half("a state")
    assert done.front.get("at_hash") == (half(done.answer["access_token"]) if "access_token" in done.answer else None)
    assert done.claims["at_hash"] == half(done.tokens["access_token"])
    same = ("iss", "sub", "aud", "nonce", "auth_time", "acr", "amr", "sid")
    assert [done.front[name] for name in same] == [done.claims[name] for name in same]


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
def test_a_code_that_is_used_twice_takes_the_front_channels_token_with_it(
    party: Party, provider: AuthServer, berta: User
):
    done = party.sign_in(party.browser(berta))
    assert_refused(party.redeem(done.answer), "invalid_grant")
    for token in {done.answer.get("access_token"), done.tokens["access_token"]} - {None}:
        assert provider.get("/userinfo", token).status_code == 401
