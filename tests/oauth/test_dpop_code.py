"""Codes that are bound to a key (RFC 9449 10), also by a pushed request (10.1)."""

import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import AuthServer, Pkce, RegisteredClient
from tests.proofs import OTHER, PROVER, proven
from tests.world import ask, assert_refused, assert_sent_back, code_of


def _redeem(
    authserver: AuthServer, client: RegisteredClient, code: str, pkce: Pkce, headers: dict[str, str]
) -> httpx2.Response:
    parameters = {"code": code, "redirect_uri": client.redirect_uri, "code_verifier": pkce.verifier}
    return authserver.token(client, grant_type="authorization_code", **parameters, headers=headers)


# 10: named in the request.


def test_a_code_needs_the_key_that_was_named_for_it(
    authserver: AuthServer, client: RegisteredClient, public: RegisteredClient, alice: User
):
    for asking in (client, public):
        for headers in ({}, proven(authserver, OTHER)):
            allowed = authserver.allow(asking, alice, dpop_jkt=PROVER.jkt)
            assert_refused(authserver.redeem(asking, allowed, headers=headers), "invalid_grant")
        allowed = authserver.allow(asking, alice, dpop_jkt=PROVER.jkt)
        assert authserver.redeem(asking, allowed, headers=proven(authserver)).json()["token_type"] == "DPoP"


def test_the_key_is_named_through_all_pages(authserver: AuthServer, alice: User):
    client, browser = authserver.client(), authserver.browser(alice)
    for prover, status in ((PROVER, 200), (OTHER, 400)):
        pkce = authserver.pkce()
        page = browser.visit_request(authserver.request(client, pkce, dpop_jkt=PROVER.jkt, prompt="consent"))
        code = code_of(browser.allow(page))
        assert _redeem(authserver, client, code, pkce, proven(authserver, prover)).status_code == status
        # The wrong key burns the code, as a wrong verifier does.
        assert_refused(_redeem(authserver, client, code, pkce, proven(authserver)), "invalid_grant")


@pytest.mark.parametrize(
    "jkt", ["", "x", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 42 + "+", "A" * 42 + "\n", "\u00e9" * 43]
)
def test_what_is_no_thumbprint_is_refused(authserver: AuthServer, client: RegisteredClient, alice: User, jkt: str):
    page = ask(authserver, client, alice, dpop_jkt=jkt)
    if jkt:
        assert_sent_back(page, "invalid_request", client)
    else:
        code_of(page)  # RFC 6749 3.1: without a value it counts as omitted


def test_it_may_stand_only_once(authserver: AuthServer, client: RegisteredClient, alice: User):
    page = ask(authserver, client, alice, dpop_jkt=[PROVER.jkt, PROVER.jkt])
    assert_sent_back(page, "invalid_request", client)


# 10.1: pushed requests.


def _push(
    authserver: AuthServer, client: RegisteredClient, user: User, visited: dict[str, str] | None = None, **how: Any
) -> tuple[str, Pkce]:
    """Return code and proof key of a request that was pushed like this, and visited with these parameters."""
    pkce = authserver.pkce()
    answer = authserver.push(client, pkce, **how)
    assert answer.status_code == 201, answer.text
    reference = {"client_id": client.client_id, "request_uri": answer.json()["request_uri"], **(visited or {})}
    return code_of(authserver.browser(user).visit_request(reference)), pkce


_WAYS: dict[str, Callable[[AuthServer], dict[str, Any]]] = {
    "named": lambda at: {"dpop_jkt": PROVER.jkt},
    "proven": lambda at: {"headers": proven(at, path="/par")},
    "both": lambda at: {"headers": proven(at, path="/par"), "dpop_jkt": PROVER.jkt},
}


@pytest.mark.parametrize("way", _WAYS.values(), ids=_WAYS)
def test_a_key_that_is_named_or_proven_with_the_pushed_request_binds_the_code(
    authserver: AuthServer, client: RegisteredClient, alice: User, way: Callable[[AuthServer], dict[str, Any]]
):
    for headers in ({}, proven(authserver, OTHER)):
        pushed = _push(authserver, client, alice, **way(authserver))
        assert_refused(_redeem(authserver, client, *pushed, headers), "invalid_grant")
    pushed = _push(authserver, client, alice, **way(authserver))
    assert _redeem(authserver, client, *pushed, proven(authserver)).json()["token_type"] == "DPoP"


def test_a_proof_and_a_name_that_differ_are_refused(authserver: AuthServer, client: RegisteredClient):
    headers = proven(authserver, path="/par")
    answer = authserver.push(client, authserver.pkce(), headers=headers, dpop_jkt=OTHER.jkt)
    assert_refused(answer, "invalid_request")


def test_what_the_browser_brings_changes_nothing(authserver: AuthServer, client: RegisteredClient, alice: User):
    way = _WAYS["proven"](authserver)
    pushed = _push(authserver, client, alice, {"dpop_jkt": OTHER.jkt}, **way)
    assert_refused(_redeem(authserver, client, *pushed, proven(authserver, OTHER)), "invalid_grant")


@pytest.mark.parametrize("seconds", [-10, 10])
def test_clocks_may_differ_by_ten_seconds_at_both_endpoints(
    authserver: AuthServer, client: RegisteredClient, alice: User, seconds: int
):
    # OpenID FAPI 2.0 suite, EnsureDpopProofWithIat10Seconds: 10 s either way are good.
    iat = int(time.time()) + seconds
    pushed = _push(authserver, client, alice, headers=proven(authserver, path="/par", iat=iat))
    assert _redeem(authserver, client, *pushed, proven(authserver, iat=iat)).status_code == 200
