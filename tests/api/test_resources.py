"""Protected resources over the management API."""

from typing import Any

import pytest
from joserfc.jwk import RSAKey

from authserver.records import Event
from pytest_authserver import AuthServer
from tests.api.conftest import Manager, managing_client, resource_of
from tests.signing import pem
from tests.world import assert_refused

NOTES = "https://notes.test/"


@pytest.fixture
def notes(manager: Manager) -> Any:
    """A resource that was added over the API, and is taken away again."""
    yield manager.good("POST", "/resources", identifier=NOTES, name="Notes", scopes={"notes:read": "Read your notes"})
    manager("DELETE", "/resource", {"identifier": NOTES})


def _read(manager: Manager, identifier: str = NOTES) -> tuple[dict[str, Any], dict[str, str]]:
    answer = manager("GET", "/resource", {"identifier": identifier})
    assert answer.status_code == 200, answer.text
    return answer.json(), {"If-Match": answer.headers["etag"]}


def test_a_new_resource_has_tokens_at_once_here_and_within_a_second_elsewhere(
    authserver: AuthServer, node: AuthServer, manager: Manager, notes: dict[str, Any]
):
    assert notes["scopes"] == {"notes:read": "Read your notes"}
    service = authserver.client(grant_types=["client_credentials"], scope="notes:read", redirect_uris=None)
    asked = {"grant_type": "client_credentials", "resource": NOTES}
    assert authserver.token(service, **asked).status_code == 200
    with authserver.later(1):
        assert node.token(service, **asked).status_code == 200
    assert manager("DELETE", "/resource", {"identifier": NOTES}).status_code == 204
    assert_refused(authserver.token(service, **asked), "invalid_target")
    with authserver.later(3):
        assert_refused(node.token(service, **asked), "invalid_target")


def test_what_is_read_can_be_sent_back_changed(manager: Manager, notes: dict[str, Any]):
    shown, version = _read(manager)
    assert shown["identifier"] == notes["identifier"]
    changed = {**shown, "token_format": "jwt"}
    answer = manager("PUT", "/resource", {"identifier": NOTES}, json=changed, headers=version)
    assert answer.json() == changed
    lost = manager("PUT", "/resource", {"identifier": NOTES}, json=shown, headers=version)
    assert_refused(lost, "precondition_failed", 412)
    assert _read(manager)[0]["token_format"] == "jwt"


def test_a_replacement_names_the_version_and_keeps_the_identifier(manager: Manager, notes: dict[str, Any]):
    shown, version = _read(manager)
    name = {"identifier": NOTES}
    assert_refused(manager("PUT", "/resource", name, json=shown), "precondition_required", 428)
    other = {**shown, "identifier": "https://other.test/"}
    assert_refused(manager("PUT", "/resource", name, json=other, headers=version), "invalid_request")
    assert notes["identifier"] == NOTES


def test_adding_twice_is_a_conflict_and_what_is_not_there_is_not_found(manager: Manager, notes: dict[str, Any]):
    assert_refused(manager("POST", "/resources", identifier=notes["identifier"]), "conflict", 409)
    missing = {"identifier": "https://nothing.test/"}
    assert_refused(manager("GET", "/resource", missing), "not_found", 404)
    assert_refused(manager("DELETE", "/resource", missing), "not_found", 404)
    assert_refused(manager("PUT", "/resource", missing, json={}, headers={"If-Match": '"x"'}), "not_found", 404)


def test_the_api_itself_is_nobodys_to_change(authserver: AuthServer, manager: Manager):
    own = resource_of(authserver)
    assert_refused(manager("POST", "/resources", identifier=own, scopes={"x": "y"}), "conflict", 409)
    answer = manager("PUT", "/resource", {"identifier": own}, json={}, headers={"If-Match": '"x"'})
    assert_refused(answer, "conflict", 409)
    # Nor does a row that was there before the API was switched on.
    authserver.resource(own, "manage:surprise")
    assert Manager(authserver)("GET", "/clients").status_code == 200
    authserver.store.resources.delete(own, Event("resource.removed"))


