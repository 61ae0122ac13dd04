"""The JWT bearer grant: tokens on the word of a trusted issuer (RFC 7523 2.1); which account, and for how long."""

from pathlib import Path
from typing import Any

import pytest

from authserver.manage import clients, users
from authserver.records import User
from authserver.settings import SettingsError, load_settings
from pytest_authserver import AuthServer, RegisteredClient
from tests import documented
from tests.proofs import proven
from tests.vouching import (
    API,
    AUDIENCE,
    DIRECTORY,
    GRANT,
    HR,
    IDP,
    JWT_API,
    assert_bad,
    assert_good,
    bearer,
    bring,
    claims,
    client,
    keys,
    server,
    signed,
    user,
)
from tests.world import assert_refused, is_alive

__all__ = ["client", "keys", "server", "user"]


# 2.1: the request, and who may make it.


@pytest.mark.parametrize("resource", [API, JWT_API, None])
def test_an_assertion_of_a_trusted_issuer_opens_the_account_that_it_names(
    server: AuthServer, client: RegisteredClient, user: User, resource: str | None
):
    body = assert_good(server, client, signed(claims(server, user)), resource=resource, scope="openid api:read")
    assert body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["scope"]) == ("Bearer", "openid api:read")
    said = server.introspect(client, body["access_token"])
    assert (said["sub"], said["client_id"], said["aud"]) == (user.sub, client.client_id, resource or server.issuer)
    assert said.keys().isdisjoint({"auth_time", "acr", "amr", "sid", "act"}), "nobody has signed in here"
    assert server.get("/userinfo", body["access_token"]).json()["sub"] == user.sub


def test_only_confidential_clients_with_the_grant_bring_assertions(server: AuthServer, user: User):
    assertion = signed(claims(server, user))
    for other in (server.client(), server.public_client()):
        assert_refused(bring(server, other, assertion), "unauthorized_client")
    assert_refused(bring(server, None, assertion), "invalid_client", 401)
    unproven = RegisteredClient(bearer(server).client_id, "wrong", "", {})
    assert_refused(bring(server, unproven, assertion), "invalid_client", 401)
    assert_good(server, bearer(server), assertion)


def test_a_client_of_bound_tokens_brings_a_proof_beside_its_assertion(server: AuthServer, user: User):
    keyed, assertion = bearer(server, dpop_bound_access_tokens=True), signed(claims(server, user))
    assert_refused(bring(server, keyed, assertion), "invalid_dpop_proof")
    # That was no use of the assertion.
    assert bring(server, keyed, assertion, headers=proven(server)).json()["token_type"] == "DPoP"


def test_the_assertion_is_one_parameter(server: AuthServer, client: RegisteredClient, user: User):
    assert_refused(bring(server, client, None), "invalid_request")
    assert_refused(bring(server, client, ""), "invalid_request")
    twice = [signed(claims(server, user)) for _ in range(2)]
    assert_refused(server.post("/token", client, grant_type=GRANT, assertion=twice), "invalid_request")


def test_the_scope_is_what_the_client_may_have_and_nothing_that_outlives_the_token(
    server: AuthServer, client: RegisteredClient, user: User
):
    body = assert_good(server, client, signed(claims(server, user)))
    assert set(body["scope"].split()) == {"openid", "profile", "api:read", "api:write"}
    assert assert_good(server, client, signed(claims(server, user)), scope="api:read")["scope"] == "api:read"
    for asked in ("email", "offline_access", "unknown", 'api:read "'):
        assert_refused(bring(server, client, signed(claims(server, user)), scope=asked), "invalid_scope")


def test_the_resource_is_one_that_the_client_may_ask_for(server: AuthServer, user: User):
    narrow = bearer(server, resources=[API])
    assert assert_good(server, narrow, signed(claims(server, user)), resource=API)
    for asked in (JWT_API, "https://nobody.test/", "x", [API, JWT_API]):
        assert_refused(bring(server, narrow, signed(claims(server, user)), resource=asked), "invalid_target")


