"""FAPI 2.0 Message Signing: signed requests (5.3), signed responses (5.4), signed introspection (5.5)."""

import time
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests import signing
from tests.fapi import Flow, Party
from tests.flows.fapi2.world import COMBINATIONS, party
from tests.world import assert_refused

PROFILE = "fapi2_message_signing"
MINUTES = 60


@pytest.fixture(scope="module", params=COMBINATIONS, ids="+".join)
def one(request: pytest.FixtureRequest, at: AuthServer) -> Party:
    """A client for each combination of authentication and binding; it signs its requests and wants signed answers."""
    return party(at, *request.param, profile=PROFILE).but(signs=True)


@pytest.fixture(scope="module")
def dpop(at: AuthServer) -> Party:
    """One of them."""
    return party(at, "private_key_jwt", "dpop", profile=PROFILE).but(signs=True)


def _walk(one: Party, flow: Flow, user: User) -> dict[str, Any]:
    """Open the page; return the claims of the signed answer, checked as a client would (JARM 2.4)."""
    page = one.walk(flow, user).page
    assert page is not None
    assert page.callback.keys() == {"response"}, page.callback or page.error_code
    keys = one.server.get("/jwks").json()["keys"]
    kid = jwt.get_unverified_header(page.callback["response"])["kid"]
    public = jwt.PyJWK(next(key for key in keys if key["kid"] == kid))
    claims: dict[str, Any] = jwt.decode(
        page.callback["response"],
        public,
        algorithms=["ES256"],
        audience=one.client.client_id,
        issuer=one.server.issuer,
        options={"require": ["exp"]},
    )
    assert claims["exp"] <= time.time() + 10 * MINUTES
    return claims


@pytest.mark.parametrize("scope", ["openid profile api:read", "api:read"], ids=["openid", "plain"])
def test_the_happy_flow(one: Party, user: User, scope: str):
    flow = one.begin(scope=scope, response_mode="jwt")
    claims = _walk(one, flow, user)
    assert claims["state"] == flow.state
    tokens = one.redeem(flow, code=claims["code"]).json()
    assert one.introspect(tokens["access_token"])["active"] is True


@pytest.mark.parametrize("mode", ["query.jwt", "fragment.jwt"])
def test_other_signed_modes_work_too(at: AuthServer, dpop: Party, user: User, mode: str):
    flow = dpop.walk(dpop.begin(response_mode=mode), user)
    assert flow.page is not None
    parts = urlsplit(flow.page.location or "")
    assert (parts.fragment if mode == "fragment.jwt" else parts.query).startswith("response=")


def test_errors_are_signed_as_well(at: AuthServer, dpop: Party, user: User):
    flow, browser = dpop.begin(response_mode="jwt", prompt="consent"), at.browser(user)
    page = browser.visit_request({"client_id": dpop.client.client_id, "request_uri": flow.reference})
    answer = browser.deny(page).callback
    assert answer.keys() == {"response"}
    assert signing.claims_of(answer["response"])["error"] == "access_denied"


def test_discovery_lists_the_mode(at: AuthServer):
    document = at.get("/.well-known/openid-configuration").json()
    assert {"jwt", "query.jwt", "fragment.jwt", "form_post.jwt"} <= set(document["response_modes_supported"])
    assert "ES256" in document["authorization_signing_alg_values_supported"]
    assert "ES256" in document["request_object_signing_alg_values_supported"]


def test_an_unsigned_answer_is_not_given(dpop: Party):
    assert_refused(dpop.push(response_mode="query"), "invalid_request")


# Request objects (5.3.1).


def test_an_unsigned_request_is_refused(dpop: Party):
    answer = dpop.but(signs=False).push(response_mode="jwt")
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_request", "invalid_request_object"}


def _now(ahead: int) -> int:
    return int(time.time()) + ahead


