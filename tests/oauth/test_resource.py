"""Resource indicators (RFC 8707)."""

import jwt
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API, JWT_API, OTHER_API, SCOPE, ask, assert_refused, assert_sent_back, code_of

BAD = [
    "https://unknown.test/",
    "https://api.test",
    "https://API.test/",
    "https://api.test/x",
    "https://api.test/#",
    "https://api.test/#fragment",
    "/relative",
    "api.test",
    "x",
    "https://api.test/\N{SNOWMAN}",
    "https://api.test/\0",
    "https://[",
    "urn:x\n",
    "' OR 1=1 --",
    "x" * 4000,
]


# 2: the parameter.


@pytest.mark.parametrize("resource", BAD)
def test_a_resource_that_is_not_registered_letter_by_letter_is_refused_2(
    authserver: AuthServer, client: RegisteredClient, alice: User, resource: str
):
    for value in (resource, [API, resource], [resource, API]):
        assert_sent_back(ask(authserver, client, alice, resource=value, state="s"), "invalid_target", client, state="s")
    parameters = {"grant_type": "client_credentials", "scope": "api:read", "resource": resource}
    assert_refused(authserver.token(client, **parameters), "invalid_target")


def test_many_resources_are_refused_before_they_are_looked_up(authserver: AuthServer, client: RegisteredClient):
    many = [f"https://{number}.test/" for number in range(60)]
    parameters = {"grant_type": "client_credentials", "scope": "api:read", "resource": many}
    assert_refused(authserver.token(client, **parameters), "invalid_target")


def test_a_client_may_be_kept_to_some_resources(authserver: AuthServer, alice: User):
    kept = authserver.client(resources=[API], scope=SCOPE, trusted=True)
    code_of(ask(authserver, kept, alice, scope="openid api:read", resource=API))
    assert_sent_back(ask(authserver, kept, alice, scope="openid", resource=OTHER_API), "invalid_target", kept)
    parameters = {"grant_type": "client_credentials", "scope": "other:read", "resource": OTHER_API}
    assert_refused(authserver.token(kept, **parameters), "invalid_target")


def test_an_empty_resource_counts_as_none(authserver: AuthServer, client: RegisteredClient):
    answer = authserver.token(client, grant_type="client_credentials", scope="api:read", resource="")
    assert answer.status_code == 200
    assert authserver.introspect(client, answer.json()["access_token"])["aud"] == authserver.issuer


# 2.1, 2.2: what a token is for.


def test_a_token_is_for_the_very_string_that_was_asked_for(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    tokens = authserver.tokens(client, alice, scope="openid api:read", resource=API)
    assert authserver.introspect(client, tokens["access_token"])["aud"] == API
    refreshed = authserver.refresh(client, tokens["refresh_token"]).json()
    assert authserver.introspect(client, refreshed["access_token"])["aud"] == API


def test_without_a_resource_the_default_audience_is_the_issuer_also_in_jwts(authserver: AuthServer, alice: User):
    client = authserver.client(access_token_format="jwt")
    token = authserver.tokens(client, alice)["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == authserver.issuer
    assert authserver.introspect(client, token)["aud"] == authserver.issuer


def test_a_tokens_scope_is_what_its_resource_knows_and_what_speaks_of_the_person_2_2(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    resources = [API, OTHER_API]
    scope = "openid api:read other:read api:write"
    allowed = authserver.allow(client, alice, scope=scope, resource=resources)
    tokens = authserver.redeem(client, allowed, resource=API).json()
    assert tokens["scope"] == "openid api:read api:write"
    assert authserver.introspect(client, tokens["access_token"])["scope"] == "openid api:read api:write"
    other = authserver.refresh(client, tokens["refresh_token"], resource=OTHER_API).json()
    assert other["scope"] == "openid other:read"
    assert authserver.introspect(client, other["access_token"])["aud"] == OTHER_API


def test_of_several_granted_resources_one_must_be_named_2_2(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    allowed = authserver.allow(client, alice, scope=SCOPE, resource=[API, OTHER_API])
    assert_refused(authserver.redeem(client, allowed), "invalid_target")
    tokens = authserver.redeem(client, authserver.allow(client, alice, resource=[API, OTHER_API]), resource=API).json()
    assert_refused(authserver.refresh(client, tokens["refresh_token"]), "invalid_target")
    assert_refused(authserver.refresh(client, tokens["refresh_token"], resource=[API, OTHER_API]), "invalid_target")
    assert authserver.refresh(client, tokens["refresh_token"], resource=OTHER_API).status_code == 200


def test_the_same_resource_twice_is_one_resource(authserver: AuthServer, client: RegisteredClient, alice: User):
    allowed = authserver.allow(client, alice, scope="openid api:read", resource=[API, API])
    assert authserver.redeem(client, allowed, resource=[API, API]).status_code == 200


@pytest.mark.parametrize("resource", [OTHER_API, JWT_API, "https://unknown.test/"])
def test_a_resource_that_was_not_granted_is_refused_2_2(
    authserver: AuthServer, client: RegisteredClient, alice: User, resource: str
):
    tokens = authserver.tokens(client, alice, scope="openid api:read", resource=API)
    assert_refused(authserver.refresh(client, tokens["refresh_token"], resource=resource), "invalid_target")
    assert authserver.refresh(client, tokens["refresh_token"], resource=API).status_code == 200
    without = authserver.tokens(client, alice)
    assert_refused(authserver.refresh(client, without["refresh_token"], resource=resource), "invalid_target")
    assert authserver.refresh(client, without["refresh_token"], resource=authserver.issuer).status_code == 200


def test_a_resource_that_the_code_was_not_for_burns_it(authserver: AuthServer, client: RegisteredClient, alice: User):
    allowed = authserver.allow(client, alice, scope="openid api:read", resource=API)
    assert_refused(authserver.redeem(client, allowed, resource=OTHER_API), "invalid_target")
    assert_refused(authserver.redeem(client, allowed), "invalid_grant")


def test_the_resource_decides_the_form_and_life_of_its_tokens(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    identifier = "https://short.test/"
    authserver.resource(identifier, "short", token_format="jwt", access_token_seconds=42, signing_alg="RS256")
    tokens = authserver.tokens(client, alice, resource=identifier)
    assert tokens["expires_in"] == 42
    assert jwt.get_unverified_header(tokens["access_token"])["alg"] == "RS256"
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 42
