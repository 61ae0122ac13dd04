import json

import pytest

from resourceserver.metadata import metadata_document, metadata_url


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("https://api.example", "https://api.example/.well-known/oauth-protected-resource"),
        ("https://api.example/", "https://api.example/.well-known/oauth-protected-resource"),
        ("https://api.example/a/b", "https://api.example/.well-known/oauth-protected-resource/a/b"),
        ("https://api.example:444/a?x=1", "https://api.example:444/.well-known/oauth-protected-resource/a?x=1"),
        ("http://localhost:9001/notes", "http://localhost:9001/.well-known/oauth-protected-resource/notes"),
    ],
)
def test_the_well_known_part_goes_before_the_path(resource: str, url: str) -> None:
    # RFC 9728 3.1
    assert metadata_url(resource) == url


@pytest.mark.parametrize("resource", ["http://api.example/a", "https://api.example/a#b", "urn:example:api", "api"])
def test_a_resource_that_cannot_have_a_document_is_refused(resource: str) -> None:
    with pytest.raises(ValueError):
        metadata_url(resource)


def test_the_document_names_resource_issuer_scopes_and_the_header_as_only_method() -> None:
    assert json.loads(metadata_document("https://api.example/a", "https://as.example", ("read",), "Things")) == {
        "resource": "https://api.example/a",
        "authorization_servers": ["https://as.example"],
        "scopes_supported": ["read"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Things",
    }


def test_the_document_says_whatever_else_there_is_to_say_and_leaves_out_empty_lists() -> None:
    # RFC 9728 2, 2.1, 3.2
    more = {
        "jwks_uri": "https://api.example/jwks",
        "resource_name#de": "Dinge",
        "resource_documentation": "https://api.example/docs",
        "resource_documentation#de": "https://api.example/doku",
        "resource_policy_uri": "https://api.example/policy",
        "resource_tos_uri": "https://api.example/terms",
        "authorization_details_types_supported": ["payment"],
        "resource_signing_alg_values_supported": ["ES256"],
    }
    binding = {"dpop_signing_alg_values_supported": []}
    document = json.loads(metadata_document("https://api.example/a", "https://as.example", (), "Things", binding, more))
    assert document == {
        "resource": "https://api.example/a",
        "authorization_servers": ["https://as.example"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Things",
        **more,
    }


@pytest.mark.parametrize(
    "more",
    [
        {"jwks_uri": "http://api.example/jwks"},
        {"jwks_uri": None},
        {"jwks_uri#de": "https://api.example/jwks"},
        {"resource_documentation": "javascript:alert(1)"},
        {"resource_name": "Other"},
        {"resource_name#": "Other"},
        {"resource": "https://other.example"},
        {"authorization_servers": ["https://evil.example"]},
        {"signed_metadata": "a.b.c"},
        {"authorization_details_types_supported": "payment"},
        {"resource_signing_alg_values_supported": ["none"]},
        {"anything": 1},
    ],
    ids=repr,
)
def test_nothing_else_is_said(more: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        metadata_document("https://api.example/a", "https://as.example", (), "Things", more=more)
