"""Access tokens that are signed and then encrypted to their resource (RFC 9068 4, RFC 7519 11.2)."""

import json
from typing import Any

import jwt
import pytest

from authserver import crypto
from authserver.manage import grants, resources
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests import encrypted, proofs
from tests.world import assert_refused, is_alive

SCOPE = "openid offline_access sealed:read"
ALG_OF = {"rsa": "RSA-OAEP-256", "p256": "ECDH-ES", "p384": "ECDH-ES"}


def _api(authserver: AuthServer, name: str = "p256", enc: str = "A256GCM", **members: Any) -> str:
    """Return a resource with this key, which is made when a test first asks for it."""
    identifier = f"https://{name}.{enc.lower()}.test/{crypto.new_id(4) if members else ''}"
    if authserver.server.resource(identifier) is None:
        encryption = {"alg": ALG_OF[name], "enc": enc, "jwks": {"keys": [encrypted.jwk(name)]}}
        given = {"token_format": "jwt", "encryption": encryption, **members}
        authserver.resource(identifier, "sealed:read", **given)
    return identifier


@pytest.fixture(scope="module")
def api(authserver: AuthServer) -> str:
    return _api(authserver)


@pytest.fixture(scope="module")
def client(authserver: AuthServer) -> RegisteredClient:
    """A client that may ask for the encrypted tokens."""
    return authserver.client(trusted=True, scope=SCOPE)


@pytest.fixture
def tokens(authserver: AuthServer, client: RegisteredClient, alice: User, api: str) -> dict[str, Any]:
    return authserver.tokens(client, alice, scope=SCOPE, resource=api)


def _claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


# RFC 9068 4, RFC 7519 11.2: what the resource server gets.


@pytest.mark.parametrize("enc", ["A256GCM", "A128CBC-HS256"])
@pytest.mark.parametrize("name", ALG_OF)
def test_the_signed_token_is_inside_and_says_what_it_would_say_alone(
    authserver: AuthServer, client: RegisteredClient, alice: User, name: str, enc: str
):
    api = _api(authserver, name, enc)
    token = authserver.tokens(client, alice, scope="openid sealed:read", resource=api)["access_token"]
    header = encrypted.head(token)
    assert header.pop("epk", None) is None or name != "rsa"
    assert header == {"alg": ALG_OF[name], "enc": enc, "cty": "JWT", "kid": f"{name}-enc"}
    inside = encrypted.opened(token, name)
    assert jwt.get_unverified_header(inside)["typ"] == "at+jwt"
    claims = _claims(inside)
    assert (claims["aud"], claims["sub"], claims["scope"]) == (api, alice.sub, "openid sealed:read")
    assert authserver.introspect(client, inside)["active"] is True


def test_nothing_of_its_claims_can_be_read_on_the_way(tokens: dict[str, Any], alice: User):
    assert alice.sub not in json.dumps(encrypted.head(tokens["access_token"]))
    with pytest.raises(jwt.DecodeError):
        jwt.decode(tokens["access_token"], options={"verify_signature": False})


def test_every_grant_encrypts(authserver: AuthServer, client: RegisteredClient, tokens: dict[str, Any], api: str):
    refreshed = authserver.refresh(client, tokens["refresh_token"]).json()["access_token"]
    parameters = {"grant_type": "client_credentials", "scope": "sealed:read", "resource": api}
    own = authserver.token(client, **parameters).json()["access_token"]
    for token in (refreshed, own):
        assert encrypted.head(token)["enc"] == "A256GCM"
        assert is_alive(authserver, client, token)


def test_a_client_registered_for_opaque_tokens_gets_no_other_one(authserver: AuthServer, alice: User, api: str):
    asking = authserver.client(trusted=True, scope=SCOPE, access_token_format="opaque")
    token = authserver.tokens(asking, alice, scope="openid sealed:read", resource=api)["access_token"]
    assert encrypted.head(token)["cty"] == "JWT"


