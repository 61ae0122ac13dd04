"""RP-Initiated Logout 1.0, RFC 7009, Back-Channel Logout 1.0."""

import base64
import json
import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import time_machine

from bff import create_app
from tests.bff.browser import OWN, Browser, error_code
from tests.bff.stub import CLIENT_ID, Stub


def test_log_out_ends_the_session_revokes_the_grant_and_tells_the_provider(browser: Browser):
    browser.log_in()
    cookie = browser.cookie() or ""
    answer = browser.post("/bff/logout", headers=OWN)
    assert answer.status_code == 303
    url = urlsplit(answer.headers["Location"])
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{browser.stub.issuer}/logout"
    assert asked["post_logout_redirect_uri"] == "http://localhost:9002/"
    assert asked["client_id"] == CLIENT_ID
    assert asked["id_token_hint"].count(".") == 2
    assert asked["state"] == browser.cookie("bff-logout")
    assert browser.cookie() is None
    (revoked,) = browser.stub.revoked
    assert revoked.startswith("rt_")
    browser.http.set_cookie("bff", cookie, domain="localhost")
    assert browser.get("/bff/user").status_code == 401
    back = browser.get(f"/?state={asked['state']}")
    assert "You are logged out" in back.text
    assert browser.cookie("bff-logout") is None


def test_the_page_gets_the_address_as_json(browser: Browser):
    browser.log_in()
    answer = browser.post("/bff/logout", headers=OWN, json={})
    assert answer.status_code == 200
    assert answer.json["logout_url"].startswith(f"{browser.stub.issuer}/logout?")


def test_log_out_works_twice_and_without_a_session(browser: Browser):
    browser.log_in()
    browser.post("/bff/logout", headers=OWN)
    for _ in range(2):
        answer = browser.post("/bff/logout", headers=OWN)
        assert (answer.status_code, answer.headers["Location"]) == (303, "http://localhost:9002/")


@pytest.mark.parametrize(
    "headers", [{}, {**OWN, "Origin": "https://evil.test"}, {**OWN, "Sec-Fetch-Site": "cross-site"}]
)
def test_another_site_cannot_log_anybody_out(browser: Browser, headers: dict[str, str]):
    browser.log_in()
    assert browser.post("/bff/logout", headers=headers).status_code == 403
    assert browser.get("/bff/user").status_code == 200


def test_the_hint_can_be_switched_off(stub: Stub, tmp_path: Any):
    app = create_app(stub.settings(f"sqlite:///{tmp_path / 'bff.db'}", logout_id_token_hint=False))
    browser = Browser(app, stub)
    browser.log_in()
    assert "id_token_hint" not in browser.post("/bff/logout", headers=OWN).headers["Location"]
    app.extensions["bff"].close()


def test_a_provider_without_logout_sends_the_browser_home(browser: Browser):
    browser.stub.metadata = {"end_session_endpoint": None, "revocation_endpoint": None}
    browser.log_in()
    assert browser.post("/bff/logout", headers=OWN).headers["Location"] == "http://localhost:9002/"
    assert browser.get("/bff/user").status_code == 401


def test_log_out_works_while_the_provider_is_away(tmp_path: Any):
    with Stub().running() as stub:
        app = create_app(stub.settings(f"sqlite:///{tmp_path / 'bff.db'}"))
        browser = Browser(app, stub)
        browser.log_in()
    assert browser.post("/bff/logout", headers=OWN).status_code == 303
    assert browser.get("/bff/user").status_code == 401
    app.extensions["bff"].close()


def test_without_a_refresh_token_the_access_tokens_are_revoked(browser: Browser):
    browser.stub.with_refresh = False
    browser.log_in()
    browser.post("/bff/logout", headers=OWN)
    assert [token[:3] for token in browser.stub.revoked] == ["at_"]


