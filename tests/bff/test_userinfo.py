"""OpenID Connect Core 1.0 section 5.3: name and e-mail from the userinfo endpoint, for the same person only."""

import json
import logging
from typing import Any

import pytest
from flask import Response, redirect

from bff import BffSettings
from tests.bff.browser import Browser, error_code
from tests.bff.database import rows


def answering(browser: Browser, **claims: Any) -> list[str]:
    """Let the ID token say nothing but who it is, and userinfo these claims; gives the credentials that it sees."""
    seen: list[str] = []

    def answer(authorization: str) -> Response:
        seen.append(authorization)
        return Response(json.dumps({"sub": "user-1", **claims}), mimetype="application/json")

    browser.stub.claims = {}
    browser.stub.userinfo = answer
    return seen


def test_the_name_and_the_address_come_from_userinfo(browser: Browser):
    answering(browser, name="Alice Liddell", preferred_username="alice", email="alice@site.example")
    browser.log_in()
    user = browser.get("/bff/user").json
    assert (user["name"], user["email"]) == ("Alice Liddell", "alice@site.example")
    assert "Hello, Alice Liddell" in browser.get("/").text


def test_userinfo_is_asked_once_with_the_access_token_in_the_header(browser: Browser):
    seen = answering(browser, name="Alice Liddell")
    browser.log_in()
    (authorization,) = seen
    assert authorization.removeprefix("Bearer ") in browser.stub.access_tokens
    assert "GET /userinfo?" in browser.stub.seen


def test_without_a_name_the_user_name_is_shown(browser: Browser):
    answering(browser, preferred_username="alice")
    browser.log_in()
    assert browser.get("/bff/user").json["name"] == "alice"


def test_userinfo_counts_more_than_the_id_token_and_takes_nothing_away(browser: Browser):
    answering(browser, name="Alice P. Liddell")
    browser.stub.claims = {"name": "Alice Liddell", "email": "alice@site.example"}
    browser.log_in()
    user = browser.get("/bff/user").json
    assert (user["name"], user["email"]) == ("Alice P. Liddell", "alice@site.example")


@pytest.mark.parametrize("sub", ["user-2", "USER-1", "user-1 ", "", None, 1, ["user-1"], {"sub": "user-1"}])
def test_userinfo_about_somebody_else_refuses_the_log_in(browser: Browser, settings: BffSettings, sub: Any):
    answering(browser, sub=sub, name="Mallory")
    answer = browser.get(browser.answered(browser.start()))
    assert (answer.status_code, error_code(answer.text)) == (400, "token_refused")
    assert rows(settings, "bff_sessions") == rows(settings, "bff_users") == 0
    # What came with the refused log-in is of no use to anybody.
    assert browser.stub.revoked == list(browser.stub.refresh_tokens)


@pytest.mark.parametrize(
    "fault",
    [
        Response('{"error": "invalid_token"}', 401, {"WWW-Authenticate": "Bearer"}),
        Response("down", 503),
        Response("<html>", 200),
        Response("[]", 200),
        Response("{}", 200),
        Response('{"name": "Mallory"}', 200),
        Response("[" * 50_000, 200),
        Response(b"x" * 100_000, 200),
        redirect("http://127.0.0.1:9/userinfo", 307),
    ],
    ids=lambda fault: f"{fault.status_code} {len(fault.get_data())}",
)
def test_a_failing_userinfo_breaks_no_log_in(browser: Browser, fault: Response):
    browser.stub.claims = {}
    browser.stub.userinfo = lambda authorization: fault
    browser.log_in()
    user = browser.get("/bff/user").json
    assert (user["sub"], user["name"]) == ("user-1", None)


@pytest.mark.parametrize("name", [7, ["Alice"], {"a": 1}, True, "", " \u202e\x00"])
def test_a_name_that_is_no_text_is_not_shown(browser: Browser, name: Any):
    answering(browser, name=name, email=name, preferred_username="alice")
    browser.log_in()
    user = browser.get("/bff/user").json
    assert (user["name"], user["email"]) == ("alice", None)


def test_a_userinfo_endpoint_elsewhere_never_sees_a_token(browser: Browser):
    browser.stub.metadata["userinfo_endpoint"] = "https://evil.test/userinfo"
    answer = browser.get("/bff/login")
    assert (answer.status_code, error_code(answer.text)) == (502, "provider_mismatch")


def test_neither_claims_nor_tokens_are_logged(browser: Browser, caplog: pytest.LogCaptureFixture):
    answering(browser, sub="user-2", name="Mallory the Unlogged")
    with caplog.at_level(logging.DEBUG):
        browser.get(browser.answered(browser.start()))
    assert "userinfo sub" in caplog.text
    assert "Unlogged" not in caplog.text
    assert not any(token in caplog.text for token in browser.stub.issued)
