"""Protected resources and their scopes (RFC 8707)."""

from typing import Any

import pytest

from authserver.crypto import Sealer
from authserver.manage import clients, resources
from authserver.manage.changes import alone, version_of
from authserver.manage.errors import ChangedMeanwhile, ManageError, OutOfDate
from authserver.store import Store
from authserver.store.clients import make_client
from tests import encrypted

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


def test_what_was_changed_since_it_was_seen_is_neither_replaced_nor_removed(store: Store, sealer: Sealer):
    """Whoever changed it, and by whatever way: also who may introspect belongs to what was seen."""
    _client(store, sealer, "one")
    first = resources.add(store, {"identifier": API}, actor="test")
    seen = version_of(resources.described(store, first))
    resources.update(store, {"identifier": API, "name": "New"}, actor="somebody else")
    for change in (
        lambda version: resources.update(store, {"identifier": API}, actor="test", version=version),
        lambda version: resources.remove(store, API, actor="test", version=version),
    ):
        with pytest.raises(OutOfDate):
            change(seen)
    now_seen = version_of(resources.described(store, resources.existing(store, API)))
    clients.serve(store, "one", API, actor="somebody else")
    with pytest.raises(OutOfDate):
        resources.remove(store, API, actor="test", version=now_seen)
    last_seen = version_of(resources.described(store, resources.existing(store, API)))
    resources.remove(store, API, actor="test", version=last_seen)


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
        {"identifier": API, "name": "\N{HANGUL FILLER}"},
        {"identifier": API, "scopes": {"a": "\N{BRAILLE PATTERN BLANK}"}},
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


# Encryption (RFC 9068 4).

SEALED = {"alg": "ECDH-ES", "enc": "A128CBC-HS256", "jwks": {"keys": [encrypted.jwk("p256")]}}


def test_tokens_are_encrypted_to_the_key_of_the_resource(store: Store):
    resources.add(store, {"identifier": API, "token_format": "jwt", "encryption": SEALED}, actor="test")
    assert resources.describe(resources.existing(store, API))["encryption"] == SEALED
    resources.update(store, {"identifier": API, "token_format": "jwt"}, actor="test")
    assert resources.existing(store, API).encryption is None


def test_the_method_may_be_left_out_and_members_of_the_set_are_dropped(store: Store):
    given = {"alg": "RSA-OAEP-256", "jwks": {"keys": [encrypted.jwk("rsa", kid="")], "extra": 1}}
    added = resources.add(store, {"identifier": API, "token_format": "jwt", "encryption": given}, actor="test")
    wanted = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "jwks": {"keys": [encrypted.jwk("rsa", kid="")]}}
    assert added.encryption == wanted


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "RSA-OAEP-256"},
        {"alg": "RSA1_5"},
        {"alg": "dir"},
        {"alg": None},
        {"alg": ["ECDH-ES"]},
        {"enc": "none"},
        {"enc": {}},
        {"jwks": None},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        {"jwks": {"keys": [{**encrypted.jwk("p256"), "d": "A" * 43}]}},
        {"jwks": {"keys": [encrypted.jwk("p256", use="sig")]}},
        {"jwks": {"keys": [encrypted.jwk("ed25519")]}},
        {"jwks": {"keys": [{**encrypted.jwk("p256"), "x": "A" * 43}]}},
        {"jwks": {"keys": [{**encrypted.jwk("p256"), "key_ops": ["verify"]}]}},
        {"jwks_uri": "https://api.example/jwks"},
    ],
    ids=repr,
)
def test_what_cannot_be_encrypted_to_is_refused(store: Store, change: dict[str, Any]):
    given = {name: value for name, value in {**SEALED, **change}.items() if value is not None}
    with pytest.raises(ManageError):
        resources.add(store, {"identifier": API, "token_format": "jwt", "encryption": given}, actor="test")
    assert store.resources.all() == ()


@pytest.mark.parametrize("given", [{"encryption": SEALED}, {"token_format": "jwt", "encryption": "yes"}])
def test_encryption_is_for_jwts_and_an_object(given: dict[str, Any]):
    with pytest.raises(ManageError, match="encryption"):
        resources.make_resource({"identifier": API, **given})


def test_a_status_list_is_wanted_or_not():
    assert resources.make_resource({"identifier": API, "status_list": True}).status_list is True
    assert resources.make_resource({"identifier": API}).status_list is False
    with pytest.raises(ManageError, match="status_list"):
        resources.make_resource({"identifier": API, "status_list": 1})


# Who may introspect: written with the client, said from the resource's side.