def test_a_made_up_state_shows_no_notice(browser: Browser):
    browser.log_in()
    browser.post("/bff/logout", headers=OWN)
    for state in ("x", "é", "%ff", "%00", ""):
        assert "You are logged out" not in browser.get(f"/?state={state}").text


def sid_of(stub: Stub) -> str:
    return next(iter(stub.grants.values())).sid


@pytest.mark.parametrize("named", ["sub", "sid", "both"])
def test_the_provider_ends_the_session_that_it_names(browser: Browser, named: str):
    browser.log_in()
    changes = {"sub": {}, "sid": {"sub": None, "sid": sid_of(browser.stub)}, "both": {"sid": sid_of(browser.stub)}}
    token = browser.stub.logout_token(**changes[named])
    answer = browser.post("/bff/backchannel-logout", data={"logout_token": token})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert browser.get("/bff/user").status_code == 401


@pytest.mark.parametrize("changes", [{"sub": "user-2"}, {"sid": "other"}, {"sub": None, "sid": "other"}])
def test_the_sessions_of_others_live_on(browser: Browser, changes: dict[str, Any]):
    browser.log_in()
    token = browser.stub.logout_token(**changes)
    assert browser.post("/bff/backchannel-logout", data={"logout_token": token}).status_code == 200
    assert browser.get("/bff/user").status_code == 200


EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://evil.test"},
        {"aud": "other"},
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"events": None},
        {"events": {}},
        {"events": []},
        {"events": {EVENT: True}},
        {"nonce": "n"},
        {"nonce": None, "sub": None},
        {"sub": 7},
        {"sid": ["x"]},
        {"exp": int(time.time()) + 86400},
        {"iat": int(time.time()) - 1200},
        {"exp": str(int(time.time()) + 60)},
        {"iat": str(int(time.time()))},
        {"iat": True},
    ],
)
def test_a_wrong_logout_token_ends_nothing(browser: Browser, changes: dict[str, Any]):
    browser.log_in()
    token = browser.stub.logout_token(**changes)
    answer = browser.post("/bff/backchannel-logout", data={"logout_token": token})
    assert (answer.status_code, answer.json) == (400, {"error": "invalid_request"})
    assert browser.get("/bff/user").status_code == 200


def test_an_id_token_is_no_logout_token(browser: Browser):
    browser.log_in()
    for token in [token for token in browser.stub.issued if token.count(".") == 2]:
        assert browser.post("/bff/backchannel-logout", data={"logout_token": token}).status_code == 400
    assert browser.get("/bff/user").status_code == 200


@pytest.mark.parametrize("shape", ["application/json", "multipart/form-data", "text/plain"])
def test_a_notice_that_is_no_form_ends_nothing(browser: Browser, shape: str):
    browser.log_in()
    token = browser.stub.logout_token()
    sent = {"json": {"logout_token": token}} if shape == "application/json" else {"data": {"logout_token": token}}
    answer = browser.post("/bff/backchannel-logout", content_type=shape, **sent)
    assert (answer.status_code, answer.json) == (400, {"error": "invalid_request"})
    assert browser.get("/bff/user").status_code == 200


def test_a_logout_token_counts_once(browser: Browser):
    browser.log_in()
    token = browser.stub.logout_token()
    assert browser.post("/bff/backchannel-logout", data={"logout_token": token}).status_code == 200
    browser.log_in()
    assert browser.post("/bff/backchannel-logout", data={"logout_token": token}).status_code == 400
    assert browser.get("/bff/user").status_code == 200


def test_a_session_that_ended_while_its_log_in_was_under_way_does_not_begin(browser: Browser):
    stub = browser.stub
    sign = stub.make_id_token

    def end_meanwhile(grant: Any, access_token: str, *, nonce: bool) -> str:
        token = stub.logout_token(sid=grant.sid)
        assert browser.post("/bff/backchannel-logout", data={"logout_token": token}).status_code == 200
        return sign(grant, access_token, nonce=nonce)

    stub.make_id_token = end_meanwhile  # type: ignore[method-assign]
    answer = browser.get(browser.answered(browser.start()))
    assert (answer.status_code, error_code(answer.text)) == (400, "login_required")
    assert browser.get("/bff/user").status_code == 401
    assert [token[:3] for token in stub.revoked] == ["rt_"], "what was given is given back"
    stub.make_id_token = sign  # type: ignore[method-assign]
    browser.log_in()
    assert browser.get("/bff/user").status_code == 200