def test_a_request_that_is_refused_for_something_else_uses_no_assertion_up(
    server: AuthServer, client: RegisteredClient, user: User
):
    assertion = signed(claims(server, user))
    assert_refused(bring(server, client, assertion, scope="email"), "invalid_scope")
    assert_refused(bring(server, client, assertion, resource="x"), "invalid_target")
    assert_good(server, client, assertion)


# Which account a subject is.


def test_a_user_name_is_compared_in_its_canonical_form_and_is_no_address(
    server: AuthServer, client: RegisteredClient, user: User
):
    named = {"iss": DIRECTORY, "aud": AUDIENCE}
    for good in ("alice", "ALICE"):
        assert_good(server, client, signed(claims(server, user, **named, sub=good)))
    for bad in ("alice@test.example", user.sub, "alice\0", "ali"):
        assert_bad(server, client, signed(claims(server, user, **named, sub=bad)))


def test_an_address_counts_where_both_sides_have_verified_it(server: AuthServer, client: RegisteredClient, user: User):
    named = {"iss": HR, "tenant": "acme", "sub": "4711"}
    for address in ("Alice@Test.example", user.email):
        assert_good(server, client, signed(claims(server, user, **named, email=address, email_verified=True)))
    assert_bad(server, client, signed(claims(server, user, **named, email=user.email)))
    for unsure in (False, "true", None, 1):
        payload = {**claims(server, user, **named, email=user.email), "email_verified": unsure}
        assert_bad(server, client, signed(payload))
    server.user("eve", email="eve@test.example")
    for bad in ("eve@test.example", "alice", "", None, ["alice@test.example"]):
        assert_bad(server, client, signed(claims(server, user, **named, email=bad, email_verified=True)))
    assert_bad(server, client, signed(claims(server, user, iss=HR, tenant="acme", email=user.email, sub=None)))


def test_an_issuer_of_several_tenants_counts_for_one_of_them(server: AuthServer, client: RegisteredClient, user: User):
    named = {"iss": HR, "email": user.email}
    for tenant in (None, "other", ["acme"], 1):
        assert_bad(server, client, signed(claims(server, user, **named, tenant=tenant)))
    assert_bad(server, client, signed(claims(server, user, tenant="acme")))


# Everything that is issued dies with user, client and grant.


@pytest.mark.parametrize("resource", [API, JWT_API])
@pytest.mark.parametrize("how", ["user", "client", "grant"])
def test_the_token_dies_at_once(server: AuthServer, resource: str, how: str):
    user, client = server.user(f"dying-{how}-{resource[8:11]}"), bearer(server)
    asked = {"resource": resource, "scope": "api:read"}
    text = assert_good(server, client, signed(claims(server, user)), **asked)["access_token"]
    everything = server.client(introspects_all=True)
    assert is_alive(server, everything, text)
    (grant,) = server.store.grants.of_user(user.sub)
    assert (grant.client_id, grant.resources, grant.scope) == (client.client_id, resource, "api:read")
    with server.later(2):
        if how == "user":
            users.set_disabled(server.store, user, disabled=True, actor="test")
            assert_bad(server, client, signed(claims(server, user)))
        elif how == "client":
            clients.set_disabled(server.store, client.client_id, disabled=True, actor="test")
        else:
            server.post("/revoke", client, token=text)
            assert not is_alive(server, client, text)
        assert not is_alive(server, everything, text)


