"""A proof comes once, on all nodes, and what is remembered of proofs is bounded (RFC 9449 11.1)."""

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from authserver.records import Event, User
from authserver.store.ephemeral import SqlEphemeral
from pytest_authserver import AuthServer, RegisteredClient
from tests.flows.racing import race
from tests.proofs import OTHER, PROVER, Prover, proven
from tests.world import assert_refused

ROUNDS, RACERS = 5, 12


@pytest.fixture(scope="module")
def keyed(authserver: AuthServer) -> RegisteredClient:
    """A client that is registered for bound tokens."""
    return authserver.client(dpop_bound_access_tokens=True)


@pytest.fixture(scope="module")
def racing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[AuthServer]]:
    """A server for each racer: two nodes over one database, with patience where the machine is slow."""
    patience = {"database": {"busy_ms": 20_000}}
    first = AuthServer(tmp_path_factory.mktemp("first"), **patience)
    second = AuthServer(tmp_path_factory.mktemp("second"), database_url=first.settings.database_url, **patience)
    yield [first, second] * (RACERS // 2)
    second.close()
    first.close()


def _itself(authserver: AuthServer, client: RegisteredClient, **headers: str) -> httpx2.Response:
    return authserver.token(client, grant_type="client_credentials", scope="api:read", headers=headers)


def test_a_proof_is_taken_once_on_all_nodes(authserver: AuthServer, node: AuthServer, keyed: RegisteredClient):
    for first, second in ((authserver, node), (node, authserver)):
        headers = proven(authserver)
        assert _itself(first, keyed, **headers).status_code == 200
        for again in (first, second):
            assert_refused(_itself(again, keyed, **headers), "invalid_dpop_proof")


def test_of_many_who_send_one_proof_one_gets_a_token(racing: list[AuthServer]):
    client = racing[0].client()
    for _ in range(ROUNDS):
        headers = proven(racing[0])
        answers = race([partial(_itself, at, client, **headers) for at in racing])
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * (RACERS - 1)
        assert {answer.json()["error"] for answer in answers if answer.is_error} == {"invalid_dpop_proof"}


def test_of_several_first_keys_of_a_public_client_one_stays_5(racing: list[AuthServer]):
    client, user = racing[0].public_client(trusted=True), racing[0].user()
    provers = [Prover(name) for name in ("p256", "p256_other", "p256_third")] * (RACERS // 3)
    for _ in range(ROUNDS):
        token = racing[0].tokens(client, user)["refresh_token"]
        answers = race(
            [
                partial(at.refresh, client, token, headers=proven(at, prover))
                for at, prover in zip(racing, provers, strict=True)
            ]
        )
        keys = {prover.jkt for prover, answer in zip(provers, answers, strict=True) if answer.is_success}
        assert len(keys) == 1, [answer.text for answer in answers]
        assert {answer.json()["error"] for answer in answers if answer.is_error} == {"invalid_grant"}
        assert len({answer.json()["refresh_token"] for answer in answers if answer.is_success}) == 1


@pytest.mark.parametrize(("winner", "status"), [(OTHER, 400), (PROVER, 200)])
def test_whoever_comes_second_with_a_first_key_is_held_to_that_of_the_first_5(
    authserver: AuthServer,
    public: RegisteredClient,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    winner: Prover,
    status: int,
):
    grants = authserver.store.grants
    bind = grants.bind

    def bind_second(grant_id: str, cnf: str) -> bool:
        assert bind(grant_id, json.dumps({"jkt": winner.jkt}))
        return bind(grant_id, cnf)

    token = authserver.tokens(public, alice)["refresh_token"]
    monkeypatch.setattr(grants, "bind", bind_second)
    assert authserver.refresh(public, token, headers=proven(authserver)).status_code == status


def test_a_grant_that_is_revoked_while_it_is_bound_gives_nothing(
    authserver: AuthServer, public: RegisteredClient, alice: User, monkeypatch: pytest.MonkeyPatch
):
    grants = authserver.store.grants
    monkeypatch.setattr(grants, "bind", lambda grant_id, cnf: not grants.revoke(grant_id, "test", Event("test")))
    token = authserver.tokens(public, alice)["refresh_token"]
    assert_refused(authserver.refresh(public, token, headers=proven(authserver)), "invalid_grant")


def test_an_identifier_is_the_affair_of_its_key(authserver: AuthServer, keyed: RegisteredClient):
    jti = f"shared-{time.time_ns()}"
    for prover in (PROVER, OTHER):
        assert _itself(authserver, keyed, **proven(authserver, prover, jti=jti)).status_code == 200
        assert_refused(_itself(authserver, keyed, **proven(authserver, prover, jti=jti)), "invalid_dpop_proof")


def test_a_proof_is_remembered_for_as_long_as_it_is_good(authserver: AuthServer, keyed: RegisteredClient):
    headers = proven(authserver, iat=int(time.time()) + 55)
    assert _itself(authserver, keyed, **headers).status_code == 200
    for seconds in (50, 110, 114, 118, 130):
        with authserver.later(seconds):
            assert_refused(_itself(authserver, keyed, **headers), "invalid_dpop_proof")


def test_a_proof_older_than_the_memory_of_used_ones_is_refused(
    authserver: AuthServer, keyed: RegisteredClient, monkeypatch: pytest.MonkeyPatch
):
    authserver.store.ephemeral.born_at()
    before = int(authserver.store.ephemeral.born_at() // 1_000_000) - 1
    with authserver.later(before - time.time() + 5):
        # The database forgets nothing; a memory beside it may have been emptied at its birth.
        assert _itself(authserver, keyed, **proven(authserver, iat=before)).status_code == 200
        monkeypatch.setattr(authserver.store, "ephemeral", SqlEphemeral(authserver.store.database))
        assert_refused(_itself(authserver, keyed, **proven(authserver, iat=before)), "invalid_dpop_proof")
        assert _itself(authserver, keyed, **proven(authserver, iat=before + 2)).status_code == 200


def test_what_is_remembered_is_bounded_and_a_flood_is_refused_without_forgetting(tmp_path: Path):
    server = AuthServer(tmp_path, limits={"proofs_per_client": 3, "proofs_per_address": 2})
    client, other, public = server.client(), server.client(), server.public_client()
    first = proven(server)
    assert [_itself(server, client, **headers).status_code for headers in (first, proven(server), proven(server))] == [
        200
    ] * 3
    refused = _itself(server, client, **proven(server))
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    with server.later(61 - time.time() % 1):
        assert_refused(_itself(server, client, **first), "invalid_dpop_proof")
    assert _itself(server, other, **proven(server)).status_code == 200
    # A public client is whoever says so: its neighbours at one address share a limit.
    for expected in (400, 400, 429, 429):
        answer = server.refresh(public, "asr_x", headers=proven(server))
        assert answer.status_code == expected
    server.close()
