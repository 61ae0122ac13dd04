"""Protected resources (RFC 8707)."""

from dataclasses import replace

import pytest

from authserver.records import Resource, Scope
from authserver.store import Conflict, Store
from tests.store.makers import EVENT, NOW

BOOKS = Resource("https://api.example/books", "Books", (Scope("books", "Read your books"),), "jwt", 300, "ES256")
KEY = {"alg": "ECDH-ES", "enc": "A256GCM", "jwks": {"keys": [{"kty": "EC"}]}}


@pytest.mark.usefixtures("still")
def test_a_resource_comes_back_as_it_was_added(store: Store):
    store.resources.add(BOOKS, EVENT)
    assert store.resources.get(BOOKS.identifier) == replace(BOOKS, created_at=NOW)
    assert store.resources.get(BOOKS.identifier + "/") is None
    with pytest.raises(Conflict):
        store.resources.add(BOOKS, EVENT)


def test_how_its_tokens_are_protected_is_kept_and_can_be_changed(store: Store):
    protected = replace(BOOKS, encryption=KEY, status_list=True)
    store.resources.add(protected, EVENT)
    found = store.resources.get(BOOKS.identifier)
    assert found is not None
    assert (found.encryption, found.status_list) == (KEY, True)
    store.resources.update(replace(protected, encryption=None, status_list=False), EVENT)
    found = store.resources.get(BOOKS.identifier)
    assert found is not None
    assert (found.encryption, found.status_list) == (None, False)


def test_a_resource_is_updated_and_deleted(store: Store):
    store.resources.add(BOOKS, EVENT)
    store.resources.add(replace(BOOKS, identifier="urn:other", access_token_seconds=None, signing_alg=None), EVENT)
    assert store.resources.update(replace(BOOKS, name="Library", scopes=()), EVENT)
    assert not store.resources.update(replace(BOOKS, identifier="urn:none"), EVENT)
    assert {resource.identifier: resource.name for resource in store.resources.all()} == {
        BOOKS.identifier: "Library",
        "urn:other": "Books",
    }
    assert store.resources.delete(BOOKS.identifier, EVENT)
    assert not store.resources.delete(BOOKS.identifier, EVENT)
    assert [resource.identifier for resource in store.resources.all()] == ["urn:other"]
