"""OAuth 2.0 Demonstrating Proof of Possession, DPoP (RFC 9449), at the authorization server.

The proof itself: ``tests/resourceserver/test_dpop.py``. Codes, nonces and replays have files beside this one; userinfo:
``tests/oidc/test_userinfo_dpop.py``.
"""

import logging
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from resourceserver.dpop import ALGORITHMS
from tests.proofs import OTHER, PROVER, RIGHT_KEYS, WRONG, Prover, Wrong, proven
from tests.signing import claims_of
from tests.world import JWT_API, SCOPE, assert_refused

ITSELF = {"grant_type": "client_credentials", "scope": "api:read"}


@pytest.fixture(scope="module")
def keyed(authserver: AuthServer) -> RegisteredClient:
    """A confidential client that is registered for bound tokens."""
    return authserver.client(dpop_bound_access_tokens=True, trusted=True, scope=SCOPE)


def _itself(authserver: AuthServer, client: RegisteredClient, **headers: str) -> httpx2.Response:
    return authserver.token(client, **ITSELF, headers=headers)


def _bound_to(authserver: AuthServer, client: RegisteredClient, tokens: dict[str, Any]) -> str | None:
    """Return the thumbprint of the key that introspection names."""
    said = authserver.introspect(client, tokens["access_token"])
    assert said["token_type"] == tokens["token_type"] == ("DPoP" if "cnf" in said else "Bearer")
    jkt: str | None = said.get("cnf", {}).get("jkt")
    return jkt


# 4.3: what is refused, at the token endpoint and where requests are pushed.


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_proof_is_refused(
    authserver: AuthServer, client: RegisteredClient, keyed: RegisteredClient, wrong: Wrong
):
    for asking in (client, keyed):
        proof = wrong(PROVER, "POST", f"{authserver.issuer}/token", None)
        assert_refused(_itself(authserver, asking, DPoP=proof), "invalid_dpop_proof")
    # A client of its own: a client may push 60 requests a minute.
    pushing = authserver.client()
    proof = wrong(PROVER, "POST", f"{authserver.issuer}/par", None)
    assert_refused(authserver.push(pushing, authserver.pkce(), headers={"DPoP": proof}), "invalid_dpop_proof")


def test_the_reason_is_for_the_log_with_the_client_and_without_the_proof(
    authserver: AuthServer, keyed: RegisteredClient, caplog: pytest.LogCaptureFixture
):
    proof = PROVER.proof("PUT", f"{authserver.issuer}/token", jti="unheard-of")
    with caplog.at_level(logging.INFO, "authserver"):
        _itself(authserver, keyed, DPoP=proof)
    (line,) = [record for record in caplog.records if record.name == "authserver.oauth.dpop"]
    assert (line.getMessage(), vars(line)["client_id"]) == (
        "proof refused: htm missing or of another method",
        keyed.client_id,
    )
    assert "unheard-of" not in caplog.text


def test_a_stranger_learns_nothing_of_proofs(authserver: AuthServer, keyed: RegisteredClient):
    wrong = RegisteredClient(keyed.client_id, "wrong", keyed.redirect_uri, {})
    for headers in ({}, {"DPoP": "x"}, proven(authserver)):
        assert_refused(_itself(authserver, wrong, **headers), "invalid_client", 401)


def test_what_a_request_says_of_host_and_scheme_does_not_count(authserver: AuthServer, keyed: RegisteredClient):
    forged = {"Host": "evil.test", "X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https"}
    assert _itself(authserver, keyed, **forged, **proven(authserver)).status_code == 200
    for url in ("http://evil.test/token", "https://evil.test/token"):
        assert_refused(_itself(authserver, keyed, **forged, DPoP=PROVER.proof("POST", url)), "invalid_dpop_proof")


# 5: token requests.


@pytest.mark.parametrize(("name", "algorithm"), RIGHT_KEYS)
def test_a_token_is_bound_to_the_key_of_the_proof_and_of_the_typeproven(
    authserver: AuthServer, client: RegisteredClient, alice: User, name: str, algorithm: str
):
    prover = Prover(name, algorithm)
    answer = authserver.redeem(client, authserver.allow(client, alice), headers=proven(authserver, prover))
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "DPoP"
    assert _bound_to(authserver, client, answer.json()) == prover.jkt
    refreshed = authserver.refresh(client, answer.json()["refresh_token"], headers=proven(authserver, prover))
    assert _bound_to(authserver, client, refreshed.json()) == prover.jkt


