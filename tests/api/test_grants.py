"""Grants and tokens over the management API: whole grants, and all of a user's or client's tokens."""

import secrets

import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.api.conftest import Manager
from tests.world import assert_refused


@pytest.fixture
def gina(authserver: AuthServer) -> User:
    """An account of this test alone."""
    return authserver.user(f"gina-{secrets.token_hex(4)}")


def test_grants_are_listed_and_one_is_revoked_with_its_tokens(
    authserver: AuthServer, node: AuthServer, manager: Manager, gina: User
):
    one, other = (authserver.client(trusted=True) for _ in range(2))
    lost, kept = authserver.tokens(one, gina), authserver.tokens(other, gina)
    listed = manager.good("GET", "/grants", {"sub": gina.sub})["grants"]
    assert {grant["client_id"] for grant in listed} == {one.client_id, other.client_id}
    grant_id = next(grant["grant_id"] for grant in listed if grant["client_id"] == one.client_id)
    assert manager("POST", "/grant/revoke", grant_id=grant_id).status_code == 204
    assert node.get("/userinfo", lost["access_token"]).status_code == 401
    assert_refused(node.refresh(one, lost["refresh_token"]), "invalid_grant")
    assert node.get("/userinfo", kept["access_token"]).status_code == 200
    assert_refused(manager("POST", "/grant/revoke", grant_id=grant_id), "not_found", 404)


def test_all_grants_of_the_pair_of_a_user_and_a_client_are_revoked(
    authserver: AuthServer, manager: Manager, gina: User, alice: User
):
    one, other = (authserver.client(trusted=True) for _ in range(2))
    lost = [authserver.tokens(one, gina)["access_token"] for _ in range(2)]
    kept = [authserver.tokens(*pair)["access_token"] for pair in ((one, alice), (other, gina))]
    answer = manager.good("POST", "/grants/revoke", sub=gina.sub, client_id=one.client_id)
    assert answer == {"revoked": 2}
    assert [authserver.get("/userinfo", token).status_code for token in (*lost, *kept)] == [401, 401, 200, 200]
    assert_refused(manager("POST", "/grants/revoke"), "invalid_request")


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_every_token_of_a_user_is_revoked_and_the_account_goes_on(
    authserver: AuthServer, node: AuthServer, manager: Manager, gina: User, alice: User, token_format: str
):
    client = authserver.client(trusted=True, access_token_format=token_format)
    lost, kept = authserver.tokens(client, gina, scope="openid offline_access"), authserver.tokens(client, alice)
    assert manager.good("POST", "/tokens/revoke", sub=gina.sub) == {"revoked": 1}
    assert node.get("/userinfo", lost["access_token"]).status_code == 401
    assert_refused(node.refresh(client, lost["refresh_token"]), "invalid_grant")
    assert node.get("/userinfo", kept["access_token"]).status_code == 200
    fresh = authserver.tokens(client, gina)["access_token"]
    assert node.get("/userinfo", fresh).status_code == 200
    assert_refused(manager("POST", "/tokens/revoke", sub="nobody"), "not_found", 404)


def test_every_token_of_a_client_is_revoked_and_the_client_goes_on(
    authserver: AuthServer, node: AuthServer, manager: Manager, gina: User
):
    client = authserver.client(trusted=True)
    person = authserver.tokens(client, gina)["access_token"]
    itself = authserver.token(client, grant_type="client_credentials", scope="api:read").json()["access_token"]
    assert manager.good("POST", "/tokens/revoke", client_id=client.client_id)["revoked"] == 1
    assert node.get("/userinfo", person).status_code == 401
    assert node.introspect(client, itself) == {"active": False}
    assert_refused(manager("POST", "/tokens/revoke", client_id="nobody"), "not_found", 404)
    for wrong in ({}, {"sub": gina.sub, "client_id": client.client_id}):
        assert_refused(manager("POST", "/tokens/revoke", json=wrong), "invalid_request")


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_a_token_is_revoked_whatever_its_form(
    authserver: AuthServer, node: AuthServer, manager: Manager, gina: User, token_format: str
):
    client = authserver.client(trusted=True, access_token_format=token_format)
    tokens = authserver.tokens(client, gina)
    manager.good("POST", "/token/revoke", token=tokens["access_token"])
    assert node.get("/userinfo", tokens["access_token"]).status_code == 401
    manager.good("POST", "/token/revoke", token=tokens["refresh_token"])
    assert_refused(node.refresh(client, tokens["refresh_token"]), "invalid_grant")
    assert_refused(manager("POST", "/token/revoke", token=tokens["access_token"]), "not_found", 404)
    assert tokens["access_token"] not in manager("GET", "/audit", {"limit": 200}).text


def test_what_is_no_token_of_ours_is_not_entered(authserver: AuthServer, manager: Manager, alice: User):
    id_token = authserver.tokens(authserver.client(trusted=True), alice)["id_token"]
    for text in (id_token, "e30.eyJqdGkiOiJ4IiwiZXhwIjo5MDA3MTk5MjU0NzQwOTkxfQ.c2ln", "x", "asr_x", "a.b.c.d.e"):
        assert_refused(manager("POST", "/token/revoke", token=text), "not_found", 404)
    for wrong in ("", "a b", "\0", 5, ["x"], "x" * 20_000):
        assert_refused(manager("POST", "/token/revoke", json={"token": wrong}), "invalid_request")