def test_another_key_counts_with_the_next_token(authserver: AuthServer, client: RegisteredClient):
    identifier = _api(authserver, name="rsa", access_token_seconds=60)
    parameters = {"grant_type": "client_credentials", "scope": "sealed:read", "resource": identifier}
    assert encrypted.head(authserver.token(client, **parameters).json()["access_token"])["kid"] == "rsa-enc"
    replaced = {"alg": "ECDH-ES", "jwks": {"keys": [encrypted.jwk("p256")]}}
    scopes = {"sealed:read": "Read"}
    given = {"identifier": identifier, "scopes": scopes, "token_format": "jwt", "encryption": replaced}
    resources.update(authserver.store, given, actor="test")
    authserver.server.forget()
    assert encrypted.head(authserver.token(client, **parameters).json()["access_token"])["kid"] == "p256-enc"


# What is in the encrypted token cannot be read here again, but what becomes of it is known.


def test_introspection_shows_what_is_inside(
    authserver: AuthServer, client: RegisteredClient, tokens: dict[str, Any], alice: User, api: str
):
    answer = authserver.introspect(client, tokens["access_token"])
    inside = _claims(encrypted.opened(tokens["access_token"], "p256"))
    assert answer == {"active": True, "token_type": "Bearer", **inside}
    assert (answer["sub"], answer["aud"]) == (alice.sub, api)


def test_a_resource_server_may_ask_about_either(authserver: AuthServer, tokens: dict[str, Any], api: str):
    server = authserver.client(resource_server_for=[api], grant_types=[], redirect_uris=None, scope=None)
    other = authserver.client(
        resource_server_for=["https://else.test/"], grant_types=[], redirect_uris=None, scope=None
    )
    for token in (tokens["access_token"], encrypted.opened(tokens["access_token"], "p256")):
        assert is_alive(authserver, server, token)
        assert authserver.introspect(other, token) == {"active": False}


def test_userinfo_takes_it(authserver: AuthServer, tokens: dict[str, Any], alice: User):
    assert authserver.get("/userinfo", tokens["access_token"]).json()["sub"] == alice.sub


@pytest.mark.parametrize("presented", ["encrypted", "inside"])
def test_to_revoke_the_one_is_to_revoke_the_other_7009_2_1(
    authserver: AuthServer, client: RegisteredClient, tokens: dict[str, Any], presented: str
):
    both = {"encrypted": tokens["access_token"], "inside": encrypted.opened(tokens["access_token"], "p256")}
    other = authserver.refresh(client, tokens["refresh_token"]).json()["access_token"]
    assert authserver.post("/revoke", client, token=both[presented]).json() == {}
    for token in both.values():
        assert not is_alive(authserver, client, token)
        assert_refused(authserver.get("/userinfo", token), "invalid_token", 401)
    assert is_alive(authserver, client, other)


def test_only_its_own_client_revokes_it_7009_2_1(
    authserver: AuthServer, client: RegisteredClient, stranger: RegisteredClient, tokens: dict[str, Any]
):
    assert_refused(authserver.post("/revoke", stranger, token=tokens["access_token"]), "invalid_grant")
    assert is_alive(authserver, client, tokens["access_token"])


def test_an_administrator_revokes_it_by_its_text(
    authserver: AuthServer, client: RegisteredClient, tokens: dict[str, Any]
):
    inside = encrypted.opened(tokens["access_token"], "p256")
    grants.revoke_token(authserver.store, tokens["access_token"], actor="test")
    assert not is_alive(authserver, client, tokens["access_token"])
    assert not is_alive(authserver, client, inside)


def test_it_ends_with_its_grant_and_with_its_time(
    authserver: AuthServer, client: RegisteredClient, tokens: dict[str, Any]
):
    token = tokens["access_token"]
    with authserver.later(601):
        assert not is_alive(authserver, client, token)
        assert authserver.post("/revoke", client, token=token).json() == {}
    assert is_alive(authserver, client, token)
    authserver.post("/revoke", client, token=tokens["refresh_token"])
    assert not is_alive(authserver, client, token)
    assert not is_alive(authserver, client, encrypted.opened(token, "p256"))