def _client(store: Store, sealer: Sealer, client_id: str, **members: Any) -> str:
    metadata = {"client_id": client_id, "grant_types": [], **members}
    clients.register(store, sealer, metadata, actor="test")
    return client_id


def _serves(store: Store, client_id: str) -> list[str]:
    return list(clients.existing(store, client_id).metadata.get("resource_server_for", []))


def test_the_right_to_introspect_is_given_with_the_resource_and_goes_with_it(store: Store, sealer: Sealer):
    for name in ("one", "two"):
        _client(store, sealer, name, resource_server_for=["https://before.example/"])
    added = resources.add(store, {"identifier": API, "introspection_clients": ["one", "two", "one"]}, actor="test")
    assert resources.described(store, added)["introspection_clients"] == ["one", "two"]
    assert clients.existing(store, "one").resource_server_for == {"https://before.example/", API}
    resources.remove(store, API, actor="test")
    assert _serves(store, "one") == _serves(store, "two") == ["https://before.example/"]
    # Whoever adds it again gives nothing to those of before.
    assert resources.described(store, resources.add(store, {"identifier": API}, actor="test")) == {
        **resources.describe(resources.existing(store, API)),
        "introspection_clients": [],
    }


def test_an_update_says_who_introspects_or_leaves_it(store: Store, sealer: Sealer):
    for name in ("one", "two"):
        _client(store, sealer, name)
    resources.add(store, {"identifier": API, "introspection_clients": ["one"]}, actor="test")
    resources.update(store, {"identifier": API, "name": "New"}, actor="test")
    assert resources.introspection_clients(store, API) == ("one",)
    resources.update(store, {"identifier": API, "introspection_clients": ["two"]}, actor="test")
    assert resources.introspection_clients(store, API) == ("two",)
    assert _serves(store, "one") == []
    resources.update(store, {"identifier": API, "introspection_clients": []}, actor="test")
    assert resources.introspection_clients(store, API) == ()


def test_a_client_keeps_its_secrets_and_all_else_when_it_gets_the_right(store: Store, sealer: Sealer):
    _client(store, sealer, "one", client_name="One", introspects_all=True)
    before = clients.existing(store, "one")
    resources.add(store, {"identifier": API, "introspection_clients": ["one"]}, actor="test")
    after = clients.existing(store, "one")
    assert after.secrets == before.secrets
    assert {**before.metadata, "resource_server_for": [API]} == after.metadata
    changes = [line.event for line in store.audit.list(0, 100, "client.updated")]
    assert [(event.client_id, event.facts["resource"], event.facts["serves"]) for event in changes] == [
        ("one", API, True)
    ]


def test_a_client_without_credentials_or_of_a_document_never_introspects(store: Store, sealer: Sealer):
    callback = {"grant_types": ["authorization_code"], "redirect_uris": ["https://client.example/"]}
    _client(store, sealer, "public", token_endpoint_auth_method="none", **callback)
    described = make_client("https://client.example/id", dict(callback), origin="document", created_at=1)
    store.clients.keep_document(described)
    for wrong in (["public"], ["https://client.example/id"], ["nobody"], "one", [1], [["one"]], ["x"] * 51, None):
        with pytest.raises(ManageError):
            resources.add(store, {"identifier": API, "introspection_clients": wrong}, actor="test")
    assert store.resources.all() == ()


def test_nobody_gets_a_right_to_what_is_being_removed(store: Store, sealer: Sealer):
    _client(store, sealer, "one")
    resources.add(store, {"identifier": API}, actor="test")
    with alone(store, "resource-change", API):
        for change in (
            lambda: resources.update(store, {"identifier": API, "introspection_clients": ["one"]}, actor="test"),
            lambda: resources.remove(store, API, actor="test"),
        ):
            with pytest.raises(ChangedMeanwhile):
                change()
    assert resources.introspection_clients(store, API) == ()


def test_a_client_serves_a_bounded_number_of_resources(store: Store, sealer: Sealer):
    many = [f"https://api.example/{number}" for number in range(50)]
    _client(store, sealer, "one", resource_server_for=many)
    with pytest.raises(ManageError, match="at most 50"):
        clients.serve(store, "one", API, actor="test")
    with pytest.raises(ManageError, match="at most 50"):
        resources.add(store, {"identifier": API, "introspection_clients": ["one"]}, actor="test")
    assert store.resources.all() == ()
    clients.serve(store, "one", many[0], serves=False, actor="test")
    clients.serve(store, "one", API, actor="test")
    assert len(_serves(store, "one")) == 50
