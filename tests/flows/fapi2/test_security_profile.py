"""FAPI 2.0 Security Profile: what its certification asks, for every way to authenticate and to bind tokens."""

import time
from typing import Any

import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests import signing
from tests.fapi import Party
from tests.flows.fapi2.world import COMBINATIONS, party
from tests.world import assert_refused, assert_shown

LONG = 384  # characters
_ITSELF = {"grant_type": "client_credentials", "scope": "api:read"}


@pytest.fixture(scope="module", params=COMBINATIONS, ids="+".join)
def one(request: pytest.FixtureRequest, at: AuthServer) -> Party:
    """A client for each combination of authentication and binding."""
    return party(at, *request.param)


@pytest.fixture(scope="module")
def other(at: AuthServer, one: Party) -> Party:
    """Another client of the same kind, with other keys."""
    return party(at, one.method, one.binding, number=2)


# Discovery (5.3.2.1; RFC 8414).


def test_discovery_announces_what_the_profile_needs(at: AuthServer):
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        document = at.get(path).json()
        assert document["pushed_authorization_request_endpoint"] == f"{at.issuer}/par"
        assert document["code_challenge_methods_supported"] == ["S256"]
        assert document["authorization_response_iss_parameter_supported"] is True
        assert document["tls_client_certificate_bound_access_tokens"] is True
        methods = {"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}
        assert methods <= set(document["token_endpoint_auth_methods_supported"])
        lists = [
            name for name in document if name.endswith(("signing_alg_values_supported", "dpop_signing_alg_values"))
        ]
        assert lists
        for name in lists:
            assert {"PS256", "ES256", "EdDSA", "Ed25519"} & set(document[name]), name
        assert "RS256" not in document["dpop_signing_alg_values_supported"]


# The happy flow and its variants.


@pytest.mark.parametrize("scope", ["openid profile api:read", "api:read"], ids=["openid", "plain"])
def test_the_happy_flow(at: AuthServer, one: Party, user: User, scope: str):
    flow = one.walk(one.begin(scope=scope, state="s" * 128), user)
    assert flow.page is not None
    assert flow.page.callback == {"code": flow.code, "state": "s" * 128, "iss": at.issuer}
    answer = one.redeem(flow)
    assert answer.status_code == 200, answer.text
    tokens = answer.json()
    assert tokens["token_type"] == ("DPoP" if one.binding == "dpop" else "Bearer")
    assert tokens["scope"] == scope
    assert ("id_token" in tokens) is ("openid" in scope)
    # 128 bits and more (5.3.2.1).
    assert min(len(flow.code), len(tokens["access_token"]), len(flow.reference.rpartition(":")[2])) > 40
    live = one.introspect(tokens["access_token"])
    assert live["active"] is True
    assert live["cnf"].keys() == {"jkt" if one.binding == "dpop" else "x5t#S256"}
    if "openid" in scope:
        assert one.userinfo(tokens["access_token"]).json()["sub"] == user.sub


def test_a_redirect_uri_with_a_query_is_kept_whole(at: AuthServer, user: User):
    uri = "https://client.test/callback?dummy1=lorem&dummy2=ipsum"
    one = party(at, "private_key_jwt", "dpop", redirect_uris=[uri])
    page = one.walk(one.begin(), user).page
    assert page is not None
    assert page.location is not None
    assert page.location.startswith(uri + "&")
    assert page.callback["dummy1"] == "lorem"


def test_a_denial_is_told_with_state_and_issuer(at: AuthServer, one: Party, user: User):
    flow, browser = one.begin(prompt="consent"), at.browser(user)
    page = browser.visit_request({"client_id": one.client.client_id, "request_uri": flow.reference})
    answer = browser.deny(page).callback
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", flow.state, at.issuer)


@pytest.mark.parametrize("missing", ["state", "nonce"])
def test_what_was_not_sent_is_not_invented(one: Party, user: User, missing: str):
    flow = one.walk(one.begin(**{missing: None}), user)
    assert flow.page is not None
    tokens = one.redeem(flow).json()
    claims = signing.claims_of(tokens["id_token"])
    assert missing not in (flow.page.callback if missing == "state" else claims)


@pytest.mark.parametrize("length", [64, LONG])
def test_a_nonce_comes_back_whole(one: Party, user: User, length: int):
    tokens = one.tokens(user, nonce="n" * length)
    assert signing.claims_of(tokens["id_token"])["nonce"] == "n" * length


def test_a_long_state_comes_back_whole(one: Party, user: User):
    page = one.walk(one.begin(state="s" * LONG), user).page
    assert page is not None
    assert page.callback["state"] == "s" * LONG


def test_the_order_of_scopes_does_not_matter(one: Party, user: User):
    assert set(one.tokens(user, scope="api:read profile openid")["scope"].split()) == {"api:read", "profile", "openid"}


# Pushed requests only (5.3.2.2; RFC 9126).


def test_a_plain_request_is_refused(at: AuthServer, one: Party, user: User):
    page = at.browser(user).visit_request(one.request(at.pkce().challenge))
    assert page.callback["error"] == "invalid_request"


def test_state_and_nonce_outside_do_not_count(one: Party, user: User):
    flow = one.walk(one.begin(state=None, nonce="inside"), user, state="outside", nonce="outside")
    assert flow.page is not None
    assert "state" not in flow.page.callback
    assert signing.claims_of(one.redeem(flow).json()["id_token"])["nonce"] == "inside"


@pytest.mark.parametrize("uri", [None, "https://client.test/never-registered"])
def test_the_redirect_uri_has_to_be_there_and_registered(one: Party, uri: str | None):
    assert_refused(one.push(redirect_uri=uri), "invalid_request")


@pytest.mark.parametrize("response_type", ["code id_token", "token", "id_token", "none"])
def test_only_code_is_a_response_type(one: Party, response_type: str):
    assert_refused(one.push(response_type=response_type), "unsupported_response_type")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
    ],
)
def test_the_challenge_is_required_and_s256(one: Party, changes: dict[str, Any]):
    assert_refused(one.push(**changes), "invalid_request")