@pytest.mark.parametrize(
    "claims",
    [
        lambda: {"exp": None},
        lambda: {"nbf": None},
        lambda: {"exp": _now(-300)},
        lambda: {"exp": _now(61 * MINUTES)},
        lambda: {"nbf": _now(-61 * MINUTES)},
        lambda: {"nbf": _now(180)},
        lambda: {"aud": "https://other.test"},
        lambda: {"aud": None},
        lambda: {"iss": "somebody-else"},
        lambda: {"request_uri": "urn:ietf:params:oauth:request_uri:x"},
        lambda: {"request": "x.y.z"},
    ],
    ids=[
        "no exp", "no nbf", "expired", "exp too far", "nbf too old", "not yet",
        "other aud", "no aud", "other iss", "request_uri inside", "request inside",
    ],
)  # fmt: skip
def test_a_bad_request_object_is_refused(dpop: Party, claims: Any):
    assert_refused(dpop.push(claims(), response_mode="jwt"), "invalid_request_object")


@pytest.mark.parametrize(
    "claims", [lambda at: {"aud": ["https://other.test", at.issuer]}, lambda _at: {"nbf": _now(8)}], ids=["aud", "nbf"]
)
def test_a_good_request_object_is_accepted(at: AuthServer, dpop: Party, claims: Any):
    assert dpop.push(claims(at), response_mode="jwt").status_code == 201


def test_the_signature_counts(at: AuthServer, dpop: Party):
    parameters = dpop.request(at.pkce().challenge, response_mode="jwt")
    good = dpop.request_object(parameters)
    head, body, signature = good.split(".")
    of_another = dpop.but(key="p256_third").request_object(parameters).replace("p256_third", "p256")
    unsigned = signing.b64(b'{"alg":"none","typ":"oauth-authz-req+jwt"}') + f".{body}."
    for bad in (f"{head}.{body}.{signature[::-1]}", of_another, unsigned):
        answer = dpop.post("/par", request=bad)
        assert_refused(answer, "invalid_request_object")
    assert dpop.post("/par", request=good).status_code == 201


def test_rs256_is_not_an_algorithm_of_the_profile(at: AuthServer):
    rsa = party(at, "private_key_jwt", "dpop", key="rsa", algorithm="PS256", profile=PROFILE).but(signs=True)
    assert rsa.push(response_mode="jwt").status_code == 201
    bad = rsa.but(algorithm="RS256").request_object(rsa.request(at.pkce().challenge, response_mode="jwt"))
    assert_refused(rsa.post("/par", request=bad), "invalid_request_object")


def test_what_stands_beside_the_request_object_does_not_count(dpop: Party, user: User):
    parameters = dpop.request(dpop.server.pkce().challenge, response_mode="jwt", state="inside", nonce="inside")
    answer = dpop.post(
        "/par", request=dpop.request_object(parameters), state="outside", nonce="outside", scope="api:read"
    )
    assert answer.status_code == 201
    claims = _walk(dpop, Flow(answer.json()["request_uri"], "", "inside"), user)
    assert claims["state"] == "inside"


def test_no_redirect_uri_inside_is_refused(dpop: Party):
    assert dpop.push(response_mode="jwt", redirect_uri=None).status_code == 400


# Introspection (5.5; RFC 9701).


def test_introspection_is_answered_signed(dpop: Party, user: User):
    flow = dpop.begin(response_mode="jwt")
    tokens = dpop.redeem(flow, code=_walk(dpop, flow, user)["code"]).json()
    wanted = {"Accept": "application/token-introspection+jwt"}
    answer = dpop.post("/introspect", headers=wanted, token=tokens["access_token"])
    assert answer.headers["content-type"] == wanted["Accept"]
    header = jwt.get_unverified_header(answer.text)
    assert (header["typ"], header["alg"]) == ("token-introspection+jwt", "ES256")
    claims = signing.claims_of(answer.text)
    assert claims["aud"] == dpop.client.client_id
    assert claims["token_introspection"]["active"] is True