def test_who_may_introspect_is_the_business_of_those_who_manage_clients(authserver: AuthServer, notes: dict[str, Any]):
    guard = authserver.client(grant_types=["client_credentials"], redirect_uris=None)
    sent = {"identifier": "https://guarded.test/", "introspection_clients": [guard.client_id]}
    assert_refused(Manager(authserver, "manage:resources")("POST", "/resources", **sent), "access_denied", 403)
    both = Manager(authserver, "manage:resources manage:clients")
    assert both("POST", "/resources", **sent).status_code == 201
    assert _read(both, "https://guarded.test/")[0]["introspection_clients"] == [guard.client_id]
    assert both("DELETE", "/resource", {"identifier": "https://guarded.test/"}).status_code == 204
    assert notes["identifier"] == NOTES


def test_a_client_with_more_power_is_touched_from_this_side_neither(authserver: AuthServer, manager: Manager):
    strong, weak = managing_client(authserver), Manager(authserver, "manage:resources manage:clients")
    name = {"identifier": "https://strong.test/"}
    given = {**name, "introspection_clients": [strong.client_id]}
    assert_refused(weak("POST", "/resources", **given), "access_denied", 403)
    manager.good("POST", "/resources", **given)
    shown, version = _read(weak, "https://strong.test/")
    taken = {**shown, "introspection_clients": []}
    assert_refused(weak("PUT", "/resource", name, json=taken, headers=version), "access_denied", 403)
    # What stays as it is touches nobody.
    renamed = weak("PUT", "/resource", name, json={**shown, "name": "Strong"}, headers=version)
    assert renamed.json()["introspection_clients"] == [strong.client_id]
    manager.good("DELETE", "/resource", name)


def test_a_deletion_may_name_the_version_and_any_is_any(manager: Manager):
    name = {"identifier": "https://deleted.test/"}
    for headers, status in (({"If-Match": '"x"'}, 412), ({"If-Match": "*"}, 204), ({"If-Match": "*"}, 404)):
        if status == 412:
            manager.good("POST", "/resources", **name)
        assert manager("DELETE", "/resource", name, headers=headers).status_code == status


@pytest.mark.parametrize(
    "members",
    [
        {"identifier": "notes"},
        {"identifier": 5},
        {"identifier": "https://a.test/#x"},
        {"identifier": "https://a.test/\0"},
        {"identifier": NOTES, "surprise": 1},
        {"identifier": NOTES, "scopes": ["a"]},
        {"identifier": NOTES, "scopes": {"a b": "c"}},
        {"identifier": NOTES, "name": "\u202e"},
        {"identifier": NOTES, "token_format": []},
        {"identifier": NOTES, "access_token_seconds": 10**40},
        {"identifier": NOTES, "access_token_seconds": True},
        {"identifier": NOTES, "signing_alg": "none"},
        {"identifier": NOTES, "status_list": 1},
        {"identifier": NOTES, "introspection_clients": "x"},
        {"identifier": NOTES, "introspection_clients": [5]},
        {"identifier": NOTES, "introspection_clients": [["x"], {}]},
        {"identifier": NOTES, "introspection_clients": {"x": 1}},
        {"identifier": ["x"], "introspection_clients": ["x"]},
        {"identifier": NOTES, "encryption": {"alg": [], "jwks": {}}},
        {"identifier": NOTES, "token_format": "jwt", "encryption": {"alg": "RSA-OAEP-256", "jwks": {"keys": [5]}}},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(manager: Manager, members: dict[str, Any]):
    answer = manager("POST", "/resources", json=members)
    assert answer.json()["error"] in {"invalid_request", "invalid_client_metadata"}
    assert_refused(answer, answer.json()["error"])
    assert "surprise" not in answer.text


def test_a_private_key_is_not_taken_for_a_public_one(manager: Manager):
    private = RSAKey.import_key(pem("rsa")).as_dict(private=True)
    sent = {"alg": "RSA-OAEP-256", "jwks": {"keys": [private]}}
    answer = manager("POST", "/resources", identifier=NOTES, token_format="jwt", encryption=sent)
    assert_refused(answer, "invalid_client_metadata")
