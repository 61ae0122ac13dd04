"""Clients over the management API."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from authserver.crypto import Kind
from authserver.manage import clients
from pytest_authserver import AuthServer, RegisteredClient
from tests.api.conftest import EVERYTHING, Manager, managing_client, resource_of
from tests.world import assert_refused

METADATA = {"client_name": "Album", "redirect_uris": ["https://client.test/callback"], "scope": "openid profile"}


@pytest.fixture
def added(manager: Manager) -> dict[str, Any]:
    """A client that was registered over the API."""
    answer: dict[str, Any] = manager.good("POST", "/clients", **METADATA)
    return answer


def _read(manager: Manager, client_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a client and the header of a change of it."""
    answer = manager("GET", "/client", {"client_id": client_id})
    assert answer.status_code == 200, answer.text
    return answer.json(), {"If-Match": answer.headers["etag"]}


def test_a_client_is_registered_and_its_secret_shown_this_once(
    authserver: AuthServer, manager: Manager, added: dict[str, Any]
):
    secret = added["client_secret"]
    assert secret.startswith(Kind.SECRET.prefix)
    client = RegisteredClient(added["client_id"], secret, METADATA["redirect_uris"][0], added)
    # The secret is good: what is wrong is only the code.
    refused = authserver.token(client, grant_type="authorization_code", code="x", redirect_uri=client.redirect_uri)
    assert_refused(refused, "invalid_grant")
    shown, _ = _read(manager, client.client_id)
    assert shown["metadata"]["client_name"] == "Album"
    assert shown["secrets"] == [{"created_at": shown["client_id_issued_at"], "expires_at": 0, "sealed": False}]
    stored = clients.existing(authserver.store, client.client_id)
    digest = stored.secrets[0].digest
    assert digest is not None
    for answer in (
        manager("GET", "/client", {"client_id": client.client_id}),
        manager("GET", "/clients", {"limit": 200}),
        manager("GET", "/audit", {"limit": 200}),
    ):
        assert secret not in answer.text
        assert digest.hex() not in answer.text


def test_what_is_read_can_be_sent_back(manager: Manager, added: dict[str, Any]):
    shown, version = _read(manager, added["client_id"])
    replaced = manager("PUT", "/client", {"client_id": added["client_id"]}, json=shown["metadata"], headers=version)
    assert replaced.json() == shown
    again = manager(
        "PUT",
        "/client",
        {"client_id": added["client_id"]},
        json=shown["metadata"],
        headers={"If-Match": replaced.headers["etag"]},
    )
    assert again.status_code == 200


def test_a_replacement_says_what_it_replaces(manager: Manager, added: dict[str, Any]):
    name = {"client_id": added["client_id"]}
    _, version = _read(manager, added["client_id"])
    for headers in ({}, {"If-Match": "*"}):
        assert_refused(manager("PUT", "/client", name, json=METADATA, headers=headers), "precondition_required", 428)
    first = manager("PUT", "/client", name, json={**METADATA, "client_name": "First"}, headers=version)
    second = manager("PUT", "/client", name, json={**METADATA, "client_name": "Second"}, headers=version)
    assert first.status_code == 200
    assert_refused(second, "precondition_failed", 412)
    assert _read(manager, added["client_id"])[0]["metadata"]["client_name"] == "First"
    assert_refused(manager("DELETE", "/client", name, headers=version), "precondition_failed", 412)
    assert manager("DELETE", "/client", name, headers={"If-Match": first.headers["etag"]}).status_code == 204


def test_a_new_method_may_come_with_a_new_secret(manager: Manager, added: dict[str, Any]):
    name = {"client_id": added["client_id"]}
    _, version = _read(manager, added["client_id"])
    changed = {**METADATA, "token_endpoint_auth_method": "client_secret_jwt"}
    answer = manager("PUT", "/client", name, json=changed, headers=version).json()
    assert answer["client_secret"] != added["client_secret"]
    assert "client_secret" not in _read(manager, added["client_id"])[0]


def test_adding_twice_is_a_conflict(manager: Manager):
    sent = {**METADATA, "client_id": "added-twice"}
    assert manager("POST", "/clients", **sent).status_code == 201
    assert_refused(manager("POST", "/clients", **sent), "conflict", 409)


def test_a_change_that_somebody_else_is_making_is_a_conflict(
    authserver: AuthServer, manager: Manager, added: dict[str, Any]
):
    authserver.store.ephemeral.put("client-change", added["client_id"], "", 2**62)
    answer = manager("POST", "/client/rotate-secret", client_id=added["client_id"])
    assert_refused(answer, "conflict", 409)


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"client_name": "\0"}, "invalid_client_metadata"),
        ({"client_name": 5}, "invalid_client_metadata"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://client.test/"}, "invalid_redirect_uri"),
        ({"surprise": True}, "invalid_client_metadata"),
        ({'"\\é<script>': True}, "invalid_client_metadata"),
        ({"scope": ["openid"]}, "invalid_client_metadata"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "invalid_client_metadata"),
        ({"client_id": "\u00e9"}, "invalid_client_metadata"),
        ({"client_secret": "short"}, "invalid_client_metadata"),
        ({"default_max_age": 10**60}, "invalid_client_metadata"),
    ],
    ids=str,
)
def test_metadata_that_cannot_be_is_refused_in_fixed_words(manager: Manager, members: dict[str, Any], error: str):
    answer = manager("POST", "/clients", json={**METADATA, **members})
    assert_refused(answer, error)
    assert "<" not in answer.text
    assert "surprise" not in answer.text


