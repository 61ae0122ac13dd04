"""Token exchange: the request, what is refused, what is issued (RFC 8693 2)."""

import json
from typing import Any

import pytest

from authserver.manage import users
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.exchanges import (
    ACCESS_TOKEN,
    BACK,
    FRONT,
    GRANT,
    ID_TOKEN,
    JWT,
    REFRESH_TOKEN,
    SAML2,
    SCOPE,
    STORE,
    called_with,
    exchange,
    exchanged,
    front,
    server,
    service,
    user,
    web,
)
from tests.signing import claims_of, token
from tests.world import assert_refused, is_alive

__all__ = ["front", "server", "user", "web"]


# 2.1: the request.


@pytest.mark.parametrize(("target", "is_jwt"), [(BACK, False), (STORE, True)])
def test_a_service_gets_the_token_for_the_next_one(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User, target: str, *, is_jwt: bool
):
    text = called_with(server, web, user)
    before = server.introspect(web, text)
    answer = exchange(server, front, text, resource=target)
    body = answer.json()
    assert body["access_token"].count(".") == (2 if is_jwt else 0)
    after = server.introspect(front, body["access_token"])
    assert (after["sub"], after["aud"], after["client_id"]) == (user.sub, target, front.client_id)
    assert after["act"] == {"sub": front.client_id}
    assert {name: after[name] for name in ("auth_time", "acr", "amr", "sid")} == {
        name: before[name] for name in ("auth_time", "acr", "amr", "sid")
    }
    assert is_alive(server, web, text), "2.1: the exchange has no effect on the subject token"
    if is_jwt:
        assert claims_of(body["access_token"])["act"] == after["act"]


def test_the_subject_token_may_be_a_jwt_under_either_type(server: AuthServer, web: RegisteredClient, user: User):
    storing = service(server, STORE, BACK)
    text = called_with(server, web, user, resource=STORE)
    assert text.count(".") == 2
    for kind in (ACCESS_TOKEN, JWT):
        assert exchanged(server, storing, text, subject_token_type=kind)["sub"] == user.sub


def test_resource_and_audience_name_the_same_target(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    text = called_with(server, web, user)
    for named in ({"resource": BACK}, {"audience": BACK}, {"resource": BACK, "audience": [BACK, BACK]}):
        assert exchanged(server, front, text, **named)["aud"] == BACK


def test_the_only_target_need_not_be_named(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    text = called_with(server, web, user)
    assert exchanged(server, service(server, FRONT, BACK), text)["aud"] == BACK
    assert_refused(exchange(server, front, text), "invalid_target")


@pytest.mark.parametrize(
    "named",
    [
        {"resource": "https://nobody.test/"},
        {"resource": FRONT},
        {"audience": FRONT},
        {"audience": "back"},
        {"audience": f"{BACK}#"},
        {"resource": BACK, "audience": STORE},
        {"resource": [BACK, STORE]},
        {"audience": [f"{BACK}{number}" for number in range(30)]},
        {"audience": "http://localhost:9000"},
    ],
)
def test_any_other_target_is_refused_2_2_2(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User, named: dict[str, Any]
):
    assert_refused(exchange(server, front, called_with(server, web, user), **named), "invalid_target")


def test_a_target_that_the_client_may_not_ask_for_at_all_is_refused(
    server: AuthServer, web: RegisteredClient, user: User
):
    narrow = service(server, FRONT, BACK, resources=[STORE])
    assert_refused(exchange(server, narrow, called_with(server, web, user)), "invalid_target")


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_token": None},
        {"subject_token": ""},
        {"subject_token_type": None},
        {"subject_token": ["a", "b"]},
        {"subject_token_type": [ACCESS_TOKEN, ACCESS_TOKEN]},
        {"requested_token_type": [ACCESS_TOKEN, ACCESS_TOKEN]},
        {"actor_token": "x"},
        {"actor_token_type": ACCESS_TOKEN},
    ],
)
def test_a_request_of_another_form_is_refused(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User, changes: dict[str, Any]
):
    asked = {"resource": BACK, **changes}
    assert_refused(exchange(server, front, called_with(server, web, user), **asked), "invalid_request")


