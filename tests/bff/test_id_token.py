"""OpenID Connect Core 3.1.3.7 and RFC 8725: an ID token with any fault logs nobody in."""

import base64
import json
import time
from typing import Any

import jwt
import pytest

from bff import BffSettings
from tests.bff.browser import Browser, error_code
from tests.bff.database import rows
from tests.bff.keys import RSA_KEY, STRANGER_KEY
from tests.bff.stub import CLIENT_ID, public_jwk

ID_TOKEN_FAULTS = {
    "other issuer": {"iss": "http://evil.test"},
    "no issuer": {"iss": None},
    "other audience": {"aud": "someone"},
    "a further audience": {"aud": [CLIENT_ID, "someone"]},
    "no audience": {"aud": None},
    "other authorized party": {"azp": "someone"},
    "expired": {"exp": 1_000_000_000},
    "no expiry": {"exp": None},
    "no time of issue": {"iat": None},
    "issued before the log-in began": {"iat": 1_000_000_000},
    "issued in the future": {"iat": 4_000_000_000},
    "not yet valid": {"nbf": 4_000_000_000},
    "time as a boolean": {"iat": True},
    "time as a text": {"exp": "tomorrow"},
    "time of issue as digits": {"iat": str(int(time.time()))},
    "expiry as digits": {"exp": str(int(time.time()) + 600)},
    "time without end": {"iat": 10**400},
    "other nonce": {"nonce": "x" * 43},
    "no nonce": {"nonce": None},
    "nonce of another type": {"nonce": ["x"]},
    "nonce with half a surrogate": {"nonce": "\ud800"},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "subject of another type": {"sub": 7},
    "endless subject": {"sub": "s" * 256},
    "subject with a control character": {"sub": "a\nb"},
    "hash of another access token": {"at_hash": "x" * 22},
    "hash of another type": {"at_hash": 5},
}


@pytest.mark.parametrize("fault", ID_TOKEN_FAULTS)
def test_a_wrong_id_token_logs_nobody_in(browser: Browser, settings: BffSettings, fault: str):
    browser.stub.id_token_claims = ID_TOKEN_FAULTS[fault]
    answer = browser.get(browser.answered(browser.start()))
    assert answer.status_code == 400
    assert error_code(answer.text) == "token_refused"
    assert browser.cookie() is None
    assert browser.cookie("bff-login") is None
    assert rows(settings, "bff_sessions") == rows(settings, "bff_users") == 0


@pytest.mark.parametrize(
    "header",
    [
        {"kid": None},
        {"kid": "unknown"},
        {"kid": "rsa-1"},
        {"crit": ["exp"]},
        {"b64": False},
        {"zip": "DEF"},
        {"typ": "at+jwt"},
        {"typ": "logout+jwt"},
        {"kid": 5},
    ],
)
def test_an_id_token_with_a_strange_header_logs_nobody_in(browser: Browser, header: dict[str, Any]):
    def make(claims: dict[str, Any]) -> str:
        token = browser.stub.sign(claims, **{k: v for k, v in header.items() if k not in {"b64", "kid"}})
        if header.keys() & {"b64", "kid"}:
            head = {"alg": "ES256", "typ": "JWT", "kid": "ec-1", **header}
            head = {k: v for k, v in head.items() if v is not None}
            encoded = base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
            return ".".join([encoded, *token.split(".")[1:]])
        return token

    browser.stub.id_token = make
    assert error_code(browser.get(browser.answered(browser.start())).text) == "token_refused"


def _none(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", "none", headers={"kid": "ec-1"})


def _hmac(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "s3cret with spaces & colons: +%xx", "HS256", headers={"kid": "ec-1"})


def _stranger(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, STRANGER_KEY, "ES256", headers={"kid": "ec-1"})


def _own_key(claims: dict[str, Any]) -> str:
    header = {"kid": "mine", "jwk": public_jwk(STRANGER_KEY, "mine"), "jku": "http://127.0.0.1:9/jwks"}
    return jwt.encode(claims, STRANGER_KEY, "ES256", headers=header)


def _changed(claims: dict[str, Any]) -> str:
    head, _, signature = _stranger(claims).split(".")
    body = base64.urlsafe_b64encode(b'{"sub":"admin"}').rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


@pytest.mark.parametrize(
    "make", [_none, _hmac, _stranger, _own_key, _changed, lambda _: "a.b", lambda _: "a.b.c", lambda _: "x" * 20_000]
)
def test_a_forged_id_token_logs_nobody_in(browser: Browser, make: Any):
    browser.stub.id_token = make
    answer = browser.get(browser.answered(browser.start()))
    assert error_code(answer.text) == "token_refused"
    assert browser.get("/bff/user").status_code == 401


def test_tokens_of_a_refused_log_in_are_revoked(browser: Browser):
    browser.stub.id_token_claims = {"nonce": "other"}
    browser.get(browser.answered(browser.start()))
    assert browser.stub.revoked == list(browser.stub.refresh_tokens)


def test_an_rsa_signature_is_as_good(browser: Browser):
    browser.stub.id_token = lambda claims: jwt.encode(claims, RSA_KEY, "RS256", headers={"kid": "rsa-1"})
    browser.log_in()
