"""A new API joins with the document that it publishes about itself (RFC 9728)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from authserver.crypto import Sealer
from authserver.manage import clients, joining, resources
from authserver.manage.client_metadata import MEMBERS
from authserver.manage.errors import ManageError
from authserver.outbound import Outbound
from authserver.settings import Settings
from authserver.store import Store
from tests import encrypted
from tests.listener import Listener, says

ISSUER = "http://localhost:9000"


@pytest.fixture
def listener() -> Iterator[Listener]:
    """The API."""
    with Listener(says(b"")) as running:
        yield running


@pytest.fixture
def api(listener: Listener) -> str:
    """Its identifier."""
    return f"http://127.0.0.1:{listener.port}/things"


@pytest.fixture
def outbound(listener: Listener) -> Outbound:
    return Outbound(Settings(development=True, outbound_allow=(f"127.0.0.1:{listener.port}",)))


def _publish(listener: Listener, document: object, status: str = "200 OK", kind: str = "application/json") -> None:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    listener.answer = says(body, status, f"Content-Type: {kind}")


# 3.1: where it lies.


@pytest.mark.parametrize(
    ("identifier", "place"),
    [
        ("https://api.example", "https://api.example/.well-known/oauth-protected-resource"),
        ("https://api.example/", "https://api.example/.well-known/oauth-protected-resource"),
        ("https://api.example/a/", "https://api.example/.well-known/oauth-protected-resource/a/"),
        ("https://api.example:444/a?b=c", "https://api.example:444/.well-known/oauth-protected-resource/a?b=c"),
        ("https://api.example/?b=c", "https://api.example/.well-known/oauth-protected-resource?b=c"),
    ],
)
def test_the_well_known_part_goes_before_the_path_3_1(identifier: str, place: str):
    assert joining.place(identifier) == place


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "api",
        "urn:example:api",
        "ftp://api.example/",
        "https://",
        "https://api.example/#a",
        "https://a@api.example/",
    ],
)
def test_what_has_no_place_is_refused(identifier: str):
    with pytest.raises(ManageError, match="identifier"):
        joining.place(identifier)


# 3.2, 3.3: what is taken for the document.


def test_the_document_is_asked_for_once_and_as_json(listener: Listener, outbound: Outbound, api: str):
    _publish(listener, {"resource": api, "authorization_servers": ["https://other.example", ISSUER]})
    assert joining.fetch(outbound, api, ISSUER)["resource"] == api
    (head,) = listener.heads
    assert head.startswith(b"GET /.well-known/oauth-protected-resource/things HTTP/1.1\r\n")
    assert b"\r\nAccept: application/json\r\n" in head
    assert b"authorization" not in head.lower()


def test_a_document_need_not_name_its_authorization_servers_2(listener: Listener, outbound: Outbound, api: str):
    _publish(listener, {"resource": api, "signed_metadata": "not looked at", "unknown": [1]})
    assert joining.fetch(outbound, api, ISSUER)["resource"] == api


@pytest.mark.parametrize(
    "members",
    [
        {"resource": None},
        {"resource": "http://127.0.0.1/things"},
        {"resource": ["x"]},
        {"authorization_servers": ["https://other.example"]},
        {"authorization_servers": []},
        {"authorization_servers": ISSUER},
        {"authorization_servers": [ISSUER + "/"]},
        {"authorization_servers": None},
        {"authorization_servers": {ISSUER: 1}},
    ],
    ids=repr,
)
def test_the_document_of_another_resource_or_for_other_issuers_is_not_used_3_3(
    listener: Listener, outbound: Outbound, api: str, members: dict[str, Any]
):
    _publish(listener, {"resource": api, "authorization_servers": [ISSUER], **members})
    with pytest.raises(ManageError):
        joining.fetch(outbound, api, ISSUER)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b"\xff",
        b'{"resource": 1, "resource": 2}',
        b"[" * 5000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_object_is_no_document(listener: Listener, outbound: Outbound, api: str, body: bytes):
    _publish(listener, body)
    with pytest.raises(ManageError, match="not a JSON object"):
        joining.fetch(outbound, api, ISSUER)


@pytest.mark.parametrize("kind", ["text/html", "application/jose", "text/plain; charset=application/json", ""])
def test_another_media_type_is_no_document_3_2(listener: Listener, outbound: Outbound, api: str, kind: str):
    _publish(listener, {"resource": api}, kind=kind)
    with pytest.raises(ManageError, match="application/json"):
        joining.fetch(outbound, api, ISSUER)


def test_redirects_errors_and_too_much_are_no_document(listener: Listener, outbound: Outbound, api: str):
    for status in ("302 Found", "404 Not Found", "500 Oops", "204 No Content"):
        _publish(listener, {"resource": api}, status)
        with pytest.raises(ManageError, match="not to be had"):
            joining.fetch(outbound, api, ISSUER)
    _publish(listener, {"resource": api, "padding": "x" * joining.MAX_BYTES})
    with pytest.raises(ManageError, match="too large"):
        joining.fetch(outbound, api, ISSUER)


def test_an_address_inside_is_not_asked_unless_the_settings_allow_it(listener: Listener, api: str):
    closed = Outbound(Settings(development=True))
    for identifier in (api, f"https://127.0.0.1:{listener.port}/things", f"https://localhost:{listener.port}/things"):
        with pytest.raises(ManageError, match="not to be had"):
            joining.fetch(closed, identifier, ISSUER)
    assert listener.connections == 0


# 2: what it proposes.


def test_name_and_scopes_become_the_resource(store: Store):
    document = {
        "resource": "https://api.example/",
        "resource_name": "Things",
        "resource_name#de": "Dinge",
        "scopes_supported": ["things:read", "openid", "things:write", "offline_access", "things:read"],
        "dpop_bound_access_tokens_required": True,
        "bearer_methods_supported": ["header"],
    }
    added = resources.add(store, joining.members(document, {"things:read": "See your things"}), actor="test")
    assert (added.identifier, added.name) == ("https://api.example/", "Things")
    assert resources.describe(added)["scopes"] == {"things:read": "See your things", "things:write": "things:write"}


def test_a_document_that_says_nothing_makes_a_resource_of_that_name():
    made = resources.make_resource(joining.members({"resource": "https://api.example/"}, {}))
    assert (made.name, made.scopes, made.token_format) == ("https://api.example/", (), "opaque")


@pytest.mark.parametrize(
    "members",
    [
        {"scopes_supported": "a b"},
        {"scopes_supported": [1]},
        {"scopes_supported": ["a b"]},
        {"scopes_supported": ['a"b']},
        {"scopes_supported": [f"s{number}" for number in range(201)]},
        {"resource_name": 1},
        {"resource_name": "\N{RIGHT-TO-LEFT OVERRIDE}evil"},
        {"resource_name": "x" * 513},
        {"resource_name": "\N{HANGUL FILLER}"},
    ],
    ids=lambda members: repr(members)[:40],
)
def test_what_cannot_be_a_resource_is_refused(members: dict[str, Any]):
    with pytest.raises(ManageError):
        resources.make_resource(joining.members({"resource": "https://api.example/", **members}, {}))


def test_a_sentence_for_a_scope_that_the_document_does_not_name_is_a_mistake():
    with pytest.raises(ManageError, match="things:delete"):
        joining.members({"resource": "https://api.example/", "scopes_supported": ["a"]}, {"things:delete": "Delete"})


# 2, jwks_uri: the key to encrypt to.


def test_the_key_for_encryption_is_taken_from_the_published_set(listener: Listener, outbound: Outbound):
    document = {"jwks_uri": f"http://127.0.0.1:{listener.port}/jwks"}
    keys = [encrypted.jwk("p256", use="sig", kid="signs"), encrypted.jwk("rsa"), encrypted.jwk("p256_other")]
    _publish(listener, {"keys": keys})
    found = joining.encryption(outbound, document, "ECDH-ES", "A256GCM")
    assert found["jwks"]["keys"][0]["kid"] == "p256_other-enc"
    made = resources.make_resource({"identifier": "https://api.example/", "token_format": "jwt", "encryption": found})
    assert made.encryption == found


@pytest.mark.parametrize(
    "keys",
    [[], [encrypted.jwk("p256", use="sig")], [encrypted.jwk("rsa")], [{**encrypted.jwk("p256"), "d": "A" * 43}], 5],
)
def test_without_a_key_that_fits_there_is_no_encryption(listener: Listener, outbound: Outbound, keys: Any):
    _publish(listener, {"keys": keys})
    with pytest.raises(ManageError, match="publishes no key"):
        joining.encryption(outbound, {"jwks_uri": f"http://127.0.0.1:{listener.port}/jwks"}, "ECDH-ES", "A256GCM")


@pytest.mark.parametrize("uri", [None, 1, "http://127.0.0.1:1/", "file:///etc/passwd", "https://127.0.0.1/", "x"])
def test_keys_come_through_the_guard_too(outbound: Outbound, uri: Any):
    with pytest.raises(ManageError):
        joining.encryption(outbound, {"jwks_uri": uri}, "ECDH-ES", "A256GCM")


# The client of the API.


def test_the_client_of_the_api_may_introspect_and_nothing_else(store: Store, sealer: Sealer):
    given = {"identifier": "https://api.example/", "name": "Things"}
    answer = joining.add_with_client(store, sealer, given, actor="test", known=MEMBERS)
    assert answer["resource"]["introspection_clients"] == [answer["client"]["client_id"]]
    assert len(answer["client"]["client_secret"]) > 40
    client = clients.existing(store, answer["client"]["client_id"])
    assert (client.client_name, client.grant_types, client.response_types) == ("Things", frozenset(), frozenset())
    assert client.resource_server_for == {"https://api.example/"}
    with pytest.raises(ManageError, match="already"):
        joining.add_with_client(store, sealer, given, actor="test", known=MEMBERS)
    assert len(store.clients.all()) == 1
