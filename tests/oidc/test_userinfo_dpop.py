"""UserInfo with tokens that are bound to a key (RFC 9449 7)."""

import time
from typing import Any

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from resourceserver.dpop import ALGORITHMS, NONCE_SECONDS
from tests.flows.racing import race
from tests.proofs import OTHER, PROVER, WRONG, WRONG_AT_RESOURCES, Prover, Wrong, proven
from tests.world import JWT_API, assert_refused

ALGS = " ".join(ALGORITHMS)
RACERS = 8


@pytest.fixture(scope="module")
def bound(authserver: AuthServer, client: RegisteredClient, alice: User) -> str:
    """An access token that is bound to the prover's key."""
    answer = authserver.redeem(client, authserver.allow(client, alice), headers=proven(authserver))
    token: str = answer.json()["access_token"]
    return token


@pytest.fixture(scope="module")
def url(authserver: AuthServer) -> str:
    return f"{authserver.issuer}/userinfo"


def _ask(
    at: AuthServer, token: str, proof: str | None, *, scheme: str = "DPoP", method: str = "GET", **more: Any
) -> httpx2.Response:
    headers = {"Authorization": f"{scheme} {token}", **more.pop("headers", {})}
    with at.http(headers=headers if proof is None else {**headers, "DPoP": proof}) as http:
        return http.request(method, "/userinfo", **more)


def _assert_challenged(answer: httpx2.Response, error: str) -> None:
    """Check a refusal in the scheme DPoP (7.1)."""
    assert (answer.status_code, answer.json()["error"]) == (401, error), answer.text
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith(f'DPoP realm="authserver", error="{error}", error_description="')
    assert challenge.endswith(f'", algs="{ALGS}"')
    assert answer.headers["cache-control"] == "no-store"


# 7.1: the scheme DPoP.


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP", "dPoP", "DPoP "])
def test_a_bound_token_needs_a_proof_and_a_scheme_of_any_case(
    authserver: AuthServer, bound: str, url: str, alice: User, scheme: str
):
    for method in ("GET", "POST"):
        answer = _ask(authserver, bound, PROVER.proof(method, url, bound), scheme=scheme, method=method)
        assert answer.json()["sub"] == alice.sub
        assert "dpop-nonce" not in answer.headers


def test_a_jwt_is_held_to_its_key_as_well(authserver: AuthServer, client: RegisteredClient, alice: User, url: str):
    allowed = authserver.allow(client, alice, scope="openid jwt:read", resource=JWT_API)
    token = authserver.redeem(client, allowed, headers=proven(authserver)).json()["access_token"]
    assert _ask(authserver, token, PROVER.proof("GET", url, token)).json()["sub"] == alice.sub
    _assert_challenged(_ask(authserver, token, OTHER.proof("GET", url, token)), "invalid_token")
    assert_refused(authserver.get("/userinfo", token), "invalid_token", 401)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_proof_is_refused(authserver: AuthServer, bound: str, url: str, wrong: Wrong):
    _assert_challenged(_ask(authserver, bound, wrong(PROVER, "GET", url, bound)), "invalid_dpop_proof")


@pytest.mark.parametrize("wrong", WRONG_AT_RESOURCES.values(), ids=WRONG_AT_RESOURCES)
def test_a_proof_that_is_not_for_this_token_is_refused(authserver: AuthServer, bound: str, url: str, wrong: Wrong):
    answer = _ask(authserver, bound, wrong(PROVER, "GET", url, bound))
    assert answer.json()["error"] in {"invalid_token", "invalid_dpop_proof"}
    _assert_challenged(answer, answer.json()["error"])


def test_a_missing_proof_is_refused(authserver: AuthServer, bound: str):
    _assert_challenged(_ask(authserver, bound, None), "invalid_dpop_proof")


def test_a_proof_for_the_other_method_or_another_endpoint_is_refused(authserver: AuthServer, bound: str, url: str):
    for proof in (PROVER.proof("POST", url, bound), PROVER.proof("GET", f"{authserver.issuer}/token", bound)):
        _assert_challenged(_ask(authserver, bound, proof), "invalid_dpop_proof")


def test_a_proof_comes_once(authserver: AuthServer, bound: str, url: str):
    proof = PROVER.proof("GET", url, bound)
    assert _ask(authserver, bound, proof).status_code == 200
    _assert_challenged(_ask(authserver, bound, proof), "invalid_dpop_proof")
    proof = PROVER.proof("GET", url, bound)
    answers = race([lambda: _ask(authserver, bound, proof).status_code] * RACERS)
    assert sorted(answers) == [200] + [401] * (RACERS - 1)


def test_what_a_request_says_of_host_and_scheme_does_not_count(authserver: AuthServer, bound: str, url: str):
    forged = {"Host": "evil.test", "X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https"}
    assert _ask(authserver, bound, PROVER.proof("GET", url, bound), headers=forged).status_code == 200
    for other in ("http://evil.test/userinfo", "https://evil.test/userinfo"):
        answer = _ask(authserver, bound, PROVER.proof("GET", other, bound), headers=forged)
        _assert_challenged(answer, "invalid_dpop_proof")


