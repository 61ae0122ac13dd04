"""Token introspection (RFC 7662)."""

import pytest

from authserver.identity import passwords
from authserver.manage import clients, users
from authserver.records import Event, User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import API, JWT_API, OTHER_API, SCOPE, assert_refused, is_alive

# 2.1: the request.


def test_the_caller_has_to_prove_who_it_is_2_1(
    authserver: AuthServer, client: RegisteredClient, public: RegisteredClient, alice: User
):
    token = authserver.tokens(client, alice)["access_token"]
    wrong = RegisteredClient(client.client_id, "wrong", "", {})
    for caller in (None, wrong, public):
        assert_refused(authserver.post("/introspect", caller, token=token), "invalid_client", 401)
    with authserver.http(headers={"Authorization": f"Bearer {token}"}) as http:
        assert_refused(http.post("/introspect", data={"token": token}), "invalid_client", 401)


def test_a_missing_token_is_an_invalid_request_2_1(authserver: AuthServer, client: RegisteredClient):
    assert_refused(authserver.post("/introspect", client), "invalid_request")
    assert_refused(authserver.post("/introspect", client, token=""), "invalid_request")


def test_a_token_twice_or_in_the_url_is_an_invalid_request(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    token = authserver.tokens(client, alice)["access_token"]
    assert_refused(authserver.post("/introspect", client, token=[token, token]), "invalid_request")
    assert_refused(authserver.post(f"/introspect?token={token}", client), "invalid_request")
    with authserver.http(auth=client.basic) as http:
        assert http.get("/introspect", params={"token": token}).status_code == 405


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "unheard-of", "\N{SNOWMAN}"])
def test_a_hint_is_only_a_hint_2_1(authserver: AuthServer, client: RegisteredClient, alice: User, hint: str):
    tokens = authserver.tokens(client, alice)
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert authserver.post("/introspect", client, token=token, token_type_hint=hint).json()["active"] is True


# 2.2: the answer.


