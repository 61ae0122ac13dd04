"""Config OP: what is announced is true, complete and well-formed (OpenID Connect Discovery 1.0, 3 and 4)."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from pytest_authserver import AuthServer
from tests.openid.party import assert_key_set

# Of the registry "OAuth Authorization Server Metadata" of the IANA (RFC 8414 7.1), what a provider may announce.
REGISTERED = """
    issuer authorization_endpoint token_endpoint jwks_uri registration_endpoint scopes_supported
    response_types_supported response_modes_supported grant_types_supported token_endpoint_auth_methods_supported
    token_endpoint_auth_signing_alg_values_supported service_documentation ui_locales_supported op_policy_uri
    op_tos_uri revocation_endpoint revocation_endpoint_auth_methods_supported
    revocation_endpoint_auth_signing_alg_values_supported introspection_endpoint
    introspection_endpoint_auth_methods_supported introspection_endpoint_auth_signing_alg_values_supported
    code_challenge_methods_supported signed_metadata device_authorization_endpoint
    tls_client_certificate_bound_access_tokens mtls_endpoint_aliases userinfo_endpoint acr_values_supported
    subject_types_supported id_token_signing_alg_values_supported id_token_encryption_alg_values_supported
    id_token_encryption_enc_values_supported userinfo_signing_alg_values_supported
    userinfo_encryption_alg_values_supported userinfo_encryption_enc_values_supported
    request_object_signing_alg_values_supported request_object_encryption_alg_values_supported
    request_object_encryption_enc_values_supported display_values_supported claim_types_supported claims_supported
    claims_locales_supported claims_parameter_supported request_parameter_supported request_uri_parameter_supported
    require_request_uri_registration require_signed_request_object pushed_authorization_request_endpoint
    require_pushed_authorization_requests introspection_signing_alg_values_supported
    introspection_encryption_alg_values_supported introspection_encryption_enc_values_supported
    authorization_response_iss_parameter_supported check_session_iframe frontchannel_logout_supported
    frontchannel_logout_session_supported backchannel_logout_supported backchannel_logout_session_supported
    end_session_endpoint backchannel_token_delivery_modes_supported backchannel_authentication_endpoint
    backchannel_authentication_request_signing_alg_values_supported backchannel_user_code_parameter_supported
    authorization_details_types_supported dpop_signing_alg_values_supported protected_resources
    authorization_signing_alg_values_supported authorization_encryption_alg_values_supported
    authorization_encryption_enc_values_supported prompt_values_supported
"""
REQUIRED = {
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
}
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?")
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@pytest.fixture(scope="module")
def document(provider: AuthServer) -> dict[str, Any]:
    answer = provider.get("/.well-known/openid-configuration")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = answer.json()
    return found


# OIDCCDiscoveryEndpointVerification
def test_the_issuer_is_where_the_document_is(provider: AuthServer, document: dict[str, Any]):
    assert document["issuer"] == provider.issuer
    parts = urlsplit(document["issuer"])
    assert (parts.scheme, parts.query, parts.fragment) == ("https", "", "")


def test_nothing_is_announced_under_a_name_that_nobody_has_registered(document: dict[str, Any]):
    assert document.keys() - set(REGISTERED.split()) == set()


def test_what_has_to_be_announced_is(document: dict[str, Any]):
    assert document.keys() >= REQUIRED
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert "code" in document["response_types_supported"]
    assert {"public", "pairwise"} == set(document["subject_types_supported"])
    assert {"authorization_code", "refresh_token"} <= set(document["grant_types_supported"])
    assert {"client_secret_basic", "client_secret_post", "private_key_jwt"} <= set(
        document["token_endpoint_auth_methods_supported"]
    )
    assert {"query", "fragment", "form_post"} <= set(document["response_modes_supported"])
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert {"none", "login", "consent", "select_account"} == set(document["prompt_values_supported"])


def test_every_address_is_an_https_url_of_this_provider(provider: AuthServer, document: dict[str, Any]):
    addresses = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri", "_iframe"))}
    assert len(addresses) > 8
    assert all(value.startswith(f"{provider.issuer}/") for value in addresses.values())
    assert "http://" not in json.dumps(document)


def test_every_member_has_the_right_type(document: dict[str, Any]):
    for name, value in document.items():
        if name.endswith("_supported") and isinstance(value, list):
            assert value
            assert len(set(value)) == len(value)
            assert all(isinstance(entry, str) and entry for entry in value)
        elif name.endswith("_supported"):
            assert isinstance(value, bool), name
    assert document["request_parameter_supported"] is True
    assert document["claims_parameter_supported"] is True
    assert isinstance(document["require_request_uri_registration"], bool)


def test_scopes_claims_and_locales_are_well_formed(document: dict[str, Any]):
    assert {"openid", "profile", "email", "address", "phone", "offline_access"} <= set(document["scopes_supported"])
    assert all(SCOPE.fullmatch(scope) for scope in document["scopes_supported"])
    assert {"sub", "name", "email", "address", "phone_number", "updated_at"} <= set(document["claims_supported"])
    assert all(LANGUAGE.fullmatch(locale) for locale in document["ui_locales_supported"])


def test_signed_requests_can_be_signed_by_rs256(document: dict[str, Any]):
    algorithms = document["request_object_signing_alg_values_supported"]
    assert "RS256" in algorithms
    assert "none" not in algorithms


def test_the_keys_have_distinct_names_and_no_secrets(provider: AuthServer, document: dict[str, Any]):
    keys = provider.get(document["jwks_uri"].removeprefix(provider.issuer)).json()["keys"]
    assert_key_set(provider)
    signing = {key["alg"] for key in keys if key["use"] == "sig"}
    assert "RS256" in signing
