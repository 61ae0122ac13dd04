"""Token exchange in chains: what dies together, bound tokens, who acts (RFC 8693 4)."""

from typing import Any

import httpx2
import pytest

from authserver.manage import clients, users
from authserver.records import Event, LiveToken, Session, User
from pytest_authserver import AuthServer, RegisteredClient
from tests.exchanges import (
    ACCESS_TOKEN,
    BACK,
    FRONT,
    GRANT,
    ID_TOKEN,
    JWT,
    SCOPE,
    STORE,
    called_with,
    exchange,
    exchanged,
    front,
    issued,
    server,
    service,
    user,
    web,
)
from tests.proofs import Prover
from tests.world import assert_refused, is_alive

__all__ = ["front", "server", "user", "web"]

EVENT = Event("grant.revoked", "test")


# Everything that is issued from a grant dies with it.


@pytest.mark.parametrize("target", [BACK, STORE])
@pytest.mark.parametrize("how", ["grant", "session", "user", "first client", "own client"])
def test_the_token_dies_with_what_it_came_from(server: AuthServer, target: str, how: str):
    web = server.client(trusted=True, scope=SCOPE)
    front = service(server, FRONT, target)
    user = server.user(f"dying-{how.replace(' ', '-')}-{target[8:11]}")
    allowed = server.allow(web, user, scope="openid read", resource=FRONT)
    text = server.redeem(web, allowed).json()["access_token"]
    answer = exchange(server, front, text)
    assert answer.status_code == 200, answer.text
    everything = server.client(introspects_all=True)
    first = answer.json()["access_token"]
    assert is_alive(server, everything, first)
    with server.later(2):
        _end(server, how, web, front, user, allowed.session)
        assert not is_alive(server, everything, first)
        if how != "own client":
            assert_refused(exchange(server, front, text), "invalid_request")


def _end(
    server: AuthServer, how: str, web: RegisteredClient, front: RegisteredClient, user: User, session: Session
) -> None:
    if how == "grant":
        server.store.grants.revoke(server.store.grants.of_user(user.sub)[0].grant_id, "test", EVENT)
    elif how == "session":
        server.store.sessions.end([session.sid], "test", Event("session.ended", "test"))
    elif how == "user":
        users.set_disabled(server.store, user, disabled=True, actor="test")
    else:
        client = web if how == "first client" else front
        clients.set_disabled(server.store, client.client_id, disabled=True, actor="test")


@pytest.mark.parametrize("target", [BACK, STORE])
def test_the_token_of_a_client_that_acts_for_itself_is_exchanged_and_dies_with_that_client(
    server: AuthServer, target: str
):
    robot, front = server.client(scope="read write"), service(server, FRONT, BACK, STORE)
    asked = {"grant_type": "client_credentials", "scope": "read", "resource": FRONT}
    text = server.token(robot, **asked).json()["access_token"]
    everything = server.client(introspects_all=True)
    got = issued(server, front, text, resource=target)
    said = server.introspect(everything, got)
    assert (said["sub"], said["client_id"], said["act"]) == (robot.client_id, front.client_id, {"sub": front.client_id})
    assert said.keys().isdisjoint({"auth_time", "acr", "amr", "sid"})
    back = service(server, target, FRONT)
    further = issued(server, back, got)
    assert is_alive(server, everything, further)
    with server.later(2):
        clients.set_disabled(server.store, robot.client_id, disabled=True, actor="test")
        assert not is_alive(server, everything, got)
        assert not is_alive(server, everything, further)
        clients.set_disabled(server.store, robot.client_id, disabled=False, actor="test")
        assert not is_alive(server, everything, got), "nothing revives"


@pytest.mark.parametrize("again", [False, True], ids=["off", "off and on"])
def test_a_client_that_is_switched_off_in_the_same_moment_leaves_nothing(
    server: AuthServer, monkeypatch: pytest.MonkeyPatch, *, again: bool
):
    robot, front = server.client(scope="read"), service(server, FRONT, BACK)
    asked = {"grant_type": "client_credentials", "scope": "read", "resource": FRONT}
    text = server.token(robot, **asked).json()["access_token"]
    find = server.store.tokens.find

    def late(digest: bytes) -> LiveToken | None:
        found = find(digest)
        for disabled in (True, False)[: 2 if again else 1]:
            clients.set_disabled(server.store, robot.client_id, disabled=disabled, actor="test")
        return found

    monkeypatch.setattr(server.store.tokens, "find", late)
    assert_refused(exchange(server, front, text), "invalid_request")