@pytest.mark.parametrize("verifier", [None, "w" * 43])
def test_the_verifier_is_required_and_right(one: Party, user: User, verifier: str | None):
    assert_refused(one.redeem(one.walk(one.begin(), user), code_verifier=verifier), "invalid_grant")


def test_a_request_uri_is_not_pushed(one: Party):
    assert_refused(one.push(request_uri=one.begin().reference), "invalid_request")


def test_the_page_may_be_opened_twice_before_the_end_and_not_after(at: AuthServer, one: Party, user: User):
    flow, browser = one.begin(prompt="consent"), at.browser(user)
    query = {"client_id": one.client.client_id, "request_uri": flow.reference}
    browser.visit_request(query)
    assert "code" in browser.allow(browser.visit_request(query)).callback
    assert_shown(browser.visit_request(query), "invalid_request_uri")


def test_an_expired_reference_is_refused(at: AuthServer, one: Party, user: User):
    flow = one.begin()
    with at.later(61):
        page = one.walk(flow, user).page
    assert page is not None
    assert_shown(page, "invalid_request_uri")


def test_the_reference_is_bound_to_its_client(at: AuthServer, one: Party, other: Party, user: User):
    query = {"client_id": other.client.client_id, "request_uri": one.begin().reference}
    assert_shown(at.browser(user).visit_request(query), "invalid_request_uri")


# Codes and refresh tokens.


def test_a_code_is_bound_to_its_client(one: Party, other: Party, user: User):
    flow = one.walk(one.begin(), user)
    assert_refused(other.redeem(flow, code=flow.code), "invalid_grant")
    assert one.redeem(flow).status_code == 200