def test_a_dead_or_unknown_token_is_told_in_the_scheme_of_the_request(authserver: AuthServer, bound: str, url: str):
    _assert_challenged(_ask(authserver, "unknown", PROVER.proof("GET", url, "unknown")), "invalid_token")
    with authserver.later(601):
        proof = PROVER.proof("GET", url, bound, iat=int(time.time()) + 601)
        _assert_challenged(_ask(authserver, bound, proof), "invalid_token")


def test_a_token_without_the_scope_openid_is_not_enough(
    authserver: AuthServer, client: RegisteredClient, alice: User, url: str
):
    allowed = authserver.allow(client, alice, scope="profile")
    token = authserver.redeem(client, allowed, headers=proven(authserver)).json()["access_token"]
    answer = _ask(authserver, token, PROVER.proof("GET", url, token))
    assert_refused(answer, "insufficient_scope", 403)
    assert answer.headers["www-authenticate"].startswith("DPoP ")


# 7.2: beside bearer tokens.


def test_a_bound_token_does_not_pass_as_a_bearer_token(authserver: AuthServer, bound: str, url: str):
    posted = {"access_token": bound}
    with authserver.http() as http:
        answers = [
            _ask(authserver, bound, None, scheme="Bearer"),
            _ask(authserver, bound, PROVER.proof("GET", url, bound), scheme="Bearer"),
            http.post("/userinfo", data=posted),
            http.post("/userinfo", data=posted, headers={"DPoP": PROVER.proof("POST", url, bound)}),
        ]
    for answer in answers:
        assert_refused(answer, "invalid_token", 401)
        # The scheme of the request tells the error, and the one that would do is named.
        assert answer.headers["www-authenticate"].startswith('Bearer realm="authserver", error="invalid_token"')
        assert answer.headers["www-authenticate"].endswith(f', DPoP algs="{ALGS}"')


def test_a_bearer_token_does_not_pass_as_a_bound_one(
    authserver: AuthServer, client: RegisteredClient, alice: User, url: str
):
    token = authserver.tokens(client, alice)["access_token"]
    _assert_challenged(_ask(authserver, token, PROVER.proof("GET", url, token)), "invalid_token")
    # A client may send the header with every request; beside a bearer token nobody reads it.
    for proof in (PROVER.proof("GET", url, token), "x"):
        assert _ask(authserver, token, proof, scheme="Bearer").status_code == 200


# 9: nonces.


def test_a_client_that_needs_nonces_needs_them_here(authserver: AuthServer, alice: User, url: str):
    client = authserver.client(trusted=True, dpop_require_nonce=True)
    nonce = authserver.redeem(client, authserver.allow(client, alice), headers=proven(authserver)).headers["dpop-nonce"]
    headers = proven(authserver, nonce=nonce)
    token = authserver.redeem(client, authserver.allow(client, alice), headers=headers).json()["access_token"]
    answer = _ask(authserver, token, PROVER.proof("GET", url, token))
    _assert_challenged(answer, "use_dpop_nonce")
    # One nonce for all endpoints of one server: a client keeps one per origin (8).
    assert answer.headers.get_list("dpop-nonce") == [nonce]
    assert _ask(authserver, token, PROVER.proof("GET", url, token, nonce=nonce)).json()["sub"] == alice.sub


def test_a_good_answer_brings_the_next_nonce_when_its_time_has_come_8_2(authserver: AuthServer, alice: User, url: str):
    client = authserver.client(trusted=True, dpop_require_nonce=True)
    beginning = NONCE_SECONDS - time.time() % NONCE_SECONDS + 1
    with authserver.later(beginning):
        sent: dict[str, Any] = {"iat": int(time.time() + beginning)}
        asked = authserver.redeem(client, authserver.allow(client, alice), headers=proven(authserver, **sent))
        sent["nonce"] = asked.headers["dpop-nonce"]
        allowed = authserver.allow(client, alice)
        token = authserver.redeem(client, allowed, headers=proven(authserver, **sent)).json()["access_token"]
        assert "dpop-nonce" not in _ask(authserver, token, PROVER.proof("GET", url, token, **sent)).headers
    with authserver.later(beginning + NONCE_SECONDS):
        sent["iat"] += NONCE_SECONDS
        answer = _ask(authserver, token, PROVER.proof("GET", url, token, **sent))
        assert answer.status_code == 200
        assert answer.headers["dpop-nonce"] != sent["nonce"]


def test_a_key_of_ones_own_fills_no_memory(authserver: AuthServer, bound: str, url: str):
    proof = Prover("ed25519", "EdDSA").proof("GET", url, bound)
    for _ in range(2):
        # The second time, too, it is the key that is wrong: the proof was not remembered.
        _assert_challenged(_ask(authserver, bound, proof), "invalid_token")


def test_a_script_of_a_registered_origin_may_send_proofs_and_read_nonces(authserver: AuthServer, bound: str):
    # RFC 9449 7.1, 8: neither header is readable without this.
    headers = {"Origin": "https://client.test"}
    with authserver.http(headers=headers) as http:
        for path in ("/userinfo", "/token", "/par"):
            asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "dpop"}
            preflight = http.options(path, headers=asked)
            assert "DPoP" in preflight.headers["access-control-allow-headers"].split(", ")
    exposed = _ask(authserver, bound, None, headers=headers).headers["access-control-expose-headers"]
    assert {"DPoP-Nonce", "WWW-Authenticate"} <= set(exposed.split(", "))