def test_an_active_token_is_told_with_its_claims_2_2(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice, scope="openid api:read", resource=API)
    answer = authserver.post("/introspect", client, token=tokens["access_token"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert told["active"] is True
    assert told["iss"] == authserver.issuer
    assert told["sub"] == alice.sub
    assert told["aud"] == API
    assert told["client_id"] == client.client_id
    assert told["scope"] == "openid api:read"
    assert told["token_type"] == "Bearer"
    assert told["exp"] - told["iat"] == 600
    assert isinstance(told["jti"], str)
    assert told["auth_time"] <= told["iat"]
    assert "name" not in told


def test_both_forms_of_token_are_told_alike(authserver: AuthServer, client: RegisteredClient, alice: User):
    opaque = authserver.tokens(client, alice, scope="openid api:read", resource=API)["access_token"]
    signed = authserver.tokens(client, alice, scope="openid jwt:read", resource=JWT_API)["access_token"]
    assert authserver.introspect(client, opaque).keys() == authserver.introspect(client, signed).keys()


def test_a_refresh_token_is_told_to_its_own_client_only_9700_2_2(
    authserver: AuthServer, client: RegisteredClient, stranger: RegisteredClient, service: RegisteredClient, alice: User
):
    everything = authserver.client(introspects_all=True)
    token = authserver.tokens(client, alice, scope="openid api:read", resource=API)["refresh_token"]
    told = authserver.introspect(client, token)
    assert (told["active"], told["sub"], told["client_id"]) == (True, alice.sub, client.client_id)
    for other in (stranger, service, everything):
        assert authserver.introspect(other, token) == {"active": False}


def test_a_replaced_refresh_token_is_not_active(authserver: AuthServer, client: RegisteredClient, alice: User):
    first = authserver.tokens(client, alice)["refresh_token"]
    second = authserver.refresh(client, first).json()["refresh_token"]
    assert authserver.introspect(client, first) == {"active": False}
    assert authserver.introspect(client, second)["active"] is True


def test_an_expired_refresh_token_is_not_active(authserver: AuthServer, client: RegisteredClient, alice: User):
    token = authserver.tokens(client, alice, scope="openid offline_access")["refresh_token"]
    with authserver.later(31 * 86400):
        assert authserver.introspect(client, token) == {"active": False}


def test_what_is_not_an_access_token_is_answered_with_one_member_2_2(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    tokens = authserver.tokens(client, alice)
    wrong = ["x", "\N{SNOWMAN}", "a.b.c", "x" * 60_000, "asa_", "asr_", "' OR 1=1 --", "a\0b", client.client_secret]
    wrong += [tokens["id_token"], authserver.allow(client, alice).code, tokens["access_token"][:-1]]
    wrong += [tokens["access_token"] + "A", tokens["access_token"].swapcase(), "asr_" + tokens["access_token"][4:]]
    for token in wrong:
        answer = authserver.post("/introspect", client, token=token)
        assert (answer.status_code, answer.text) == (200, '{"active":false}'), token[:40]


@pytest.mark.parametrize(("resource", "scope"), [(API, "openid api:read"), (JWT_API, "openid jwt:read")])
def test_a_token_is_over_when_it_expires(
    authserver: AuthServer, client: RegisteredClient, alice: User, resource: str, scope: str
):
    token = authserver.tokens(client, alice, scope=scope, resource=resource)["access_token"]
    with authserver.later(597):
        assert is_alive(authserver, client, token)
    with authserver.later(601):
        assert not is_alive(authserver, client, token)


@pytest.mark.parametrize(("resource", "scope"), [(API, "openid api:read"), (JWT_API, "openid jwt:read")])
def test_a_token_is_over_when_its_user_is_switched_off_or_changes_the_password(
    authserver: AuthServer, client: RegisteredClient, resource: str, scope: str
):
    user = authserver.user(f"introspect-{resource[8:11]}")
    token = authserver.tokens(client, user, scope=scope, resource=resource)["access_token"]
    assert is_alive(authserver, client, token)
    users.set_disabled(authserver.store, user, disabled=True, actor="test")
    assert not is_alive(authserver, client, token)
    users.set_disabled(authserver.store, user, disabled=False, actor="test")
    assert not is_alive(authserver, client, token), "nothing revives"
    token = authserver.tokens(client, user, scope=scope, resource=resource)["access_token"]
    assert is_alive(authserver, client, token)
    event = Event("password.changed", user.sub, sub=user.sub)
    authserver.store.credentials.replace(user.sub, passwords.KIND, "hash", event)
    assert not is_alive(authserver, client, token)


@pytest.mark.parametrize(("resource", "scope"), [(API, "api:read"), (JWT_API, "jwt:read")])
def test_a_token_is_over_at_once_when_its_client_is_switched_off(
    authserver: AuthServer, service: RegisteredClient, resource: str, scope: str
):
    everything = authserver.client(introspects_all=True)
    client = authserver.client(scope=SCOPE)
    parameters = {"grant_type": "client_credentials", "scope": scope, "resource": resource}
    token = authserver.token(client, **parameters).json()["access_token"]
    assert is_alive(authserver, everything, token)
    with authserver.later(2):
        clients.set_disabled(authserver.store, client.client_id, disabled=True, actor="test")
        assert not is_alive(authserver, everything, token)
        clients.set_disabled(authserver.store, client.client_id, disabled=False, actor="test")
        assert not is_alive(authserver, everything, token), "nothing revives"


# 4: who may see what.


def test_a_resource_server_sees_tokens_for_its_resources_and_for_the_default_audience(
    authserver: AuthServer, client: RegisteredClient, service: RegisteredClient, alice: User
):
    for resource, seen in ((API, True), (None, True), (OTHER_API, False), (JWT_API, False)):
        token = authserver.tokens(client, alice, scope=SCOPE, resource=resource)["access_token"]
        assert is_alive(authserver, service, token) is seen
        assert is_alive(authserver, client, token)


def test_another_client_sees_nothing(
    authserver: AuthServer, client: RegisteredClient, stranger: RegisteredClient, alice: User
):
    for resource in (API, None, OTHER_API, JWT_API):
        token = authserver.tokens(client, alice, scope=SCOPE, resource=resource)["access_token"]
        assert authserver.introspect(stranger, token) == {"active": False}


def test_whom_the_administrator_lets_see_everything_does(authserver: AuthServer, client: RegisteredClient, alice: User):
    everything = authserver.client(introspects_all=True)
    for resource in (API, None, OTHER_API, JWT_API):
        token = authserver.tokens(client, alice, scope=SCOPE, resource=resource)["access_token"]
        assert is_alive(authserver, everything, token)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_both_ways_of_sending_the_secret_are_taken(authserver: AuthServer, alice: User, method: str):
    client = authserver.client(token_endpoint_auth_method=method)
    token = authserver.tokens(client, alice)["access_token"]
    in_body = {"client_id": client.client_id, "client_secret": client.client_secret}
    assert authserver.post("/introspect", token=token, **in_body).json()["active"] is True
    assert authserver.introspect(client, token)["active"] is True
