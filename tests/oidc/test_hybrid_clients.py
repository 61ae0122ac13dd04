"""Hybrid and Implicit Flow: which clients have it, how they are registered, and what the switch leaves of it."""

from typing import Any

import pytest

from authserver.manage import clients
from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests import request_objects, signing
from tests.front_channel import FRONT, NONCE, WITH_TOKEN, alice, ask, at, client, fragment, make, refusal
from tests.registering import post, register
from tests.world import assert_refused, assert_shown

__all__ = ["alice", "at", "client"]


# Who may ask.


def test_a_client_gets_the_response_types_that_it_is_registered_for(at: AuthServer, alice: User):
    narrow = make(at, response_types=["code id_token"])
    assert "id_token" in fragment(ask(at, narrow, alice, "id_token code"))
    for response_type in ("id_token", "code token", "code id_token token"):
        assert refusal(ask(at, narrow, alice, response_type)) == "unauthorized_client"
    assert ask(at, narrow, alice, "code").callback["error"] == "unauthorized_client"


@pytest.mark.parametrize("profile", ["oauth21", "fapi2", "fapi2_message_signing", "legacy"])
def test_no_other_profile_has_them(at: AuthServer, profile: str):
    keys = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [request_objects.jwk("p256")]}}
    members = {**FRONT, **(keys if profile.startswith("fapi2") else {})}
    with pytest.raises(InvalidMetadata, match="response_types"):
        at.client(profile=profile, **members)


@pytest.mark.parametrize(
    "wrong",
    [
        {"response_types": ["token"]},
        {"response_types": ["none"]},
        {"response_types": ["code id_token id_token"]},
        {"response_types": [["code"]]},
        {"response_types": "code id_token"},
        {"response_types": ["code id_token"], "grant_types": ["authorization_code"]},
        {"response_types": ["code id_token"], "grant_types": ["implicit"]},
        {"response_types": ["id_token"], "grant_types": ["authorization_code", "implicit"]},
        {"response_types": [], "grant_types": ["implicit"]},
        {"response_types": ["id_token"], "grant_types": ["implicit"], "redirect_uris": None},
        {"dpop_bound_access_tokens": True},
        {"tls_client_certificate_bound_access_tokens": True},
        {"redirect_uris": ["http://127.0.0.1/callback"]},
        {"redirect_uris": ["https://localhost/callback"]},
        {"redirect_uris": ["com.example.app:/callback"]},
    ],
    ids=str,
)
def test_metadata_that_contradicts_itself_is_refused(at: AuthServer, wrong: dict[str, Any]):
    with pytest.raises(InvalidMetadata):
        make(at, **wrong)


def test_a_native_client_may_be_on_this_machine(at: AuthServer, alice: User):
    native = make(at, application_type="native", redirect_uris=["http://127.0.0.1/callback"])
    assert "id_token" in fragment(ask(at, native, alice, "code id_token"))


def test_what_an_app_is_given_openly_is_asked_for_each_time(at: AuthServer, alice: User):
    """Another app may have taken the same redirect URI, and needs no secret for what comes there (RFC 8252 8.6)."""
    native = make(at, trusted=False, application_type="native", redirect_uris=["com.example.app:/callback"])
    browser = at.browser(alice)
    for response_type in ("code", "id_token"):
        request = at.request(native, response_type=response_type, nonce=NONCE)
        page = browser.visit_request(request)
        assert response_type in browser.allow(page).callback
    silent = browser.visit_request(at.request(native, response_type="id_token", nonce=NONCE, prompt="none"))
    assert refusal(silent) == "consent_required"


def test_a_client_of_bound_tokens_gets_none_here_9449_5(at: AuthServer, client: RegisteredClient, alice: User):
    bound = make(at, response_types=["code id_token"], dpop_bound_access_tokens=True)
    assert "code" in fragment(ask(at, bound, alice, "code id_token"))
    thumbprint = signing.key("p256").thumbprint()
    for response_type in WITH_TOKEN:
        assert refusal(ask(at, client, alice, response_type, dpop_jkt=thumbprint)) == "invalid_request"
    assert "id_token" in fragment(ask(at, client, alice, "code id_token", dpop_jkt=thumbprint))


def test_what_was_taken_from_the_client_while_the_user_was_asked_counts(at: AuthServer, alice: User):
    asking = make(at, trusted=False)
    browser = at.browser(alice)
    page = browser.visit_request(at.request(asking, response_type="code id_token token", nonce=NONCE))
    changes = {"response_types": ["code", "code id_token"], "dpop_bound_access_tokens": True}
    members = {**clients.existing(at.store, asking.client_id).metadata, **changes}
    known = at.server.registry.CLIENT_METADATA
    clients.update(at.store, at.sealer, asking.client_id, members, actor="test", members=known)
    at.server.forget()
    assert_shown(browser.allow(page), "invalid_client")


# Registration (Registration 2), and the switch.


def test_a_client_may_register_itself_for_them(at: AuthServer):
    answer = register(at, response_types=["id_token code", "code"], grant_types=["implicit", "authorization_code"])
    assert answer["response_types"] == ["code id_token", "code"]
    assert set(answer["grant_types"]) == {"authorization_code", "implicit"}
    kept = register(at, response_types=["code", "token", "none"], grant_types=["authorization_code", "implicit"])
    assert kept["response_types"] == ["code"]
    alone = {"redirect_uris": ["https://client.test/callback"], "response_types": ["token"]}
    assert_refused(post(at, alone), "invalid_client_metadata")


def test_switched_off_there_is_nothing_of_it(authserver: AuthServer):
    document = authserver.get("/.well-known/openid-configuration").json()
    assert document["response_types_supported"] == ["code"]
    assert "implicit" not in document["grant_types_supported"]
    with pytest.raises(InvalidMetadata):
        make(authserver)


def test_a_request_that_was_kept_when_it_was_switched_off_is_not_answered(at: AuthServer, alice: User):
    asking = make(at, trusted=False)
    browser = at.browser(alice)
    page = browser.visit_request(at.request(asking, response_type="id_token", nonce=NONCE))
    kept = at.server.response_types
    at.server.response_types = {"code": kept["code"]}
    try:
        assert_shown(browser.allow(page), "invalid_client")
    finally:
        at.server.response_types = kept