def test_a_jwt_says_itself_which_key_it_is_bound_to_6_1(authserver: AuthServer, client: RegisteredClient, alice: User):
    allowed = authserver.allow(client, alice, scope="openid jwt:read", resource=JWT_API)
    tokens = authserver.redeem(client, allowed, headers=proven(authserver)).json()
    assert claims_of(tokens["access_token"])["cnf"] == {"jkt": PROVER.jkt}
    assert _bound_to(authserver, client, tokens) == PROVER.jkt


def test_a_client_that_sends_no_proof_gets_bearer_tokens(authserver: AuthServer, client: RegisteredClient, alice: User):
    tokens = authserver.tokens(client, alice)
    assert tokens["token_type"] == "Bearer"
    assert _bound_to(authserver, client, tokens) is None


def test_a_wrong_proof_costs_no_code_and_no_refresh_token(authserver: AuthServer, keyed: RegisteredClient, alice: User):
    allowed = authserver.allow(keyed, alice)
    for headers in ({}, {"DPoP": ""}, proven(authserver, path="/par"), proven(authserver, iat=1)):
        assert_refused(authserver.redeem(keyed, allowed, headers=headers), "invalid_dpop_proof")
    tokens = authserver.redeem(keyed, allowed, headers=proven(authserver)).json()
    for headers in ({}, {"DPoP": ""}, proven(authserver, path="/par"), proven(authserver, iat=1)):
        assert_refused(authserver.refresh(keyed, tokens["refresh_token"], headers=headers), "invalid_dpop_proof")
    assert authserver.refresh(keyed, tokens["refresh_token"], headers=proven(authserver)).status_code == 200


def test_the_refresh_tokens_of_a_public_client_stay_with_its_key(
    authserver: AuthServer, public: RegisteredClient, alice: User
):
    tokens = authserver.redeem(public, authserver.allow(public, alice), headers=proven(authserver)).json()
    for _ in range(2):
        token = tokens["refresh_token"]
        assert_refused(authserver.refresh(public, token), "invalid_grant")
        assert_refused(authserver.refresh(public, token, headers=proven(authserver, OTHER)), "invalid_grant")
        assert_refused(authserver.refresh(public, token, headers=proven(authserver, path="/x")), "invalid_dpop_proof")
        # Nothing of that was a use of it.
        tokens = authserver.refresh(public, token, headers=proven(authserver)).json()
        assert tokens["token_type"] == "DPoP"
        assert tokens["refresh_token"] != token


def test_a_public_client_that_begins_to_send_proofs_is_held_to_its_key_from_then_on(
    authserver: AuthServer, public: RegisteredClient, alice: User
):
    tokens = authserver.tokens(public, alice)
    tokens = authserver.refresh(public, tokens["refresh_token"]).json()
    assert tokens["token_type"] == "Bearer"
    tokens = authserver.refresh(public, tokens["refresh_token"], headers=proven(authserver)).json()
    for headers in ({}, proven(authserver, OTHER)):
        assert_refused(authserver.refresh(public, tokens["refresh_token"], headers=headers), "invalid_grant")
    assert authserver.refresh(public, tokens["refresh_token"], headers=proven(authserver)).status_code == 200


def test_a_thief_who_proves_the_first_key_loses_all_when_the_stolen_token_comes_back(
    authserver: AuthServer, public: RegisteredClient, alice: User
):
    stolen = authserver.tokens(public, alice)["refresh_token"]
    taken = authserver.refresh(public, stolen, headers=proven(authserver, OTHER)).json()
    assert_refused(authserver.refresh(public, stolen), "invalid_grant")
    with authserver.later(120):
        late = int(time.time()) + 120
        headers = proven(authserver, OTHER, iat=late)
        taken = authserver.refresh(public, taken["refresh_token"], headers=headers).json()
        assert_refused(authserver.refresh(public, stolen), "invalid_grant")
        headers = proven(authserver, OTHER, iat=late)
        assert_refused(authserver.refresh(public, taken["refresh_token"], headers=headers), "invalid_grant")


def test_a_token_that_always_needed_its_key_takes_nothing_away_without_it(
    authserver: AuthServer, public: RegisteredClient, alice: User
):
    first = authserver.tokens(public, alice)["refresh_token"]
    second = authserver.refresh(public, first, headers=proven(authserver)).json()["refresh_token"]
    third = authserver.refresh(public, second, headers=proven(authserver)).json()["refresh_token"]
    with authserver.later(120):
        late = int(time.time()) + 120
        for headers in ({}, proven(authserver, OTHER, iat=late)):
            assert_refused(authserver.refresh(public, second, headers=headers), "invalid_grant")
        assert authserver.refresh(public, third, headers=proven(authserver, iat=late)).status_code == 200


