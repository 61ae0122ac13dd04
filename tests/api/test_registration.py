"""Initial access tokens over the management API."""

import secrets
from pathlib import Path
from typing import Any

import pytest

from authserver.crypto import Kind
from pytest_authserver import AuthServer
from tests.api.conftest import Manager
from tests.world import assert_refused

PATH = "/initial-access-tokens"
CLIENT = {"redirect_uris": ["https://client.test/callback"]}


def test_a_token_registers_as_many_clients_as_were_said_until_it_is_withdrawn(tmp_path: Path):
    at = AuthServer(tmp_path, features={"management_api": True}, registration={"mode": "token"})
    manager = Manager(at)
    made = manager.good("POST", PATH, uses=3, days=2)
    token = made["initial_access_token"]
    assert token.startswith(Kind.INITIAL_ACCESS.prefix)
    with at.http(headers={"Authorization": f"Bearer {token}"}) as http:
        assert http.post("/register", json=CLIENT).status_code == 201
        listed = manager("GET", PATH)
        (entry,) = listed.json()["initial_access_tokens"]
        assert (entry["id"], entry["uses_left"]) == (made["id"], 2)
        assert token not in listed.text
        assert token not in manager("GET", "/audit").text
        assert manager("DELETE", "/initial-access-token", {"id": made["id"]}).status_code == 204
        assert http.post("/register", json=CLIENT).status_code == 401
    assert manager.good("GET", PATH) == {"initial_access_tokens": []}
    names = [line.event.name for line in at.store.audit.list(0, 100) if line.event.actor == manager.actor]
    assert names == ["initial_token.made", "initial_token.withdrawn"]
    at.close()


def test_the_id_of_a_token_is_not_the_token(manager: Manager):
    made = manager.good("POST", PATH)
    assert made["id"] not in made["initial_access_token"]
    assert_refused(manager("DELETE", "/initial-access-token", {"id": secrets.token_hex(32)}), "not_found", 404)


@pytest.mark.parametrize(
    "members", [{"uses": 0}, {"uses": 10**30}, {"days": -1}, {"days": 1.5}, {"uses": True}, {"days": "7"}], ids=str
)
def test_numbers_that_cannot_be_are_refused(manager: Manager, members: dict[str, Any]):
    assert_refused(manager("POST", PATH, json=members), "invalid_request")