def test_a_code_used_twice_takes_its_tokens_with_it(one: Party, user: User):
    flow = one.walk(one.begin(), user)
    tokens = one.redeem(flow).json()
    assert_refused(one.redeem(flow), "invalid_grant")
    assert one.introspect(tokens["access_token"]) == {"active": False}
    assert_refused(one.refresh(tokens["refresh_token"]), "invalid_grant")


def test_a_code_lives_for_a_minute_at_most(at: AuthServer, one: Party, user: User):
    flow = one.walk(one.begin(), user)
    with at.later(62):
        # The proof of that time; the clock of the client goes with the server's.
        answer = one.post(
            "/token",
            headers=_moved(one, at, 62),
            **_assertion_of(one, 62),
            grant_type="authorization_code",
            code=flow.code,
            code_verifier=flow.verifier,
        )
    assert_refused(answer, "invalid_grant")


def _moved(one: Party, at: AuthServer, seconds: int) -> dict[str, str]:
    if one.binding != "dpop":
        return {}
    return {"DPoP": one.proof("POST", f"{at.issuer}/token", iat=int(time.time()) + seconds)}


def _assertion_of(one: Party, seconds: int) -> dict[str, str]:
    moment = int(time.time()) + seconds
    return one.assertion(iat=moment, exp=moment + 60)


def test_a_refresh_token_stays_and_its_access_tokens_are_bound(one: Party, user: User):
    tokens = one.tokens(user)
    again = one.refresh(tokens["refresh_token"]).json()
    assert again["refresh_token"] == tokens["refresh_token"]
    assert one.introspect(again["access_token"])["cnf"] == one.introspect(tokens["access_token"])["cnf"]


def test_a_refresh_needs_the_client_and_what_binds(one: Party, other: Party, user: User):
    token = one.tokens(user)["refresh_token"]
    assert_refused(other.refresh(token), "invalid_grant")
    for missing in ({"assertion"} if one.method == "private_key_jwt" else {"certificate"}, {_binder(one)}):
        answer = one.leaving_out(*missing).refresh(token)
        assert answer.status_code in {400, 401}
        assert "access_token" not in answer.json()
    assert one.refresh(token).status_code == 200


def _binder(one: Party) -> str:
    return "proof" if one.binding == "dpop" else "certificate"


def test_no_token_without_what_binds_it(one: Party, user: User):
    answer = one.leaving_out(_binder(one)).redeem(one.walk(one.begin(), user))
    assert answer.status_code in {400, 401}
    assert answer.json()["error"] in {"invalid_dpop_proof", "invalid_request", "invalid_client", "invalid_grant"}


def test_a_stolen_token_is_worth_nothing_alone(one: Party, other: Party, user: User):
    token = one.tokens(user)["access_token"]
    bare = one.leaving_out("proof", "certificate")
    assert_refused(bare.userinfo(token, "Bearer"), "invalid_token", 401)
    answer = other.userinfo(token)
    assert (answer.status_code, answer.json()["error"]) in {(401, "invalid_token"), (401, "invalid_dpop_proof")}


def test_the_scheme_may_be_written_in_any_case(one: Party, user: User):
    token = one.tokens(user)["access_token"]
    assert one.userinfo(token, "dPoP" if one.binding == "dpop" else "bEARER").status_code == 200


def test_another_client_id_beside_the_credentials_is_refused(one: Party, other: Party, user: User):
    flow = one.walk(one.begin(), user)
    answer = one.redeem(flow, client_id=other.client.client_id)
    assert answer.json()["error"] in {"invalid_client", "invalid_grant"}


# The client credentials profile.


def test_client_credentials_give_a_bound_token_and_nothing_else(one: Party):
    answer = one.post("/token", **_ITSELF)
    assert answer.status_code == 200
    assert {"refresh_token", "id_token"}.isdisjoint(answer.json())
    assert one.introspect(answer.json()["access_token"])["cnf"].keys() == {
        "jkt" if one.binding == "dpop" else "x5t#S256"
    }
    refused = one.leaving_out(_binder(one)).post("/token", **_ITSELF)
    assert refused.status_code in {400, 401}