@pytest.mark.parametrize("late", [0, 120])
def test_a_replaced_token_binds_the_grant_to_nobody(
    authserver: AuthServer, public: RegisteredClient, alice: User, late: int
):
    first = authserver.tokens(public, alice)["refresh_token"]
    second = authserver.refresh(public, first).json()["refresh_token"]
    with authserver.later(late):
        headers = proven(authserver, OTHER, iat=int(time.time()) + late)
        assert_refused(authserver.refresh(public, first, headers=headers), "invalid_grant")
        # Inside the window nothing has happened; outside of it the token was stolen.
        assert authserver.refresh(public, second).status_code == (400 if late else 200)


def test_the_refresh_tokens_of_a_client_with_credentials_may_change_their_key(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    allowed = authserver.allow(client, alice, dpop_jkt=PROVER.jkt)
    tokens = authserver.redeem(client, allowed, headers=proven(authserver)).json()
    tokens = authserver.refresh(client, tokens["refresh_token"], headers=proven(authserver, OTHER)).json()
    assert _bound_to(authserver, client, tokens) == OTHER.jkt
    assert authserver.refresh(client, tokens["refresh_token"]).json()["token_type"] == "Bearer"


# 5.1, 5.2: metadata.


def test_the_metadata_names_the_algorithms_5_1(authserver: AuthServer):
    document = authserver.get("/.well-known/oauth-authorization-server").json()
    assert document["dpop_signing_alg_values_supported"] == list(ALGORITHMS)


def test_a_client_that_is_registered_for_it_gets_no_token_without_a_proof_5_2(
    authserver: AuthServer, keyed: RegisteredClient, alice: User
):
    public = authserver.public_client(dpop_bound_access_tokens=True, trusted=True)
    assert_refused(_itself(authserver, keyed), "invalid_dpop_proof")
    for asking in (keyed, public):
        allowed = authserver.allow(asking, alice)
        assert_refused(authserver.redeem(asking, allowed), "invalid_dpop_proof")
        tokens = authserver.redeem(asking, allowed, headers=proven(authserver)).json()
        assert tokens["token_type"] == "DPoP"
        assert_refused(authserver.refresh(asking, tokens["refresh_token"]), "invalid_dpop_proof")


def test_the_profile_fapi2_asks_for_it(authserver: AuthServer):
    registered = authserver.client(
        profile="fapi2",
        jwks={"keys": [{**PROVER.jwk, "kid": "one"}]},
        grant_types=["client_credentials"],
        redirect_uris=None,
    )
    assert registered.registration["dpop_bound_access_tokens"] is True


@pytest.mark.parametrize("member", ["dpop_bound_access_tokens", "dpop_require_nonce"])
def test_the_members_are_true_or_false(authserver: AuthServer, member: str):
    for value in (True, False):
        assert authserver.client(**{member: value}).registration[member] is value
    for wrong in ("true", 1, []):
        with pytest.raises(InvalidMetadata):
            authserver.client(**{member: wrong})


# Switched off.


def test_switched_off_it_says_nothing_and_binds_nothing_but_breaks_no_promise(tmp_path: Path):
    on = AuthServer(tmp_path)
    off = AuthServer(tmp_path, features={"dpop": False})
    user, client = on.user(), on.client(trusted=True)
    keyed, public = on.client(dpop_bound_access_tokens=True), on.public_client(trusted=True)
    assert "dpop_signing_alg_values_supported" not in off.get("/.well-known/oauth-authorization-server").json()
    for headers in (proven(off), {"DPoP": "x"}):
        answer = off.redeem(client, off.allow(client, user, dpop_jkt="x"), headers=headers)
        assert answer.json()["token_type"] == "Bearer"
        assert "DPoP-Nonce" not in answer.headers
    # What was promised while it was on is kept.
    assert_refused(off.token(keyed, **ITSELF, headers=proven(off)), "invalid_request")
    tokens = on.redeem(public, on.allow(public, user), headers=proven(on)).json()
    assert_refused(off.refresh(public, tokens["refresh_token"], headers=proven(off)), "invalid_grant")
    for scheme in ("Bearer", "DPoP"):
        with off.http(headers={"Authorization": f"{scheme} {tokens['access_token']}"}) as http:
            assert_refused(http.get("/userinfo"), "invalid_token", 401)
    assert on.refresh(public, tokens["refresh_token"], headers=proven(on)).status_code == 200
    for asking in (client, public):
        named = on.allow(asking, user, dpop_jkt=PROVER.jkt)
        assert_refused(off.redeem(asking, named, headers=proven(off)), "invalid_grant")
    free = off.tokens(client, user)["access_token"]
    for scheme, status in (("Bearer", 200), ("DPoP", 401)):
        with off.http(headers={"Authorization": f"{scheme} {free}"}) as http:
            assert http.get("/userinfo").status_code == status
    off.close()
    on.close()
