"""Config OP: what is announced is true, complete and well-formed (OpenID Connect Discovery 1.0, 3 and 4)."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from pytest_authserver import AuthServer

# Registered by the IANA for OAuth Authorization Server Metadata: a document of ours names no others but those below.
REQUIRED = {
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
}
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
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
    names = [key["kid"] for key in keys]
    assert len(set(names)) == len(names)
    assert all({"d", "p", "q", "dp", "dq", "qi", "k"}.isdisjoint(key) for key in keys)
    assert {key["kty"] for key in keys} <= {"RSA", "EC", "OKP"}
    signing = {key["alg"] for key in keys if key["use"] == "sig"}
    assert "RS256" in signing