def test_a_grant_that_is_revoked_after_the_look_up_leaves_nothing(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User, monkeypatch: pytest.MonkeyPatch
):
    text = called_with(server, web, user)
    monkeypatch.setattr(server.store.grants, "get", lambda _grant_id: None)
    assert_refused(exchange(server, front, text, resource=BACK), "invalid_request")


# Bound tokens (RFC 9449 5, RFC 8705 3).


def _proven(server: AuthServer, client: RegisteredClient, prover: Prover | None, **parameters: Any) -> httpx2.Response:
    headers = {} if prover is None else {"DPoP": prover.proof(url=f"{server.issuer}/token")}
    answer: httpx2.Response = server.http().post("/token", data=parameters, headers=headers, auth=client.basic)
    return answer


def _bound(server: AuthServer, web: RegisteredClient, user: User, prover: Prover) -> str:
    allowed = server.allow(web, user, scope="openid read", resource=FRONT)
    asked = {"grant_type": "authorization_code", "code": allowed.code, "redirect_uri": allowed.redirect_uri}
    answer = _proven(server, web, prover, code_verifier=allowed.pkce.verifier if allowed.pkce else "", **asked)
    assert answer.json()["token_type"] == "DPoP"
    text: str = answer.json()["access_token"]
    return text


def test_a_bound_token_never_becomes_a_bearer_token(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    text = _bound(server, web, user, Prover())
    asked = {"grant_type": GRANT, "subject_token": text, "subject_token_type": ACCESS_TOKEN, "resource": BACK}
    assert_refused(_proven(server, front, None, **asked), "invalid_request")
    own = Prover("p256_other")
    answer = _proven(server, front, own, **asked)
    assert answer.json()["token_type"] == "DPoP"
    assert server.introspect(front, answer.json()["access_token"])["cnf"] == {"jkt": own.jkt}


def test_whoever_was_given_a_bound_token_proves_its_key(server: AuthServer, user: User):
    own = server.client(trusted=True, scope=SCOPE, grant_types=["authorization_code", GRANT], exchange_audiences=[BACK])
    text = _bound(server, own, user, Prover())
    asked = {"grant_type": GRANT, "subject_token": text, "subject_token_type": ACCESS_TOKEN}
    for prover in (None, Prover("p256_other")):
        assert_refused(_proven(server, own, prover, **asked), "invalid_request")
    assert _proven(server, own, Prover(), **asked).json()["token_type"] == "DPoP"


def test_the_token_of_a_client_for_bound_tokens_is_bound(server: AuthServer, web: RegisteredClient, user: User):
    strict = service(server, FRONT, BACK, dpop_bound_access_tokens=True)
    asked = {
        "grant_type": GRANT,
        "subject_token": called_with(server, web, user),
        "subject_token_type": ACCESS_TOKEN,
    }
    assert _proven(server, strict, None, **asked).status_code == 400
    assert _proven(server, strict, Prover(), **asked).json()["token_type"] == "DPoP"


# 4.1: actors.


def test_a_chain_names_the_current_actor_outermost_and_is_bounded(
    server: AuthServer, web: RegisteredClient, user: User
):
    text, act = called_with(server, web, user), None
    for _ in range(4):
        hop = service(server, FRONT, FRONT)
        act = {"sub": hop.client_id} if act is None else {"sub": hop.client_id, "act": act}
        assert exchanged(server, hop, text)["act"] == act
        text = issued(server, hop, text)
        assert exchanged(server, hop, text)["act"] == act, "the same actor is not repeated"
    assert_refused(exchange(server, service(server, FRONT, FRONT), text), "invalid_request")


def test_actors_in_the_request_are_not_looked_at(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    text = called_with(server, web, user)
    forged = {"act": '{"sub":"admin"}', "may_act": '{"sub":"admin"}', "may_impersonate": "true", "sub": "admin"}
    said = exchanged(server, front, text, resource=BACK, **forged)
    assert (said["sub"], said["act"]) == (user.sub, {"sub": front.client_id})


@pytest.mark.parametrize("kind", [ACCESS_TOKEN, ID_TOKEN])
def test_an_actor_token_says_who_acts(server: AuthServer, web: RegisteredClient, user: User, kind: str):
    desk = service(
        server,
        FRONT,
        BACK,
        trusted=True,
        grant_types=["authorization_code", GRANT],
        redirect_uris=["https://desk.test/"],
    )
    agent = server.user(f"agent-{kind[-8:-6]}")
    own = server.tokens(desk, agent, scope="openid read", resource=FRONT)
    acting = {"actor_token": own["access_token" if kind == ACCESS_TOKEN else "id_token"], "actor_token_type": kind}
    text = called_with(server, web, user)
    said = exchanged(server, desk, text, **acting)
    assert (said["sub"], said["client_id"], said["act"]) == (user.sub, desk.client_id, {"sub": agent.sub})
    users.set_disabled(server.store, agent, disabled=True, actor="test")
    assert_refused(exchange(server, desk, text, **acting), "invalid_request")


def test_an_actor_token_has_to_be_the_clients_business_and_of_one_actor(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    agent = server.user("agent-of-others")
    text, others = called_with(server, web, user), server.tokens(web, agent, scope="openid read", resource=BACK)
    passed_on = issued(server, service(server, FRONT, FRONT), called_with(server, web, agent))
    for acting, kind in (
        (others["access_token"], ACCESS_TOKEN),
        (others["id_token"], ID_TOKEN),
        (others["id_token"], ACCESS_TOKEN),
        (others["refresh_token"], ACCESS_TOKEN),
        (passed_on, ACCESS_TOKEN),
        ("x", ID_TOKEN),
        ("x", JWT),
    ):
        answer = exchange(server, front, text, resource=BACK, actor_token=acting, actor_token_type=kind)
        assert_refused(answer, "invalid_request")


def test_an_actor_token_ends_the_issued_one(
    server: AuthServer, web: RegisteredClient, front: RegisteredClient, user: User
):
    acting = called_with(server, web, server.user("agent-of-old"))
    with server.later(500):
        text = called_with(server, web, user)
        asked = {"resource": BACK, "actor_token": acting, "actor_token_type": ACCESS_TOKEN}
        assert exchange(server, front, text, **asked).json()["expires_in"] <= 100


def test_impersonation_is_an_administrators_word_and_is_noted(server: AuthServer, web: RegisteredClient, user: User):
    quiet, front = service(server, FRONT, BACK, may_impersonate=True), service(server, FRONT, FRONT)
    text = called_with(server, web, user)
    assert "act" not in exchanged(server, quiet, text)
    passed_on = issued(server, front, text)
    assert exchanged(server, quiet, passed_on)["act"] == {"sub": front.client_id}, "nobody is forgotten"
    noted = [line.event for line in server.store.audit.list(0, 1000) if line.event.name == "token.impersonated"]
    assert [(event.client_id, event.sub, event.facts["audience"]) for event in noted] == [
        (quiet.client_id, user.sub, BACK)
    ] * 2


# 4.4: who may act.


def test_a_token_that_names_who_may_act_is_good_for_nobody_else(server: AuthServer, user: User):
    named, other = service(server, BACK, STORE), service(server, FRONT, STORE)
    web = server.client(trusted=True, scope=SCOPE, may_act=named.client_id)
    text = called_with(server, web, user)
    assert server.introspect(web, text)["may_act"] == {"sub": named.client_id}
    said = exchanged(server, named, text)
    assert said["act"] == {"sub": named.client_id}, "though the token was not meant for it"
    assert "may_act" not in said
    assert_refused(exchange(server, other, text), "invalid_request")
    agent = called_with(server, server.client(trusted=True, scope=SCOPE), user)
    acting = {"actor_token": agent, "actor_token_type": ACCESS_TOKEN}
    assert_refused(exchange(server, other, text, **acting), "invalid_request")
    assert_refused(exchange(server, service(server, FRONT, STORE, may_impersonate=True), text), "invalid_request")
