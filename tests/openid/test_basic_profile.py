"""Basic, Form Post, Hybrid and Implicit OP: what an authorization request brings, and what tokens and userinfo tell."""

import json
from typing import Any

import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.openid.party import (
    CB,
    CLAIMS,
    VARIANTS,
    WITH_CODE,
    WITH_USERINFO,
    Party,
    Variant,
    assert_page,
    assert_tokens,
    half,
)
from tests.world import assert_refused


@pytest.fixture(scope="module", params=list(VARIANTS))
def variant(request: pytest.FixtureRequest) -> Variant:
    return VARIANTS[request.param]


@pytest.fixture(scope="module")
def party(provider: AuthServer, variant: Variant) -> Party:
    return Party(provider, variant)


# OIDCCServerTest
def test_two_clients_sign_the_same_person_in(provider: AuthServer, variant: Variant, berta: User):
    parties = [Party(provider, variant) for _ in range(2)]
    done = [each.sign_in(each.browser(berta)) for each in parties]
    assert len({each.claims["sub"] for each in done}) == 1
    for each in parties:
        each.leave()


# OIDCCServerTestClientSecretPost
@pytest.mark.parametrize("variant", WITH_CODE, indirect=True, scope="module")
def test_a_client_may_send_its_secret_in_the_form(provider: AuthServer, variant: Variant, berta: User):
    posting = Party(provider, variant, token_endpoint_auth_method="client_secret_post")
    posting.sign_in(posting.browser(berta))


# OIDCCResponseTypeMissing
def test_a_request_without_a_response_type_is_refused(party: Party, berta: User):
    page = party.ask(party.browser(berta), response_type=None, response_mode=party.variant.place)
    assert party.error(page) in {"invalid_request", "unsupported_response_type"}


# OIDCCIdTokenSignature
def test_an_id_token_is_signed_by_rs256_unless_registered_otherwise(party: Party, berta: User):
    assert party.registration.get("id_token_signed_response_alg", "RS256") == "RS256"
    party.sign_in(party.browser(berta))


# OIDCCIdTokenUnsigned is skipped where "none" is not announced.
def test_unsigned_id_tokens_are_not_announced(provider: AuthServer):
    document = provider.get("/.well-known/openid-configuration").json()
    assert "none" not in document["id_token_signing_alg_values_supported"]


# OIDCCUserInfoGet, OIDCCUserInfoPostHeader, OIDCCUserInfoPostBody
@pytest.mark.parametrize("variant", WITH_USERINFO, indirect=True, scope="module")
def test_userinfo_takes_the_token_by_get_by_post_and_in_a_posted_form(party: Party, provider: AuthServer, berta: User):
    done = party.sign_in(party.browser(berta))
    token = done.tokens["access_token"]
    posted = provider.post("/userinfo", headers={"Authorization": f"Bearer {token}"})
    in_form = provider.post("/userinfo", access_token=token)
    assert posted.json() == in_form.json() == party.userinfo(done.tokens) == {"sub": done.claims["sub"]}


# OIDCCEnsureRequestWithoutNonceSucceedsForCodeFlow, OIDCCEnsureRequestWithoutNonceFails
def test_a_nonce_may_be_left_out_unless_the_browser_brings_the_id_token(party: Party, berta: User):
    if "id_token" in party.variant.response_type:
        assert party.error(party.ask(party.browser(berta), nonce=None)) == "invalid_request"
    else:
        assert "nonce" not in party.sign_in(party.browser(berta), nonce=None).claims


# OIDCCScopeProfile, OIDCCScopeEmail, OIDCCScopeAddress, OIDCCScopePhone, OIDCCScopeAll
@pytest.mark.parametrize("scope", [*CLAIMS, " ".join(CLAIMS)])
def test_the_claims_of_a_scope_come_from_userinfo_or_in_an_id_token_alone(party: Party, berta: User, scope: str):
    done = party.sign_in(party.browser(berta), scope=f"openid {scope}")
    told = party.told(done)
    assert told.keys() == {"sub"}.union(*(CLAIMS[name] for name in scope.split()))
    assert told["sub"] == done.claims["sub"]
    kinds: dict[str, type] = {"address": dict, "email_verified": bool, "phone_number_verified": bool, "updated_at": int}
    assert all(type(value) is kinds.get(name, str) for name, value in told.items())
    assert all(type(value) is str for value in told.get("address", {}).values())


