"""Signing keys over the management API."""

from pathlib import Path

from pytest_authserver import AuthServer
from tests.api.conftest import Manager
from tests.world import assert_refused


def test_keys_are_listed_with_their_states_and_nothing_secret(authserver: AuthServer, manager: Manager):
    listed = manager.good("GET", "/keys")["keys"]
    assert {key["kid"] for key in listed} == {key.kid for key in authserver.store.keys.all()}
    members = {"kid", "algorithm", "use", "state", "created_at", "signs_at", "retires_at", "gone_at"}
    assert all(set(key) == members for key in listed)


def test_the_next_keys_are_made_and_published(tmp_path: Path):
    at = AuthServer(tmp_path, features={"management_api": True})
    manager = Manager(at)
    made = manager.good("POST", "/keys/rotate", soon=True)["keys"]
    assert {key["state"] for key in made} == {"next"}
    assert {key["kid"] for key in made} <= {key["kid"] for key in manager.good("GET", "/keys")["keys"]}
    published = {key["kid"] for key in at.get("/jwks").json()["keys"]}
    assert {key["kid"] for key in made if key["use"] == "sig"} <= published
    events = [line.event for line in at.store.audit.list(0, 1000, "key.added")]
    assert {event.actor for event in events if event.facts["kid"] in {key["kid"] for key in made}} == {manager.actor}
    # Two at once: one of them is told.
    at.store.ephemeral.put("key-change", "rotation", "", 2**62)
    assert_refused(manager("POST", "/keys/rotate"), "conflict", 409)
    at.close()


def test_how_to_rotate_is_said_in_truth_values(manager: Manager):
    for wrong in ({"soon": "yes"}, {"compromised": 1}, {"soon": []}, {"now": True}):
        assert_refused(manager("POST", "/keys/rotate", json=wrong), "invalid_request")
