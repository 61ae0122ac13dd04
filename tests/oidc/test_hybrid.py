"""Hybrid and Implicit Flow (OpenID Connect Core 1.0, 3.2, 3.3; OAuth 2.0 Multiple Response Types)."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from authserver.manage import sessions, users
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests import encrypted, request_objects, signing
from tests.details import BANK, PAYMENT
from tests.front_channel import (
    FRONT,
    NONCE,
    TYPES,
    WITH_ID_TOKEN,
    WITH_TOKEN,
    alice,
    ask,
    at,
    client,
    fragment,
    make,
    refusal,
)
from tests.world import API, OTHER_API, assert_refused, assert_shown

__all__ = ["alice", "at", "client"]


# 3.2.2.5, 3.3.2.5: the answer.


@pytest.mark.parametrize("response_type", TYPES)
def test_the_answer_has_exactly_what_was_asked_for(
    at: AuthServer, client: RegisteredClient, alice: User, response_type: str
):
    found = fragment(ask(at, client, alice, response_type, state="s"))
    token = {"access_token", "token_type", "expires_in", "scope"} if "token" in response_type.split() else set()
    others = set(response_type.split()) - {"token"}
    assert found.keys() == others | token | {"state", "iss"}
    assert (found["state"], found["iss"]) == ("s", at.issuer)


@pytest.mark.parametrize("response_type", ["token id_token code", "id_token  code", "token id_token"])
def test_the_order_of_the_words_means_nothing(
    at: AuthServer, client: RegisteredClient, alice: User, response_type: str
):
    assert "id_token" in fragment(ask(at, client, alice, response_type))


@pytest.mark.parametrize(
    "response_type", ["token", "none", "none id_token", "code code", "code id_token id_token", "x"]
)
def test_other_response_types_are_not_supported(
    at: AuthServer, client: RegisteredClient, alice: User, response_type: str
):
    page = ask(at, client, alice, response_type)
    assert page.callback["error"] == "unsupported_response_type"
    assert page.callback.keys() == {"error", "error_description", "state", "iss"}


def test_a_code_alone_is_answered_in_the_query_as_ever(at: AuthServer, client: RegisteredClient, alice: User):
    page = ask(at, client, alice, "code")
    assert urlsplit(page.location).query
    assert page.callback.keys() == {"code", "state", "iss"}


def test_the_code_brings_tokens_of_the_same_sign_in(at: AuthServer, client: RegisteredClient, alice: User):
    found = fragment(ask(at, client, alice, "code id_token token", scope="openid offline_access"))
    parameters = {"code": found["code"], "redirect_uri": client.redirect_uri}
    tokens = at.token(client, grant_type="authorization_code", **parameters).json()
    front, back = signing.claims_of(found["id_token"]), signing.claims_of(tokens["id_token"])
    same = ("iss", "sub", "aud", "nonce", "auth_time", "acr", "amr", "sid")
    assert [front[name] for name in same] == [back[name] for name in same]
    assert front["sub"] == alice.sub
    assert "refresh_token" in tokens
    assert {"c_hash", "s_hash"}.isdisjoint(back)


# 5.4: where the claims of the scope are.


@pytest.mark.parametrize("response_type", WITH_ID_TOKEN)
def test_the_claims_of_the_scope_are_in_the_id_token_only_where_nothing_opens_userinfo(
    at: AuthServer, client: RegisteredClient, alice: User, response_type: str
):
    claims = signing.claims_of(fragment(ask(at, client, alice, response_type))["id_token"])
    assert claims.get("name") == ("Alice Adams" if response_type == "id_token" else None)
    assert claims["nonce"] == NONCE


@pytest.mark.parametrize("algorithm", ["ES384", "Ed25519"])
def test_hashes_and_signature_are_of_the_registered_algorithm(at: AuthServer, alice: User, algorithm: str):
    other = make(at, id_token_signed_response_alg=algorithm)
    claims = signing.claims_of(fragment(ask(at, other, alice, "code id_token token", state="s"))["id_token"])
    length = {"ES384": 32, "Ed25519": 43}[algorithm]
    assert [len(claims[name]) for name in ("c_hash", "at_hash", "s_hash")] == [length] * 3


def test_an_id_token_is_encrypted_as_registered(at: AuthServer, alice: User):
    keys = {"jwks": {"keys": [encrypted.jwk("rsa")]}, "id_token_encrypted_response_alg": "RSA-OAEP-256"}
    found = fragment(ask(at, make(at, **keys), alice, "id_token"))
    assert signing.claims_of(encrypted.opened(found["id_token"], "rsa"))["sub"] == alice.sub


# What an access token of this way is good for.


@pytest.mark.parametrize("response_type", WITH_TOKEN)
def test_the_access_token_lives_for_minutes_and_is_refreshed_by_nothing(
    at: AuthServer, client: RegisteredClient, alice: User, response_type: str
):
    found = fragment(ask(at, client, alice, response_type, scope="openid profile offline_access"))
    assert int(found["expires_in"]) == 300
    assert "refresh_token" not in found
    assert ("offline_access" in found["scope"].split()) is ("code" in response_type)
    assert at.get("/userinfo", found["access_token"]).json()["name"] == "Alice Adams"
    with at.later(301):
        assert at.get("/userinfo", found["access_token"]).status_code == 401


def test_it_is_for_the_resource_that_was_named(at: AuthServer, client: RegisteredClient, alice: User):
    asked = {"scope": "openid api:read other:read", "resource": OTHER_API}
    found = fragment(ask(at, client, alice, "code token", **asked))
    claims = signing.claims_of(found["access_token"])
    assert (claims["aud"], claims["scope"]) == (OTHER_API, "openid other:read")
    assert claims["exp"] - claims["iat"] == 300
    asked["resource"] = [API, OTHER_API]
    assert refusal(ask(at, client, alice, "code token", **asked)) == "invalid_target"
    assert "code" in fragment(ask(at, client, alice, "code id_token", **asked))


def test_it_is_good_for_the_one_thing_that_was_asked_for(at: AuthServer, alice: User):
    paying = make(at, authorization_details_types=["payment"])
    wish = {"scope": None, "authorization_details": json.dumps([PAYMENT])}
    browser = at.browser(alice)
    found = fragment(browser.authorize(at.request(paying, response_type="code token", **wish)))
    assert found.keys() == {"code", "access_token", "token_type", "expires_in", "state", "iss"}
    told = at.introspect(paying, found["access_token"])
    assert (told["aud"], told["authorization_details"]) == (BANK, [PAYMENT])


def test_it_belongs_to_the_grant_of_the_code(at: AuthServer, client: RegisteredClient, alice: User):
    before = len(at.store.grants.of_user(alice.sub))
    found = fragment(ask(at, client, alice, "code token"))
    assert len(at.store.grants.of_user(alice.sub)) == before + 1
    redeem = {"grant_type": "authorization_code", "code": found["code"], "redirect_uri": client.redirect_uri}
    tokens = at.token(client, **redeem).json()
    assert_refused(at.token(client, **redeem), "invalid_grant")
    for token in (found["access_token"], tokens["access_token"]):
        assert at.introspect(client, token) == {"active": False}


def test_it_dies_with_the_session(at: AuthServer, client: RegisteredClient):
    carol = at.user("carol")
    found = fragment(ask(at, client, carol, "id_token token"))
    assert at.introspect(client, found["access_token"])["active"] is True
    sessions.end_all(at.store, carol.sub, actor="test")
    assert at.introspect(client, found["access_token"]) == {"active": False}


def test_a_session_that_ends_in_the_very_moment_gets_nothing(
    at: AuthServer, client: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    dave = at.user("dave")
    open_grant = at.store.grants.open

    def slow(*arguments: Any) -> None:
        sessions.end_all(at.store, dave.sub, actor="test")
        open_grant(*arguments)

    monkeypatch.setattr(at.store.grants, "open", slow)
    for response_type in ("code id_token token", "id_token"):
        page = ask(at, client, dave, response_type, scope="openid offline_access")
        assert refusal(page) == "login_required"
    assert at.store.grants.of_user(dave.sub) == (), "nor does anything of it outlive the session"


def test_a_disabled_account_gets_nothing(at: AuthServer, client: RegisteredClient):
    erin = at.user("erin")
    found = fragment(ask(at, client, erin, "id_token token"))
    users.set_disabled(at.store, erin, disabled=True, actor="test")
    assert at.introspect(client, found["access_token"]) == {"active": False}


# A second submission.


def test_a_second_submission_gets_the_same_code_and_tokens_of_the_same_grant(at: AuthServer, alice: User):
    asking = make(at, trusted=False)
    browser = at.browser(alice)
    request = at.request(asking, response_type="code id_token token", nonce=NONCE)
    consent = browser.visit_request(request)
    before = len(at.store.grants.of_user(alice.sub))
    first, second = fragment(browser.allow(consent)), fragment(browser.allow(consent))
    assert first["code"] == second["code"]
    assert len(at.store.grants.of_user(alice.sub)) == before + 1
    assert all(at.introspect(asking, each["access_token"])["active"] for each in (first, second))
    redeem = {"grant_type": "authorization_code", "code": first["code"], "redirect_uri": asking.redirect_uri}
    assert at.token(asking, **redeem).status_code == 200
    # Nothing of the code is in what the browser sees of the grant.
    assert first["code"] not in str(at.store.grants.of_user(alice.sub))
    assert at.token(asking, **redeem).status_code == 400
    assert not any(at.introspect(asking, each["access_token"])["active"] for each in (first, second))
    assert refusal(browser.allow(consent)) == "access_denied"


# What is needed (3.2.2.1, 3.3.2.11), and errors in the fragment (3.3.2.6).


@pytest.mark.parametrize("response_type", TYPES)
def test_a_nonce_is_needed_where_an_id_token_comes(
    at: AuthServer, client: RegisteredClient, alice: User, response_type: str
):
    page = ask(at, client, alice, response_type, nonce=None)
    if "id_token" in response_type:
        assert refusal(page) == "invalid_request"
    else:
        assert fragment(page)["code"]


@pytest.mark.parametrize("response_type", TYPES)
def test_the_scope_openid_is_needed_where_an_id_token_comes(
    at: AuthServer, client: RegisteredClient, alice: User, response_type: str
):
    page = ask(at, client, alice, response_type, scope="api:read", resource=API)
    if "id_token" in response_type:
        assert refusal(page) == "invalid_scope"
    else:
        assert fragment(page)["scope"] == "api:read"


@pytest.mark.parametrize("response_type", TYPES)
def test_what_needs_a_page_is_an_error_for_prompt_none(at: AuthServer, alice: User, response_type: str):
    asking = make(at, trusted=False)
    assert refusal(ask(at, asking, None, response_type, prompt="none")) == "login_required"
    assert refusal(ask(at, asking, alice, response_type, prompt="none")) == "consent_required"
    browser = at.browser(alice)
    page = browser.visit_request(at.request(asking, response_type=response_type, nonce=NONCE))
    assert refusal(browser.deny(page)) == "access_denied"


@pytest.mark.parametrize("mode", ["query", "query.jwt", "QUERY", "unheard-of"])
def test_nothing_is_ever_in_the_query(at: AuthServer, client: RegisteredClient, alice: User, mode: str):
    for response_type in (*TYPES, "token"):
        assert refusal(ask(at, client, alice, response_type, response_mode=mode)) == "invalid_request"


def test_an_unproven_redirect_uri_gets_no_answer_at_all(at: AuthServer, client: RegisteredClient, alice: User):
    assert_shown(ask(at, client, alice, "code id_token token", redirect_uri="https://evil.test/callback"))


def test_a_proof_key_is_needed_where_the_clients_policy_needs_one_and_there_is_a_code(at: AuthServer, alice: User):
    for strict in (make(at, require_pkce=True), make(at, token_endpoint_auth_method="none")):
        assert refusal(ask(at, strict, alice, "code id_token")) == "invalid_request"
        pkce = at.pkce()
        proven = {"code_challenge": pkce.challenge, "code_challenge_method": "S256"}
        found = fragment(ask(at, strict, alice, "code id_token", **proven))
        redeem = {"grant_type": "authorization_code", "code": found["code"], "redirect_uri": strict.redirect_uri}
        assert_refused(at.token(strict, **redeem, code_verifier=at.pkce().verifier), "invalid_grant")
        assert "id_token" in fragment(ask(at, strict, alice, "id_token"))


# Other ways to ask and to answer.


def test_a_form_carries_it_too(at: AuthServer, client: RegisteredClient, alice: User):
    page = ask(at, client, alice, "code id_token token", response_mode="form_post")
    assert page.location is None
    assert page.form("id_token").fields.keys() >= {"code", "id_token", "access_token", "expires_in", "iss"}
    assert page.form("id_token").action == client.redirect_uri
    refused = ask(at, client, alice, "code id_token", response_mode="form_post", nonce=None)
    assert refused.form("error").fields["error"] == "invalid_request"


@pytest.mark.parametrize("mode", ["jwt", "fragment.jwt", "form_post.jwt"])
def test_a_signed_response_carries_it_too(at: AuthServer, client: RegisteredClient, alice: User, mode: str):
    page = ask(at, client, alice, "code id_token token", response_mode=mode)
    whole = page.form("response").fields if mode.startswith("form_post") else fragment(page)
    assert whole.keys() == {"response"}
    assert signing.claims_of(whole["response"]).keys() >= {"code", "id_token", "access_token", "iss", "aud", "exp"}


def test_a_client_of_some_response_modes_keeps_to_them(at: AuthServer, alice: User):
    form = make(at, response_modes=["form_post", "query"])
    for mode in ("query", None):
        refused = ask(at, form, alice, "code id_token", response_mode=mode)
        assert refused.form("error").fields["error"] == "invalid_request"
    assert "code" in ask(at, form, alice, "code").callback
    other_order = make(at, response_modes=["query", "form_post"])
    refused = ask(at, other_order, alice, "code id_token")
    assert refused.form("error").fields["error"] == "invalid_request"


@pytest.mark.parametrize("modes", [["jwt", "query.jwt", "fragment.jwt"], ["jwt"]], ids=str)
def test_an_error_is_signed_where_answers_have_to_be_and_not_in_the_query(
    at: AuthServer, alice: User, modes: list[str]
):
    signed = make(at, response_modes=modes)
    for mode in ("query.jwt", None):
        refused = fragment(ask(at, signed, alice, "id_token", response_mode=mode))
        assert signing.claims_of(refused["response"])["error"] == "invalid_request"


def test_a_request_may_be_pushed_and_signed(at: AuthServer, client: RegisteredClient, alice: User):
    pushed = at.push(client, response_type="token id_token code", nonce=NONCE)
    page = at.browser(alice).visit_request({"client_id": client.client_id, "request_uri": pushed.json()["request_uri"]})
    assert fragment(page).keys() >= {"code", "id_token", "access_token"}
    assert_refused(at.push(client, response_type="code id_token"), "invalid_request")
    signer = request_objects.signing_client(at, profile="oidc", **FRONT)
    inside = request_objects.signed(at, signer, response_type="id_token", nonce=NONCE)
    page = at.browser(alice).visit_request(
        {"client_id": signer.client_id, "request": inside, "response_type": "code", "scope": "openid"}
    )
    assert fragment(page).keys() == {"id_token", "state", "iss"}
