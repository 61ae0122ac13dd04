"""Nonces of the authorization server in DPoP proofs (RFC 9449 8, 11.3)."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from resourceserver.dpop import NONCE_SECONDS, Nonces
from tests.proofs import proven
from tests.world import assert_refused

SECRET = "one secret of all nodes, for these tests alone"


@pytest.fixture(scope="module")
def demanding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server that demands a nonce in every proof."""
    server = AuthServer(tmp_path_factory.mktemp("demanding"), secret_key=SECRET, dpop={"require_nonce": True})
    yield server
    server.close()


@pytest.fixture(scope="module")
def keyed(demanding: AuthServer) -> RegisteredClient:
    """A client of that server."""
    return demanding.client(trusted=True)


@pytest.fixture(scope="module")
def careful(authserver: AuthServer) -> RegisteredClient:
    """A client of the ordinary server that wants to be asked for nonces."""
    return authserver.client(trusted=True, dpop_require_nonce=True, dpop_bound_access_tokens=True)


def _itself(at: AuthServer, client: RegisteredClient, **claims: object) -> httpx2.Response:
    parameters = {"grant_type": "client_credentials", "scope": "api:read"}
    return at.token(client, **parameters, headers=proven(at, **claims))


def _challenge(answer: httpx2.Response) -> str:
    """Return the nonce of a challenge."""
    assert_refused(answer, "use_dpop_nonce")
    (nonce,) = answer.headers.get_list("dpop-nonce")
    return nonce


def test_a_proof_without_a_nonce_is_answered_with_one_and_with_it_the_next_is_good(
    demanding: AuthServer, keyed: RegisteredClient
):
    nonce = _challenge(_itself(demanding, keyed))
    # RFC 9449 8.1: NQCHAR.
    assert nonce.replace("-", "").replace("_", "").isalnum()
    answer = _itself(demanding, keyed, nonce=nonce)
    assert answer.json()["token_type"] == "DPoP"
    # A nonce may serve as often as one likes; the proofs differ.
    assert _itself(demanding, keyed, nonce=nonce).status_code == 200


def test_a_client_may_be_registered_to_be_asked_while_others_are_not(
    authserver: AuthServer, careful: RegisteredClient, client: RegisteredClient
):
    nonce = _challenge(_itself(authserver, careful))
    assert _itself(authserver, careful, nonce=nonce).status_code == 200
    answer = _itself(authserver, client)
    assert answer.status_code == 200
    assert "dpop-nonce" not in answer.headers
    # Nobody has asked for it, so it does not count.
    assert _itself(authserver, client, nonce="x").status_code == 200


def test_a_challenge_costs_no_code_no_refresh_token_and_no_proof(
    authserver: AuthServer, careful: RegisteredClient, alice: User
):
    allowed, first = authserver.allow(careful, alice), proven(authserver)
    nonce = _challenge(authserver.redeem(careful, allowed, headers=first))
    assert _challenge(authserver.redeem(careful, allowed, headers=first)) == nonce
    tokens = authserver.redeem(careful, allowed, headers=proven(authserver, nonce=nonce)).json()
    nonce = _challenge(authserver.refresh(careful, tokens["refresh_token"], headers=proven(authserver)))
    again = authserver.refresh(careful, tokens["refresh_token"], headers=proven(authserver, nonce=nonce))
    assert again.json()["token_type"] == "DPoP"


def test_a_pushed_request_is_asked_as_well_8_and_10_1(authserver: AuthServer, careful: RegisteredClient):
    pkce = authserver.pkce()
    nonce = _challenge(authserver.push(careful, pkce, headers=proven(authserver, path="/par")))
    headers = proven(authserver, path="/par", nonce=nonce)
    assert authserver.push(careful, pkce, headers=headers).status_code == 201


def test_without_a_proof_there_is_no_nonce_to_ask_for(demanding: AuthServer, keyed: RegisteredClient):
    answer = demanding.token(keyed, grant_type="client_credentials", scope="api:read")
    assert answer.json()["token_type"] == "Bearer"


def test_a_wrong_proof_is_told_so_whatever_its_nonce(demanding: AuthServer, keyed: RegisteredClient):
    nonce = _challenge(_itself(demanding, keyed))
    assert_refused(_itself(demanding, keyed, nonce=nonce, htm="PUT"), "invalid_dpop_proof")


def test_a_stranger_gets_no_nonce(demanding: AuthServer, keyed: RegisteredClient):
    answer = _itself(demanding, RegisteredClient(keyed.client_id, "wrong", "", {}))
    assert_refused(answer, "invalid_client", 401)
    assert "dpop-nonce" not in answer.headers


# 8.2, 11.2: how long it is good.


def test_an_old_nonce_is_answered_with_a_new_one(demanding: AuthServer, keyed: RegisteredClient):
    nonce = _challenge(_itself(demanding, keyed))
    with demanding.later(2 * NONCE_SECONDS):
        moment = int(time.time()) + 2 * NONCE_SECONDS
        new = _challenge(_itself(demanding, keyed, nonce=nonce, iat=moment))
        assert new != nonce
        assert _itself(demanding, keyed, nonce=new, iat=moment).status_code == 200


def test_a_good_answer_brings_the_next_nonce_when_its_time_has_come(demanding: AuthServer, keyed: RegisteredClient):
    beginning = NONCE_SECONDS - time.time() % NONCE_SECONDS + 1
    with demanding.later(beginning):
        moment = int(time.time() + beginning)
        nonce = _challenge(_itself(demanding, keyed, iat=moment))
        assert "dpop-nonce" not in _itself(demanding, keyed, nonce=nonce, iat=moment).headers
    with demanding.later(beginning + NONCE_SECONDS):
        moment = int(time.time() + beginning + NONCE_SECONDS)
        answer = _itself(demanding, keyed, nonce=nonce, iat=moment)
        assert answer.status_code == 200
        (following,) = answer.headers.get_list("dpop-nonce")
        # 8.2: so that no cache serves it to somebody else.
        assert answer.headers["cache-control"] == "no-store"
        assert _itself(demanding, keyed, nonce=following, iat=moment).status_code == 200
        pushed = demanding.push(
            keyed, demanding.pkce(), headers=proven(demanding, path="/par", nonce=nonce, iat=moment)
        )
        assert pushed.headers["dpop-nonce"] == following


def test_the_nonce_of_one_node_is_good_at_another_and_after_a_restart(
    demanding: AuthServer, keyed: RegisteredClient, tmp_path: Path
):
    again = {"database_url": demanding.settings.database_url, "secret_key": SECRET, "dpop": {"require_nonce": True}}
    nonce = _challenge(_itself(demanding, keyed))
    other = AuthServer(tmp_path, **again)
    assert _itself(other, keyed, nonce=nonce).status_code == 200
    assert _itself(demanding, keyed, nonce=_challenge(_itself(other, keyed))).status_code == 200
    other.close()


def test_a_nonce_of_somebody_else_is_none(
    demanding: AuthServer, authserver: AuthServer, careful: RegisteredClient, keyed: RegisteredClient
):
    other_issuer = _challenge(_itself(authserver, careful))
    resource = Nonces(b"the key of a resource server's nonces").current(time.time())
    for nonce in (other_issuer, resource, "guessed", "", str(int(time.time())), "0" * 43, "\u00e9" * 43):
        _challenge(_itself(demanding, keyed, nonce=nonce))