# OIDCCClaimsEssential
def test_a_claim_can_be_asked_for_by_name(party: Party, berta: User):
    place = "id_token" if party.variant.response_type == "id_token" else "userinfo"
    done = party.sign_in(party.browser(berta), claims=json.dumps({place: {"name": {"essential": True}}}))
    assert party.told(done)["name"] == "Berta van den Berg"


# OIDCCAlternateHappyFlow
def test_the_order_of_parameters_and_of_scope_values_means_nothing(party: Party, berta: User):
    asked = party.request(scope="phone address email profile openid")
    backwards = dict(reversed(asked.items()))
    done = party.finish(party.browser(berta).authorize(backwards), asked)
    assert party.told(done).keys() == {"sub"}.union(*CLAIMS.values())


# OIDCCEnsureRegisteredRedirectUri
def test_an_unregistered_redirect_uri_is_told_to_the_user_alone(party: Party, berta: User):
    for uri in (f"{CB}/", f"{CB}?x=y", "https://evil.test/callback"):
        assert_page(party.ask(party.browser(berta), redirect_uri=uri))


# OIDCCEnsurePostRequestSucceeds
def test_a_request_may_be_posted(party: Party, berta: User):
    browser, asked = party.browser(berta), party.request()
    # As a browser sends the form of a page at the client.
    head = {"Origin": "https://client.test", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = browser.http.post("/authorize", data=asked, headers=head)
    assert answer.status_code == 303
    page = browser.visit(answer.headers["location"])
    party.finish(browser.allow(page) if "consent-allow" in page.text else page, asked)


# OIDCCAuthCodeReuse, OIDCCAuthCodeReuseAfter30Seconds
@pytest.mark.parametrize("variant", WITH_CODE, indirect=True, scope="module")
@pytest.mark.parametrize("seconds", [0, 30])
def test_a_code_is_taken_once_and_a_second_attempt_ends_what_came_of_it(
    party: Party, provider: AuthServer, berta: User, seconds: int
):
    done = party.sign_in(party.browser(berta))
    with provider.later(seconds):
        assert_refused(party.redeem(done.answer), "invalid_grant")
        assert provider.get("/userinfo", done.tokens["access_token"]).status_code == 401


# OIDCCEnsureRequestWithValidPkceSucceeds
@pytest.mark.parametrize("variant", WITH_CODE, indirect=True, scope="module")
def test_a_proof_key_may_be_used(party: Party, provider: AuthServer, berta: User):
    pkce = provider.pkce()
    asked = party.request(code_challenge=pkce.challenge, code_challenge_method="S256")
    party.finish(party.browser(berta).authorize(asked), asked, code_verifier=pkce.verifier)


# OIDCCRefreshToken
@pytest.mark.parametrize("variant", WITH_CODE, indirect=True, scope="module")
def test_a_refresh_gives_tokens_of_the_same_sign_in_to_the_same_client_alone(
    provider: AuthServer, variant: Variant, berta: User
):
    grants = [*variant.grant_types, "refresh_token"]
    document = provider.get("/.well-known/openid-configuration").json()
    assert "refresh_token" in document["grant_types_supported"]
    assert "offline_access" in document["scopes_supported"]
    parties = [Party(provider, variant, grant_types=grants) for _ in range(2)]
    wish = {"scope": "openid offline_access", "prompt": "consent"}
    first, second = (each.sign_in(each.browser(berta), **wish) for each in parties)
    fresh = assert_tokens(_refresh(parties[0], first.tokens))
    assert {fresh["access_token"], fresh["refresh_token"]}.isdisjoint(first.tokens.values())
    assert parties[0].userinfo(fresh)["sub"] == first.claims["sub"]
    # OpenID Connect Core 12.2: no nonce, and the rest as it was.
    again = parties[0].claims(fresh["id_token"], {})
    same = ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid")
    assert [again[name] for name in same] == [first.claims[name] for name in same]
    assert again["iat"] >= first.claims["iat"]
    assert again["at_hash"] == half(fresh["access_token"])
    assert_refused(_refresh(parties[1], fresh), "invalid_grant")
    assert_refused(_refresh(parties[0], second.tokens), "invalid_grant")
    # Neither attempt has cost the owner anything.
    for party, tokens in zip(parties, (fresh, second.tokens), strict=True):
        assert_tokens(_refresh(party, tokens))


def _refresh(party: Party, tokens: dict[str, Any]) -> Any:
    return party.post("/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