@pytest.mark.parametrize(
    "kind", [REFRESH_TOKEN, ID_TOKEN, SAML2, ACCESS_TOKEN.upper(), "access_token", "x", "\N{SNOWMAN}"]
)
def test_other_types_are_neither_taken_nor_given(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User, kind: str
):
    text = called_with(server, web, user)
    assert_refused(exchange(server, front, text, resource=BACK, subject_token_type=kind), "invalid_request")
    assert_refused(exchange(server, front, text, resource=BACK, requested_token_type=kind), "invalid_request")
    acting = {"actor_token": text, "actor_token_type": kind}
    assert_refused(exchange(server, front, text, resource=BACK, **acting), "invalid_request")


def test_a_jwt_is_given_where_the_target_has_jwts(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    text = called_with(server, web, user)
    body = exchange(server, front, text, resource=STORE, requested_token_type=JWT).json()
    assert (body["issued_token_type"], body["access_token"].count(".")) == (JWT, 2)
    assert_refused(exchange(server, front, text, resource=BACK, requested_token_type=JWT), "invalid_request")


def test_only_confidential_clients_with_the_grant_and_a_target_exchange(
    server: AuthServer, web: RegisteredClient, user: User
):
    text = called_with(server, web, user)
    nameless = server.client(grant_types=[GRANT], redirect_uris=None, resource_server_for=[FRONT])
    for client in (web, nameless, server.public_client()):
        assert_refused(exchange(server, client, text), "unauthorized_client")
    assert_refused(exchange(server, None, text), "invalid_client", 401)
    front = service(server, FRONT, BACK)
    unproven = RegisteredClient(front.client_id, "wrong", "", {})
    assert_refused(exchange(server, unproven, text), "invalid_client", 401)


# 2.2.2: what is wrong with a subject token is an invalid_request.


def test_a_token_that_is_not_live_is_refused(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    revoked, live = (called_with(server, web, user) for _ in range(2))
    assert server.post("/revoke", web, token=revoked).status_code == 200
    assert_refused(exchange(server, front, revoked, resource=BACK), "invalid_request")
    with server.later(601):
        assert_refused(exchange(server, front, live, resource=BACK), "invalid_request")
    assert exchange(server, front, live, resource=BACK).status_code == 200


def test_what_is_no_access_token_of_ours_is_refused(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    own = server.tokens(web, user, scope=SCOPE, resource=FRONT)
    opaque, jwt = own["access_token"], called_with(server, web, user, resource=STORE)
    foreign = token("ES256", claims_of(jwt), typ="at+jwt")
    wrong = [
        own["refresh_token"],
        own["id_token"],
        server.allow(web, user).code,
        foreign,
        opaque + "A",
        jwt[:-2],
        "x.y.z",
    ]
    for text in wrong:
        for kind in (ACCESS_TOKEN, JWT):
            answer = exchange(server, front, text, resource=BACK, subject_token_type=kind)
            assert_refused(answer, "invalid_request")
    assert_refused(exchange(server, front, opaque, resource=BACK, subject_token_type=JWT), "invalid_request")


def test_a_token_of_somebody_who_is_switched_off_is_refused(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient
):
    gone = server.user("gone")
    text = called_with(server, web, gone)
    users.set_disabled(server.store, gone, disabled=True, actor="test")
    assert_refused(exchange(server, front, text, resource=BACK), "invalid_request")


def test_a_token_that_was_neither_given_to_the_client_nor_meant_for_it_is_refused(
    server: AuthServer, web: RegisteredClient, user: User
):
    text = called_with(server, web, user)
    for stranger in (service(server, BACK, STORE), service(server, BACK, STORE, introspects_all=True)):
        assert_refused(exchange(server, stranger, text), "invalid_request")


def test_a_client_may_exchange_its_own_token(server: AuthServer, user: User):
    own = server.client(
        trusted=True, scope=SCOPE, grant_types=["authorization_code", GRANT], exchange_audiences=[FRONT, BACK]
    )
    text = called_with(server, own, user)
    assert exchanged(server, own, text, resource=FRONT, scope="read")["scope"] == "read"


# Scope and life: never more than there was.


def test_the_scope_is_that_of_the_token_as_far_as_the_client_has_it(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    text = called_with(server, web, user)
    assert set(exchanged(server, front, text, resource=BACK)["scope"].split()) == {"openid", "read", "write"}
    assert exchange(server, front, text, resource=BACK, scope="read").json()["scope"] == "read"
    reading = service(server, FRONT, BACK, scope="read")
    assert exchange(server, reading, text).json()["scope"] == "read"
    narrow = called_with(server, web, user, scope="openid read")
    assert set(exchanged(server, front, narrow, resource=BACK)["scope"].split()) == {"openid", "read"}
    for client, token_, asked in (
        (front, narrow, "write"),
        (front, narrow, "read write"),
        (reading, text, "write"),
        (front, text, "offline_access"),
        (front, text, "profile"),
        (front, text, "read unknown"),
        (front, text, 'read "'),
    ):
        assert_refused(exchange(server, client, token_, resource=BACK, scope=asked), "invalid_scope")


def test_a_scope_that_means_nothing_to_the_target_opens_nothing(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    server.resource("https://other.test/", "other")
    elsewhere = service(server, FRONT, "https://other.test/", scope="read write other")
    assert_refused(exchange(server, elsewhere, called_with(server, web, user)), "invalid_scope")


def test_authorization_details_are_passed_on_and_never_widened_9396_6(server: AuthServer, user: User):
    paying = {"authorization_details_types": ["payment"]}
    web, front = server.client(trusted=True, scope=SCOPE, **paying), service(server, FRONT, BACK, STORE, **paying)
    one, two = ({"type": "payment", "amount": amount} for amount in (1, 2))
    allowed = server.allow(web, user, scope="openid read", authorization_details=json.dumps([one]))
    text = server.redeem(web, allowed, resource=FRONT).json()["access_token"]
    answer = exchange(server, front, text, resource=BACK)
    assert answer.json()["authorization_details"] == [one]
    assert server.introspect(front, answer.json()["access_token"])["authorization_details"] == [one]
    assert "authorization_details" not in exchanged(server, front, text, resource=STORE)
    assert "authorization_details" not in exchanged(server, service(server, FRONT, BACK), text)
    for wider in ([two], [one, two]):
        answer = exchange(server, front, text, resource=BACK, authorization_details=json.dumps(wider))
        assert_refused(answer, "invalid_authorization_details")
    robot = server.client(scope="read")
    asked = {"grant_type": "client_credentials", "scope": "read", "resource": FRONT}
    text = server.token(robot, **asked).json()["access_token"]
    answer = exchange(server, front, text, resource=BACK, authorization_details=json.dumps([one]))
    assert_refused(answer, "invalid_authorization_details")


def test_the_token_ends_with_the_subject_token_and_with_the_setting(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    text = called_with(server, web, user)
    ends = server.introspect(web, text)["exp"]
    assert exchange(server, front, text, resource=BACK).json()["expires_in"] == 240
    with server.later(500):
        late = exchange(server, front, text, resource=BACK)
        assert 90 <= late.json()["expires_in"] <= 100
        again = server.introspect(front, late.json()["access_token"])
        assert again["exp"] <= ends
        assert again["exp"] - again["iat"] == late.json()["expires_in"]


# 2.2.1: the response.


def test_the_response_names_what_was_issued_and_holds_no_refresh_token(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    body = exchange(server, front, called_with(server, web, user), resource=BACK).json()
    assert body.keys() == {"access_token", "issued_token_type", "token_type", "expires_in", "scope"}
    assert (body["issued_token_type"], body["token_type"]) == (ACCESS_TOKEN, "Bearer")


# Switched off.


def test_nothing_is_left_when_it_is_switched_off(tmp_path_factory: pytest.TempPathFactory):
    off = AuthServer(tmp_path_factory.mktemp("off"), features={"token_exchange": False})
    off.resource(FRONT, "read")
    web, front = off.client(trusted=True, scope="openid read", may_act="x"), service(off, FRONT, FRONT)
    text = called_with(off, web, off.user(), scope="openid read")
    assert "may_act" not in off.introspect(web, text)
    assert_refused(exchange(off, front, text), "unsupported_grant_type")
    document = off.get("/.well-known/oauth-authorization-server").json()
    assert GRANT not in document["grant_types_supported"]
    assert "identity_chaining_requested_token_types_supported" not in document
    off.close()