def test_an_account_that_is_switched_off_in_the_same_moment_gets_nothing(
    server: AuthServer, client: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    user = server.user("unlucky")
    opened = server.store.grants.open

    def late(*arguments: Any) -> None:
        users.set_disabled(server.store, user, disabled=True, actor="test")
        users.set_disabled(server.store, user, disabled=False, actor="test")
        opened(*arguments)

    monkeypatch.setattr(server.store.grants, "open", late)
    assert_bad(server, client, signed(claims(server, user)))


def test_each_is_noted_with_its_issuer(server: AuthServer, client: RegisteredClient):
    user = server.user("noted")
    assert_good(server, client, signed(claims(server, user)), resource=API)
    (event,) = [
        line.event for line in server.store.audit.list(0, 1000) if line.event.sub == user.sub and line.event.client_id
    ]
    assert (event.name, event.actor, event.facts["issuer"]) == ("assertion.accepted", client.client_id, IDP)


# Switched off, or nobody trusted.


@pytest.mark.parametrize("how", ["off", "nobody"])
def test_nothing_is_left_without_the_feature_or_an_issuer(
    tmp_path_factory: pytest.TempPathFactory, keys: Path, how: str
):
    issuers = [{"issuer": IDP, "typ": "jwt", "jwks_file": keys}] if how == "off" else []
    off = AuthServer(tmp_path_factory.mktemp("off"), trusted_issuers=issuers, features={"jwt_bearer": how == "nobody"})
    assert_refused(bring(off, bearer(off), signed(claims(off, off.user()))), "unsupported_grant_type")
    document = off.get("/.well-known/oauth-authorization-server").json()
    assert GRANT not in document["grant_types_supported"]
    assert "authorization_grant_profiles_supported" not in document
    off.close()


def test_the_grant_is_announced_where_somebody_is_trusted(server: AuthServer):
    assert GRANT in server.get("/.well-known/oauth-authorization-server").json()["grant_types_supported"]


def test_a_key_file_that_holds_no_keys_opens_nothing(tmp_path: Path):
    file = tmp_path / "jwks.json"
    file.write_text("{}")
    broken = AuthServer(tmp_path, trusted_issuers=[{"issuer": IDP, "typ": "jwt", "jwks_file": file}])
    assert_bad(broken, bearer(broken), signed(claims(broken, broken.user())))
    file.unlink()
    assert_bad(broken, bearer(broken), signed(claims(broken, broken.user("bob"))))
    broken.close()


# The settings.


def test_the_issuers_of_the_documentation_are_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "authserver.toml"
    file.write_text(documented.blocks("jwt-bearer.md", "toml")[0])
    monkeypatch.setenv("AUTHSERVER_CONFIG", str(file))
    first, second = load_settings(issuer="https://login.example").trusted_issuers
    assert (first.typ, first.account, second.clients) == ("oauth-id-jag+jwt", "email", ("nightly",))


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://login.example"},
        {"jwks_uri": None},
        {"jwks_file": "/dev/null"},
        {"jwks_uri": None, "jwks_file": "no such file"},
        {"typ": "at+jwt"},
        {"typ": None},
        {"typ": "oauth-id-jag+jwt", "audience": "x"},
        {"account": "name"},
        {"unknown": "x"},
    ],
)
def test_an_issuer_that_is_not_well_described_is_refused_at_start(changes: dict[str, Any]):
    good = {"issuer": IDP, "typ": "jwt", "jwks_uri": f"{IDP}/jwks"}
    trusted = {name: value for name, value in {**good, **changes}.items() if value is not None}
    assert load_settings(issuer="https://login.example", trusted_issuers=[good]).in_force.jwt_bearer
    with pytest.raises(SettingsError, match="TRUSTED_ISSUERS"):
        load_settings(issuer="https://login.example", trusted_issuers=[trusted])
    with pytest.raises(SettingsError, match="once"):
        load_settings(issuer="https://login.example", trusted_issuers=[good, good])


def test_names_that_people_choose_for_themselves_are_no_issuers_to_tell():
    good = {"issuer": IDP, "typ": "jwt", "jwks_uri": f"{IDP}/jwks"}
    at: dict[str, Any] = {"issuer": "https://login.example", "features": {"signup": True}}
    for account in ("sub", "email"):
        load_settings(**at, trusted_issuers=[{**good, "account": account}])
    with pytest.raises(SettingsError, match="FEATURES__SIGNUP"):
        load_settings(**at, trusted_issuers=[{**good, "account": "username"}])
