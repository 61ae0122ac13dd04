"""FAPI-CIBA: what its certification demands of requests, polls and tokens; clients with keys and with certificates."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from tests.backchannel import GRANT_TYPE, PLENTY
from tests.fapi import Party
from tests.flows.fapi2.world import fapi_server, party
from tests.signing import claims_of
from tests.world import assert_refused

METHODS = ("private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthServer]:
    """A server that a test suite can approve requests at."""
    settings = {"features": {"ciba": True}, "ciba": {"test_approval": True}}
    with fapi_server(tmp_path_factory.mktemp("bank"), limits=PLENTY, **settings) as server:
        yield server


@pytest.fixture(scope="module")
def user(bank: AuthServer) -> User:
    return bank.user("berta")


def asker(bank: AuthServer, method: str = "private_key_jwt", number: int = 1, **metadata: Any) -> Party:
    """Register a client that asks users, and whose tokens are bound to its certificate."""
    members = {"grant_types": [GRANT_TYPE, "refresh_token"], "redirect_uris": None, **metadata}
    return party(bank, method, "mtls", number=number, **{"backchannel_token_delivery_mode": "poll", **members})


def ask(of: Party, user: User, outside: dict[str, Any] | None = None, **changes: Any) -> httpx2.Response:
    """Send a signed request; ``changes`` are of its claims, ``outside`` stands beside it."""
    whole = {
        "scope": "openid profile",
        "login_hint": user.username,
        "binding_message": "1234",
        "iat": int(time.time()),
        "jti": secrets.token_urlsafe(12),
        **changes,
    }
    return of.post("/bc-authorize", request=of.request_object(whole), **(outside or {}))


def approve(bank: AuthServer, auth_req_id: str, action: str = "allow") -> None:
    """Decide in the user's name, as the certification suite does."""
    with bank.http() as http:
        answer = http.post("/test/ciba-approval", params={"auth_req_id": auth_req_id, "action": action})
    assert answer.status_code == 204, answer.text


def poll(of: Party, auth_req_id: str, **changes: Any) -> httpx2.Response:
    return of.post("/token", grant_type=GRANT_TYPE, auth_req_id=auth_req_id, **changes)


@pytest.mark.parametrize("method", METHODS)
def test_a_user_allows_twice_and_denies_once(bank: AuthServer, user: User, method: str):
    one = asker(bank, method)
    for scope in ("openid profile", "profile openid"):
        codes = ask(one, user, scope=scope).json()
        assert_refused(poll(one, codes["auth_req_id"]), "authorization_pending")
        assert_refused(poll(one, codes["auth_req_id"]), "slow_down")
        approve(bank, codes["auth_req_id"])
        issued = poll(one, codes["auth_req_id"]).json()
        assert issued["token_type"] == "Bearer"
        assert claims_of(issued["id_token"])["sub"] == one.userinfo(issued["access_token"]).json()["sub"] == user.sub
    codes = ask(one, user).json()
    approve(bank, codes["auth_req_id"], "deny")
    assert_refused(poll(one, codes["auth_req_id"]), "access_denied")


@pytest.mark.parametrize("wish", [10, "10"])
def test_a_code_expires_as_wished(bank: AuthServer, user: User, wish: object):
    one = asker(bank)
    codes = ask(one, user, requested_expiry=wish).json()
    assert codes["expires_in"] == 10
    # Claims and assertion are made on the real clock, and are good for a minute more.
    with bank.later(11):
        assert_refused(poll(one, codes["auth_req_id"]), "expired_token")


def test_a_request_is_signed_and_says_what_it_is_about_5_2_2(bank: AuthServer, user: User):
    one = asker(bank)
    plain = {"scope": "openid", "login_hint": user.username, "binding_message": "1234"}
    assert_refused(one.post("/bc-authorize", **plain), "invalid_request")
    assert_refused(ask(one, user, binding_message=None), "invalid_request")
    assert_refused(ask(one, user, login_hint_token="x"), "invalid_request")
    assert_refused(ask(one, user, {"scope": "openid"}), "invalid_request")


def test_rs256_is_refused_in_requests_and_assertions(bank: AuthServer, user: User):
    one = asker(bank, key="rsa", algorithm="PS256")
    codes = ask(one, user)
    assert codes.status_code == 200
    weak = one.but(algorithm="RS256")
    request = weak.request_object({"scope": "openid", "login_hint": user.username, "binding_message": "1"})
    assert_refused(one.post("/bc-authorize", request=request), "invalid_request")
    assert_refused(ask(weak, user), "invalid_client", 401)
    assert_refused(poll(weak, codes.json()["auth_req_id"]), "invalid_client", 401)


def test_who_does_not_prove_itself_is_refused_at_both_endpoints(bank: AuthServer, user: User):
    one, other = asker(bank), asker(bank, number=2)
    code = ask(one, user).json()["auth_req_id"]
    bare = one.leaving_out("assertion")
    assert_refused(ask(bare, user), "invalid_client", 401)
    assert_refused(poll(bare, code), "invalid_client", 401)
    for wrong in ({"client_id": other.client.client_id}, {"client_id": "nobody"}):
        assert_refused(ask(one, user, wrong), "invalid_client", 401)
        assert_refused(poll(one, code, **wrong), "invalid_client", 401)
    by_certificate = asker(bank, "tls_client_auth")
    assert_refused(ask(by_certificate.leaving_out("certificate"), user), "invalid_client", 401)


def test_what_belongs_to_one_client_is_nothing_to_another(bank: AuthServer, user: User):
    one, other = asker(bank), asker(bank, number=2)
    code = ask(one, user).json()["auth_req_id"]
    approve(bank, code)
    assert_refused(poll(other, code), "invalid_grant")
    stolen = one.request_object({"scope": "openid", "login_hint": user.username, "binding_message": "1"})
    assert_refused(other.post("/bc-authorize", request=stolen), "invalid_request")
    issued = poll(one, code).json()
    assert_refused(other.refresh(issued["refresh_token"]), "invalid_grant")
    assert one.refresh(issued["refresh_token"]).status_code == 200


def test_tokens_belong_to_the_holder_of_the_certificate(bank: AuthServer, user: User):
    one, other = asker(bank), asker(bank, number=2)
    code = ask(one, user).json()["auth_req_id"]
    approve(bank, code)
    assert_refused(poll(one.leaving_out("certificate"), code), "invalid_request")
    token = poll(one, code).json()["access_token"]
    assert one.userinfo(token).status_code == 200
    assert one.but(certificate=other.certificate).userinfo(token).status_code == 401
    assert one.leaving_out("certificate").userinfo(token).status_code == 401
