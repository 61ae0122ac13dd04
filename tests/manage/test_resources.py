"""Protected resources and their scopes (RFC 8707)."""

from typing import Any

import pytest

from authserver.manage import resources
from authserver.manage.errors import ManageError
from authserver.store import Store

API = "https://api.example/"


def test_a_resource_is_added_once_and_shown(store: Store):
    given = {"identifier": API, "name": "Api", "scopes": {"a:read": "Read it"}, "token_format": "jwt"}
    added = resources.add(store, given, actor="test")
    assert added.scope_names == {"a:read"}
    shown = resources.describe(resources.existing(store, API))
    assert (shown["name"], shown["scopes"], shown["token_format"]) == ("Api", {"a:read": "Read it"}, "jwt")
    with pytest.raises(ManageError, match="registered already"):
        resources.add(store, given, actor="test")


def test_scopes_may_be_a_list_of_records(store: Store):
    given = {"identifier": API, "scopes": [{"name": "a", "description": "Do a"}, {"name": "b"}]}
    shown = resources.describe(resources.add(store, given, actor="test"))
    assert shown["scopes"] == {"a": "Do a", "b": "b"}


def test_everything_but_the_identifier_can_be_changed(store: Store):
    resources.add(store, {"identifier": API}, actor="test")
    resources.update(store, {"identifier": API, "name": "New"}, actor="test")
    assert resources.existing(store, API).name == "New"
    with pytest.raises(ManageError, match="no resource"):
        resources.update(store, {"identifier": "urn:other"}, actor="test")


def test_a_removed_resource_is_gone(store: Store):
    resources.add(store, {"identifier": API}, actor="test")
    resources.remove(store, API, actor="test")
    for action in (lambda: resources.existing(store, API), lambda: resources.remove(store, API, actor="test")):
        with pytest.raises(ManageError, match="no resource"):
            action()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"identifier": "api"},
        {"identifier": API + "#x"},
        {"identifier": 1},
        {"identifier": API, "extra": 1},
        {"identifier": API, "name": ""},
        {"identifier": API, "name": "a\nb"},
        {"identifier": API, "token_format": "xml"},
        {"identifier": API, "access_token_seconds": 0},
        {"identifier": API, "access_token_seconds": True},
        {"identifier": API, "access_token_seconds": "60"},
        {"identifier": API, "signing_alg": "HS256"},
        {"identifier": API, "scopes": "a b"},
        {"identifier": API, "scopes": {"a b": "x"}},
        {"identifier": API, "scopes": {"": "x"}},
        {"identifier": API, "scopes": {"a": ""}},
        {"identifier": API, "scopes": {"a": None}},
        {"identifier": API, "scopes": {"openid": "x"}},
        {"identifier": API, "scopes": [{"name": "a"}, {"name": "a"}]},
        {"identifier": API, "scopes": [{"nom": "a"}]},
        {"identifier": API, "scopes": ["a"]},
    ],
    ids=repr,
)
def test_what_is_not_valid_is_refused(store: Store, given: dict[str, Any]):
    with pytest.raises(ManageError):
        resources.add(store, given, actor="test")
    assert store.resources.all() == ()
