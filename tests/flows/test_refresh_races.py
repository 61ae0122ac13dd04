"""One refresh token, many who use it at the same moment at two server processes (RFC 9700 4.14.2)."""

from itertools import cycle, islice

import httpx2
import pytest
from sqlalchemy import select

from authserver.crypto import Kind, digest_of
from authserver.store.tables import refresh_tokens
from pytest_authserver import RegisteredClient
from tests.flows.conftest import Nodes
from tests.flows.racing import RACERS, ROUNDS, post, race

pytestmark = pytest.mark.slow


def _refresh(nodes: Nodes, client: RegisteredClient, token: str, times: int = RACERS) -> list[httpx2.Response]:
    parameters = {"grant_type": "refresh_token", "refresh_token": token}
    return race([post(http, "/token", client.basic, **parameters) for http in islice(cycle(nodes.clients), times)])


def _is_active(nodes: Nodes, client: RegisteredClient, token: str) -> list[bool]:
    return [post(http, "/introspect", client.basic, token=token)().json()["active"] for http in nodes.clients]


def _unused(nodes: Nodes, token: str) -> list[bytes]:
    """Return the digests of the refresh tokens that were never used, of the grant of this one."""
    own = select(refresh_tokens.c.grant_id).where(refresh_tokens.c.digest == digest_of(Kind.REFRESH, token))
    unused = select(refresh_tokens.c.digest).where(
        refresh_tokens.c.grant_id == own.scalar_subquery(), refresh_tokens.c.rotated_at.is_(None)
    )
    with nodes.world.store.database.engine.connect() as connection:
        return list(connection.execute(unused).scalars())


def _audited(nodes: Nodes, name: str, client: RegisteredClient) -> int:
    lines = nodes.world.store.audit.list(0, 1_000_000, name)
    return sum(line.event.client_id == client.client_id for line in lines)


def test_one_rotates_and_all_get_the_same_successor(nodes: Nodes) -> None:
    client, user = nodes.world.client(), nodes.world.user("refresh-together")
    token = nodes.world.tokens(client, user)["refresh_token"]
    for number in range(1, ROUNDS + 1):
        answers = _refresh(nodes, client, token)
        assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
        found = [answer.json() for answer in answers]
        (successor,) = {each["refresh_token"] for each in found}
        assert successor != token
        assert len({each["access_token"] for each in found}) == RACERS
        assert _is_active(nodes, client, found[-1]["access_token"]) == [True, True]
        assert _unused(nodes, token) == [digest_of(Kind.REFRESH, successor)]
        assert _audited(nodes, "refresh.repeated", client) == number * (RACERS - 1)
        token = successor


def test_without_a_window_all_but_one_are_reuse_and_nothing_survives(nodes: Nodes) -> None:
    client, user = nodes.world.client(grace_seconds=0), nodes.world.user("refresh-no-window")
    for number in range(1, ROUNDS + 1):
        token = nodes.world.tokens(client, user)["refresh_token"]
        answers = _refresh(nodes, client, token)
        assert [answer.status_code for answer in answers].count(200) <= 1
        assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"invalid_grant"}
        for answer in answers:
            if answer.status_code == 200:
                for name in ("access_token", "refresh_token"):
                    assert _is_active(nodes, client, answer.json()[name]) == [False, False]
        assert _audited(nodes, "refresh.reused", client) == number
    assert nodes.world.store.grants.of_user(user.sub) == ()


def test_strangers_who_try_at_the_same_moment_change_nothing(nodes: Nodes) -> None:
    owner, stranger = nodes.world.client(), nodes.world.client()
    token = nodes.world.tokens(owner, nodes.world.user("refresh-strangers"))["refresh_token"]
    for number in range(ROUNDS):
        callers = [stranger] * RACERS
        callers[number] = owner
        answers = race(
            [
                post(http, "/token", caller.basic, grant_type="refresh_token", refresh_token=token)
                for http, caller in zip(cycle(nodes.clients), callers, strict=False)
            ]
        )
        assert [answer.status_code for answer in answers].count(200) == 1
        token = answers[number].json()["refresh_token"]


def test_after_a_revocation_and_refreshes_at_the_same_moment_nothing_is_left(nodes: Nodes) -> None:
    client, user = nodes.world.client(), nodes.world.user("refresh-revoked")
    for _ in range(ROUNDS):
        token = nodes.world.tokens(client, user)["refresh_token"]
        acts = []
        for number, http in enumerate(islice(cycle(nodes.clients), RACERS)):
            refreshing = post(http, "/token", client.basic, grant_type="refresh_token", refresh_token=token)
            revoking = post(http, "/revoke", client.basic, token=token)
            acts.append(revoking if number in {7, 8} else refreshing)
        answers = race(acts)
        assert {answer.status_code for answer in answers} <= {200, 400}
        for answer in answers:
            for name in ("access_token", "refresh_token"):
                if name in answer.json():
                    assert _is_active(nodes, client, answer.json()[name]) == [False, False]
    assert nodes.world.store.grants.of_user(user.sub) == ()


def test_after_a_withdrawal_of_consent_and_refreshes_at_the_same_moment_nothing_is_left(nodes: Nodes) -> None:
    from authserver.identity import accounts

    client, user = nodes.world.client(), nodes.world.user("refresh-withdrawn")
    for _ in range(ROUNDS):
        token = nodes.world.tokens(client, user)["refresh_token"]
        parameters = {"grant_type": "refresh_token", "refresh_token": token}
        acts = [post(http, "/token", client.basic, **parameters) for http in islice(cycle(nodes.clients), RACERS)]
        withdraw = lambda: accounts.withdraw(nodes.world.server, user.sub, client.client_id)  # noqa: E731
        answers = race([*acts, withdraw])[:-1]
        for answer in answers:
            if answer.status_code == 200:
                assert _is_active(nodes, client, answer.json()["access_token"]) == [False, False]
                assert _is_active(nodes, client, answer.json()["refresh_token"]) == [False, False]
    assert nodes.world.store.grants.of_user(user.sub) == ()


def test_what_one_process_revokes_is_dead_at_the_other_in_the_next_request(nodes: Nodes) -> None:
    client, user = nodes.world.client(), nodes.world.user("refresh-other-node")
    for first, second in [nodes.clients, nodes.clients[::-1]] * (ROUNDS // 2):
        tokens = nodes.world.tokens(client, user)
        for name in ("access_token", "refresh_token"):
            assert post(second, "/introspect", client.basic, token=tokens[name])().json()["active"]
            assert post(first, "/revoke", client.basic, token=tokens[name])().status_code == 200
            assert post(second, "/introspect", client.basic, token=tokens[name])().json() == {"active": False}
