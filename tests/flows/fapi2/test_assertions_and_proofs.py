"""FAPI 2.0 Security Profile: client assertions (5.3.2.1, 5.4.1) and the binding of codes by DPoP (RFC 9449 10)."""

import time
from typing import Any

import pytest

from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer
from tests import signing
from tests.fapi import Party
from tests.flows.fapi2.world import party
from tests.world import assert_refused

_ITSELF = {"grant_type": "client_credentials", "scope": "api:read"}


@pytest.fixture(scope="module")
def signing_one(at: AuthServer) -> Party:
    """A client that authenticates by assertions and binds by DPoP."""
    return party(at, "private_key_jwt", "dpop")


# Client assertions (5.3.2.1, 5.4.1).


@pytest.mark.parametrize("path", ["/par", "/token"])
@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": int(time.time()) - 300},
        {"aud": "https://other.test"},
        {"aud": None},
        {"sub": None},
        {"nbf": 2**40},
    ],
    ids=["long ago", "five minutes ago", "other aud", "no aud", "no sub", "not yet"],
)
def test_a_bad_assertion_is_refused(signing_one: Party, path: str, changes: dict[str, Any]):
    answer = signing_one.post(path, **{**_ITSELF, **signing_one.assertion(**changes)})
    assert_refused(answer, "invalid_client", 401)


@pytest.mark.parametrize("path", ["/par", "/token"])
def test_the_audience_is_the_issuer_as_a_string(at: AuthServer, signing_one: Party, path: str):
    for audience in ([at.issuer], [at.issuer, "x"], f"{at.issuer}/token", f"{at.issuer}/par", f"{at.issuer}/"):
        answer = signing_one.post(path, **{**_ITSELF, **signing_one.assertion(aud=audience)})
        assert_refused(answer, "invalid_client", 401)


def test_an_assertion_by_rs256_is_refused(at: AuthServer):
    rsa = party(at, "private_key_jwt", "dpop", key="rsa", algorithm="PS256")
    assert rsa.post("/token", **_ITSELF).status_code == 200
    assert_refused(rsa.but(algorithm="RS256").post("/token", **_ITSELF), "invalid_client", 401)


@pytest.mark.parametrize("algorithm", ["PS256", "ES256", "EdDSA", "Ed25519"])
def test_the_algorithms_of_the_profile_are_accepted(at: AuthServer, algorithm: str):
    one = party(at, "private_key_jwt", "dpop", key=signing.KIND_OF[algorithm], algorithm=algorithm)
    assert one.push().status_code == 201


def test_no_assertion_at_all_is_refused(signing_one: Party):
    assert_refused(signing_one.leaving_out("assertion").post("/token", **_ITSELF), "invalid_client", 401)


def test_a_clock_that_is_ten_seconds_fast_is_forgiven_and_one_of_a_minute_is_not(signing_one: Party):
    for ahead, status in ((8, 201), (180, 401)):
        moment = int(time.time()) + ahead
        made = signing_one.assertion(iat=moment, nbf=moment, exp=moment + 60)
        parameters = signing_one.request(signing_one.server.pkce().challenge)
        assert signing_one.post("/par", **{**parameters, **made}).status_code == status


# Binding of the code (RFC 9449 10).


def test_a_proof_at_par_binds_the_code(signing_one: Party, user: User):
    flow = signing_one.walk(signing_one.begin(), user)
    answer = signing_one.but(proof_key="p256_third").redeem(flow)
    assert answer.json()["error"] in {"invalid_grant", "invalid_dpop_proof"}
    assert signing_one.redeem(signing_one.walk(signing_one.begin(), user)).status_code == 200


def test_dpop_jkt_binds_the_code_and_has_to_fit_the_proof_at_par(signing_one: Party, user: User):
    right = signing.key(signing_one.proof_key).thumbprint()
    quiet = signing_one.leaving_out("proof")
    flow = signing_one.walk(quiet.begin(dpop_jkt=right), user)
    assert signing_one.redeem(flow).status_code == 200
    flow = signing_one.walk(quiet.begin(dpop_jkt=right), user)
    assert signing_one.but(proof_key="p256_third").redeem(flow).status_code == 400
    wrong = signing.key("p256_third").thumbprint()
    answer = signing_one.push(dpop_jkt=wrong)
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_request", "invalid_dpop_proof"}


@pytest.mark.parametrize("seconds", [-10, 10])
def test_a_proof_ten_seconds_off_is_accepted_everywhere(at: AuthServer, signing_one: Party, user: User, seconds: int):
    def proof(method: str, path: str, token: str | None = None) -> dict[str, str]:
        return {"DPoP": signing_one.proof(method, at.issuer + path, token, iat=int(time.time()) + seconds)}

    pkce = at.pkce()
    pushed = signing_one.post("/par", headers=proof("POST", "/par"), **signing_one.request(pkce.challenge))
    assert pushed.status_code == 201
    query = {"client_id": signing_one.client.client_id, "request_uri": pushed.json()["request_uri"]}
    code = at.browser(user).visit_request(query).callback["code"]
    redeemed = {"grant_type": "authorization_code", "code": code, "code_verifier": pkce.verifier}
    token = signing_one.post("/token", headers=proof("POST", "/token"), **redeemed).json()["access_token"]
    assert signing_one.userinfo(token, **proof("GET", "/userinfo", token)).status_code == 200


def test_nbf_and_exp_in_a_proof_do_not_disturb(at: AuthServer, signing_one: Party):
    moment = int(time.time())
    proof = signing_one.proof("POST", f"{at.issuer}/token", nbf=moment, exp=moment + 60)
    assert signing_one.post("/token", headers={"DPoP": proof}, **_ITSELF).status_code == 200


# Registration.


def test_a_client_of_the_profile_cannot_do_without_a_binding(at: AuthServer):
    for members in (
        {"dpop_bound_access_tokens": False},
        {"require_pushed_authorization_requests": False},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "none"},
        {"token_endpoint_auth_signing_alg": "RS256"},
        {"id_token_signed_response_alg": "RS256"},
        {"refresh_rotation": True},
        {"require_pkce": False},
    ):
        with pytest.raises(InvalidMetadata):
            party(at, "private_key_jwt", "dpop", **members)