def test_a_provider_that_names_its_next_session_the_same_is_believed_again_after_the_tokens_life(browser: Browser):
    name_of_browser = "one sid for ever"
    sign = browser.stub.make_id_token

    def named_alike(grant: Any, access_token: str, *, nonce: bool) -> str:
        return sign(replace(grant, sid=name_of_browser), access_token, nonce=nonce)

    browser.stub.make_id_token = named_alike  # type: ignore[method-assign]
    with time_machine.travel(time.time(), tick=False) as clock:
        token = browser.stub.logout_token(sid=name_of_browser)
        assert browser.post("/bff/backchannel-logout", data={"logout_token": token}).status_code == 200
        assert error_code(browser.get(browser.answered(browser.start())).text) == "login_required"
        clock.shift(600)
        browser.log_in()
        assert browser.get("/bff/user").status_code == 200


def test_a_refresh_under_way_brings_no_ended_session_back(browser: Browser):
    browser.log_in()
    stub = browser.stub
    stub.lifetime = 600
    sign = stub.make_id_token

    def end_meanwhile(grant: Any, access_token: str, *, nonce: bool) -> str:
        token = stub.logout_token(sid=grant.sid)
        assert browser.post("/bff/backchannel-logout", data={"logout_token": token}).status_code == 200
        return sign(grant, access_token, nonce=nonce)

    stub.make_id_token = end_meanwhile  # type: ignore[method-assign]
    stub.access_tokens.clear()  # the API refuses the one that is held, so that it is refreshed
    browser.get("/api/notes", headers=OWN)
    assert stub.refreshes == 1
    assert browser.get("/api/notes", headers=OWN).status_code == 401
    assert browser.get("/bff/user").status_code == 401


@pytest.mark.parametrize("header", [{"alg": "none"}, {"kid": "rsa-1"}, {"kid": "unknown"}, {"typ": "at+jwt"}])
def test_a_logout_token_under_another_key_algorithm_or_type_ends_nothing(browser: Browser, header: dict[str, str]):
    browser.log_in()
    head, body, signature = browser.stub.logout_token().split(".")
    changed = {**jwt.get_unverified_header(f"{head}.{body}.{signature}"), **header}
    forged = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    for token in (f"{forged}.{body}.{signature}", f"{forged}.{body}."):
        answer = browser.post("/bff/backchannel-logout", data={"logout_token": token})
        assert (answer.status_code, answer.headers["Cache-Control"]) == (400, "no-store")
    assert browser.get("/bff/user").status_code == 200


def test_a_notice_that_is_asked_for_or_too_long_ends_nothing(browser: Browser):
    browser.log_in()
    token = browser.stub.logout_token()
    assert browser.get(f"/bff/backchannel-logout?logout_token={token}").status_code == 405
    assert browser.post(f"/bff/backchannel-logout?logout_token={token}").status_code == 400
    long = browser.post("/bff/backchannel-logout", data={"logout_token": token, "x": "x" * 1024 * 1024})
    assert long.status_code in {400, 413}
    assert long.headers["Cache-Control"] == "no-store"
    assert browser.get("/bff/user").status_code == 200


@pytest.mark.parametrize(
    "data", [{}, {"logout_token": ""}, {"logout_token": ["a", "b"]}, {"logout_token": "x" * 20_000}]
)
def test_a_malformed_notice_is_refused(browser: Browser, data: dict[str, Any]):
    assert browser.post("/bff/backchannel-logout", data=data).status_code == 400