def test_another_node_knows_it_too(
    authserver: AuthServer, node: AuthServer, client: RegisteredClient, tokens: dict[str, Any]
):
    assert is_alive(node, client, tokens["access_token"])
    node.post("/revoke", client, token=tokens["access_token"])
    assert not is_alive(authserver, client, tokens["access_token"])


def test_its_place_in_a_status_list_is_inside(authserver: AuthServer, client: RegisteredClient):
    identifier = _api(authserver, name="p256", status_list=True)
    parameters = {"grant_type": "client_credentials", "scope": "sealed:read", "resource": identifier}
    token = authserver.token(client, **parameters).json()["access_token"]
    inside = _claims(encrypted.opened(token, "p256"))
    assert inside["status"]["status_list"].keys() == {"idx", "uri"}
    assert authserver.introspect(client, token)["status"] == inside["status"]


def test_a_changed_text_is_no_token_of_ours(authserver: AuthServer, client: RegisteredClient, tokens: dict[str, Any]):
    token = tokens["access_token"]
    parts = token.split(".")
    changed = [token + "A", token[:-1], f"{parts[0]}....", "....", "e....", ".".join([*parts[:3], "AA", parts[4]])]
    for text in [*changed, "\N{SNOWMAN}....", token.replace(".", "..", 1)]:
        assert authserver.introspect(client, text) == {"active": False}
        assert authserver.post("/revoke", client, token=text).json() == {}
    assert is_alive(authserver, client, token)


def test_the_database_does_not_hold_it(authserver: AuthServer, tokens: dict[str, Any]):
    digest = crypto.encrypted_token_digest(tokens["access_token"])
    live = authserver.store.tokens.find(digest)
    assert live is not None
    assert tokens["access_token"] not in repr(live)


# With other extensions.


def test_a_bound_token_is_used_with_the_hash_of_the_text_that_is_sent_9449_4_2(
    authserver: AuthServer, client: RegisteredClient, alice: User, api: str
):
    prover = proofs.Prover()
    allowed = authserver.allow(client, alice, scope=SCOPE, resource=api)
    answer = authserver.redeem(client, allowed, headers=proofs.proven(authserver, prover)).json()
    assert answer["token_type"] == "DPoP"
    token = answer["access_token"]
    assert _claims(encrypted.opened(token, "p256"))["cnf"].keys() == {"jkt"}
    assert authserver.introspect(client, token)["token_type"] == "DPoP"
    assert_refused(authserver.get("/userinfo", token), "invalid_token", 401)
    proof = prover.proof("GET", f"{authserver.issuer}/userinfo", token)
    assert authserver.get("/userinfo", Authorization=f"DPoP {token}", DPoP=proof).json()["sub"] == alice.sub


def test_it_is_exchanged_like_a_jwt_8693_2_1(
    authserver: AuthServer, client: RegisteredClient, tokens: dict[str, Any], api: str
):
    exchanger = authserver.client(
        grant_types=["urn:ietf:params:oauth:grant-type:token-exchange"],
        redirect_uris=None,
        scope=SCOPE,
        resource_server_for=[api],
        exchange_audiences=[api],
        may_impersonate=True,
    )
    answer = authserver.token(
        exchanger,
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=tokens["access_token"],
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",
        requested_token_type="urn:ietf:params:oauth:token-type:jwt",
        resource=api,
        scope="sealed:read",
    )
    assert answer.status_code == 200, answer.text
    assert encrypted.head(answer.json()["access_token"])["cty"] == "JWT"


def test_a_key_that_does_not_encrypt_stops_the_token(
    authserver: AuthServer, client: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    # The key was tried when the resource was added, so this one came into the database by another way.
    identifier = _api(authserver, name="p384", access_token_seconds=60)
    resource = authserver.server.resource(identifier)
    assert resource is not None
    assert resource.encryption is not None
    monkeypatch.setitem(resource.encryption["jwks"]["keys"][0], "x", "A" * 64)  # type: ignore[arg-type]
    parameters = {"grant_type": "client_credentials", "scope": "sealed:read", "resource": identifier}
    assert_refused(authserver.token(client, **parameters), "invalid_target")
