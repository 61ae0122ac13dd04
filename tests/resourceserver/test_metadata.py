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