def test_another_secret_is_shown_once_and_the_old_one_ends(authserver: AuthServer, manager: Manager):
    service = authserver.client(grant_types=["client_credentials"], scope="api:read", redirect_uris=None)
    answer = manager.good("POST", "/client/rotate-secret", client_id=service.client_id, keep_seconds=0)
    assert answer.keys() == {"client_id", "client_secret", "client_secret_expires_at"}
    assert_refused(authserver.token(service, grant_type="client_credentials"), "invalid_client", 401)
    renewed = RegisteredClient(service.client_id, answer["client_secret"], "", {})
    assert authserver.token(renewed, grant_type="client_credentials").status_code == 200


@pytest.mark.parametrize("seconds", [-1, 90 * 86400 + 1, 10**40, "5", True, 1.5])
def test_secrets_are_not_kept_for_a_time_that_cannot_be(manager: Manager, added: dict[str, Any], seconds: object):
    answer = manager("POST", "/client/rotate-secret", client_id=added["client_id"], keep_seconds=seconds)
    assert_refused(answer, "invalid_request")


def test_switching_off_counts_on_every_node_and_is_undone(authserver: AuthServer, node: AuthServer, manager: Manager):
    service = authserver.client(grant_types=["client_credentials"], scope="api:read", redirect_uris=None)
    token = node.token(service, grant_type="client_credentials").json()["access_token"]
    off = manager.good("POST", "/client/disable", client_id=service.client_id)
    assert off["disabled"] is True
    assert node.introspect(authserver.client(introspects_all=True), token) == {"active": False}
    with authserver.later(1):
        assert_refused(node.token(service, grant_type="client_credentials"), "invalid_client", 401)
    assert manager.good("POST", "/client/enable", client_id=service.client_id)["disabled"] is False
    with authserver.later(3):
        assert node.token(service, grant_type="client_credentials").status_code == 200


def test_what_is_removed_is_gone(manager: Manager, added: dict[str, Any]):
    name = {"client_id": added["client_id"]}
    assert manager("DELETE", "/client", name).status_code == 204
    for answer in (
        manager("GET", "/client", name),
        manager("DELETE", "/client", name),
        manager("PUT", "/client", name, json=METADATA, headers={"If-Match": '"x"'}),
        manager("POST", "/client/disable", client_id=added["client_id"]),
        manager("POST", "/client/rotate-secret", client_id=added["client_id"]),
    ):
        assert_refused(answer, "not_found", 404)


def test_the_audit_trail_names_the_client_that_did_it(authserver: AuthServer, manager: Manager):
    before = authserver.store.audit.list(0, 100_000)[-1].number
    client_id = manager.good("POST", "/clients", **METADATA)["client_id"]
    _, version = _read(manager, client_id)
    manager.good("PUT", "/client", {"client_id": client_id}, json=METADATA, headers=version)
    for action in ("rotate-secret", "disable", "enable"):
        manager.good("POST", f"/client/{action}", client_id=client_id)
    manager.good("DELETE", "/client", {"client_id": client_id})
    lines = [line.event for line in authserver.store.audit.list(before, 100) if line.event.client_id == client_id]
    assert [event.name for event in lines] == [
        "client.added",
        "client.updated",
        "client.secret_rotated",
        "client.disabled",
        "client.enabled",
        "client.removed",
    ]
    assert {event.actor for event in lines} == {manager.actor}


# Nobody gives away what she has not.


def _touches(manager: Manager, client_id: str) -> dict[str, Callable[[], httpx2.Response]]:
    _, version = _read(manager, client_id)
    name = {"client_id": client_id}
    return {
        "replace": lambda: manager("PUT", "/client", name, json=METADATA, headers=version),
        "remove": lambda: manager("DELETE", "/client", name),
        "disable": lambda: manager("POST", "/client/disable", client_id=client_id),
        "enable": lambda: manager("POST", "/client/enable", client_id=client_id),
        "rotate": lambda: manager("POST", "/client/rotate-secret", client_id=client_id),
    }


def test_a_client_with_more_power_cannot_be_taken_over(authserver: AuthServer):
    strong, weak = managing_client(authserver, EVERYTHING), Manager(authserver, "manage:clients manage:keys:read")
    before = authserver.store.clients.get(strong.client_id)
    for name, touch in _touches(weak, strong.client_id).items():
        answer = touch()
        assert (name, answer.status_code, answer.json()["error"]) == (name, 403, "access_denied")
    assert authserver.store.clients.get(strong.client_id) == before


def test_power_that_one_has_not_cannot_be_given(authserver: AuthServer):
    weak = Manager(authserver, "manage:clients manage:keys:read")
    powerful = {"grant_types": ["client_credentials"], "resources": [resource_of(authserver)]}
    for scope in ("manage:users", "manage:keys", "manage:keys:read manage:audit:read"):
        assert_refused(weak("POST", "/clients", **powerful, scope=scope), "access_denied", 403)
    assert weak("POST", "/clients", **powerful, scope="manage:clients:read manage:keys:read").status_code == 201
    _, version = _read(weak, weak.client.client_id)
    name = {"client_id": weak.client.client_id}
    raised = weak("PUT", "/client", name, json={**powerful, "scope": "manage:clients manage:keys"}, headers=version)
    assert_refused(raised, "access_denied", 403)
