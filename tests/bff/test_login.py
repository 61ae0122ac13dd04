"""OpenID Connect Core 3.1, RFC 7636, RFC 8707, RFC 9207: log-in, its answers, and what strangers may try."""

import base64
import hashlib
import logging
import threading
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine

from bff import BffSettings
from tests.bff.browser import Browser, error_code
from tests.bff.database import rows
from tests.bff.stub import CLIENT_ID


def test_a_log_in_ends_with_a_session_and_a_name_on_the_page(browser: Browser):
    answer = browser.log_in()
    assert answer.headers["Location"] == "http://localhost:9002/"
    assert browser.get("/bff/user").json["name"] == "Alice Liddell"
    assert "Alice Liddell" in browser.get("/").text
    assert browser.api("/api/notes").json["notes"] == []
    assert browser.api("/api/almanac").json["almanac"]["date"] == "2026-05-01"
    assert browser.stub.refreshes == 1


def test_the_authorization_request_names_all_that_protects_it(browser: Browser):
    asked = browser.start()
    assert asked["response_type"] == "code"
    assert asked["client_id"] == CLIENT_ID
    assert asked["redirect_uri"] == "http://localhost:9002/bff/callback"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) == len(asked["nonce"]) == len(asked["code_challenge"]) == 43
    assert browser.asked["resource"] == ["https://notes.example/", "https://almanac.example/"]
    assert "client_secret" not in asked


def test_the_token_request_proves_the_challenge_and_names_the_first_resource_only(browser: Browser):
    browser.log_in()
    (sent,) = browser.stub.token_requests
    digest = hashlib.sha256(sent["code_verifier"].encode()).digest()
    assert browser.asked["code_challenge"] == [base64.urlsafe_b64encode(digest).rstrip(b"=").decode()]
    assert sent["resources"] == ["https://notes.example/"]
    assert "client_secret" not in sent
    assert "client_id" not in sent


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("/notes?tab=2", "/notes?tab=2"),
        ("https://evil.test/", "/"),
        ("//evil.test", "/"),
        ("/\\evil.test", "/"),
        ("/a\\b", "/"),
        ("/\r\nSet-Cookie:x", "/"),
        ("javascript:alert(1)", "/"),
        ("/\tevil", "/"),
        ("evil", "/"),
        ("/bff/login?return_to=/bff/login", "/"),
        ("/api/notes", "/"),
        ("/apiary", "/apiary"),
        ("", "/"),
        ("/é", "/"),
        ("/" + "a" * 3000, "/"),
    ],
)
def test_the_way_back_leads_to_this_site_only(browser: Browser, wanted: str, given: str):
    asked = browser.start("?" + urlencode({"return_to": wanted}))
    assert browser.get(browser.answered(asked)).headers["Location"] == f"http://localhost:9002{given}"


def test_another_browser_cannot_complete_a_log_in(browser: Browser, app: Any, settings: BffSettings):
    callback = browser.answered(browser.start())
    stranger = Browser(app, browser.stub)
    stranger.start()
    answer = stranger.get(callback)
    assert answer.status_code == 400
    assert error_code(answer.text) == "unknown_state"
    assert rows(settings, "bff_sessions") == 0
    assert browser.stub.token_requests == []
    # Inert for the owner: the same answer still works where the log-in began.
    assert browser.get(callback).status_code == 303


def test_a_code_of_another_log_in_is_refused(browser: Browser, app: Any, settings: BffSettings):
    attacker = Browser(app, browser.stub)
    stolen = browser.stub.authorize(attacker.start(), ["https://notes.example/"])
    answer = browser.get(browser.answered(browser.start(), code=stolen))
    assert answer.status_code == 400
    assert rows(settings, "bff_sessions") == 0


def test_a_state_counts_once(browser: Browser, settings: BffSettings):
    callback = browser.answered(browser.start())
    assert browser.get(callback).status_code == 303
    again = browser.get(callback)
    assert again.status_code == 400
    assert error_code(again.text) == "already_logged_in"
    assert rows(settings, "bff_sessions") == 1
    assert browser.get("/bff/user").status_code == 200


def test_twenty_callbacks_at_once_make_one_session(browser: Browser, app: Any, settings: BffSettings):
    callback = browser.answered(browser.start())
    key = browser.cookie("bff-login")
    statuses: list[int] = []

    def call() -> None:
        copy = Browser(app, browser.stub)
        copy.http.set_cookie("bff-login", key or "", domain="localhost")
        statuses.append(copy.get(callback).status_code)

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303, *[400] * 19]
    assert rows(settings, "bff_sessions") == 1
    assert len(browser.stub.token_requests) == 1


@pytest.mark.parametrize("issuer", [None, "http://evil.test", "", "http://127.0.0.1:1/"])
def test_an_answer_without_the_right_issuer_is_refused_before_any_token_request(browser: Browser, issuer: str | None):
    answer = browser.get(browser.answered(browser.start(), iss=issuer))
    assert answer.status_code == 400
    assert error_code(answer.text) == "issuer_mismatch"
    assert browser.stub.token_requests == []


def test_an_issuer_given_twice_is_refused(browser: Browser):
    callback = browser.answered(browser.start())
    answer = browser.get(f"{callback}&iss={browser.stub.issuer}")
    assert error_code(answer.text) == "issuer_mismatch"
    assert browser.stub.token_requests == []


def test_an_issuer_may_be_missing_where_the_provider_does_not_promise_it(browser: Browser):
    browser.stub.metadata["authorization_response_iss_parameter_supported"] = False
    assert browser.get(browser.answered(browser.start(), iss=None)).status_code == 303


@pytest.mark.parametrize("name", ["code", "state"])
def test_a_repeated_parameter_is_refused(browser: Browser, name: str):
    callback = browser.answered(browser.start())
    answer = browser.get(f"{callback}&{name}=again")
    assert answer.status_code == 400
    assert browser.stub.token_requests == []


@pytest.mark.parametrize("value", ["", "%00", "%ff", "%ed%a0%80", "a" * 5000, "é"])
@pytest.mark.parametrize("name", ["code", "state", "iss", "error"])
def test_a_malformed_parameter_is_an_error_page(browser: Browser, name: str, value: str):
    asked = browser.start()
    parts = {"code": "c", "state": asked["state"], "iss": browser.stub.issuer, name: value}
    answer = browser.get("/bff/callback?" + "&".join(f"{key}={text}" for key, text in parts.items()))
    assert answer.status_code == 400
    assert browser.cookie() is None


def test_the_providers_error_is_told_in_our_own_words(browser: Browser, caplog: pytest.LogCaptureFixture):
    asked = browser.start()
    evil = "%3Cscript%3Ealert(1)%3C/script%3E"
    with caplog.at_level(logging.DEBUG):
        answer = browser.get(
            f"/bff/callback?error=access_denied&error_description={evil}&error_uri={evil}"
            f"&state={asked['state']}&iss={browser.stub.issuer}"
        )
    assert answer.status_code == 400
    assert error_code(answer.text) == "access_denied"
    assert "alert(1)" not in answer.text
    assert "alert(1)" not in caplog.text
    assert 'href="/bff/login"' in answer.text


def test_an_unknown_error_code_is_not_repeated(browser: Browser):
    asked = browser.start()
    answer = browser.get(
        f"/bff/callback?error=%3Cimg+src=x%3E&state={asked['state']}&iss={browser.stub.issuer}",
    )
    assert error_code(answer.text) == "login_failed"
    assert "img src" not in answer.text


def test_an_answer_of_a_stranger_does_not_disturb_a_log_in_under_way(browser: Browser):
    callback = browser.answered(browser.start())
    assert browser.get(f"/bff/callback?code=x&state={'y' * 43}&iss={browser.stub.issuer}").status_code == 400
    assert browser.get(callback).status_code == 303


def test_an_error_needs_a_known_state_too(browser: Browser):
    browser.start()
    answer = browser.get(f"/bff/callback?error=access_denied&state=wrong&iss={browser.stub.issuer}")
    assert error_code(answer.text) == "unknown_state"


def test_a_log_in_ends_after_its_time(browser: Browser):
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False):
        callback = browser.answered(browser.start())
    with time_machine.travel("2030-01-01T00:30:00Z", tick=False):
        assert error_code(browser.get(callback).text) == "unknown_state"


def test_a_browser_has_five_log_ins_under_way_at_most_and_one_cookie(browser: Browser, settings: BffSettings):
    for _ in range(12):
        browser.start()
    assert rows(settings, "bff_logins") == 5
    assert len(browser.http._cookies or ()) == 1


def test_several_tabs_may_log_in_one_after_another(browser: Browser):
    first, second = browser.answered(browser.start()), browser.answered(browser.start())
    assert browser.get(second).status_code == 303
    assert error_code(browser.get(first).text) == "already_logged_in"


def test_a_log_in_begun_by_another_site_asks_the_person_first(browser: Browser, settings: BffSettings):
    for site in ("cross-site", "same-site"):
        answer = browser.get("/bff/login", headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 200
        assert 'id="login"' in answer.text
        assert "Set-Cookie" not in answer.headers
    assert rows(settings, "bff_logins") == 0


def test_a_log_in_makes_a_new_session_and_ends_the_old_one(browser: Browser, settings: BffSettings):
    browser.log_in()
    old = browser.cookie()
    browser.log_in()
    assert browser.cookie() != old
    assert rows(settings, "bff_sessions") == 1
    browser.http.set_cookie("bff", old or "", domain="localhost")
    assert browser.get("/bff/user").status_code == 401


def test_a_cookie_planted_before_log_in_is_not_the_session(browser: Browser):
    planted = "A" * 43
    browser.http.set_cookie("bff", planted, domain="localhost")
    browser.log_in()
    assert browser.cookie() != planted


def test_a_front_end_may_hand_the_answer_over_as_json(browser: Browser):
    asked = browser.start("?return_to=/after")
    code = browser.stub.authorize(asked, browser.asked["resource"])
    answer = browser.post("/bff/callback", json={"code": code, "state": asked["state"], "iss": browser.stub.issuer})
    assert answer.status_code == 200
    assert answer.json["return_to"] == "/after"
    assert answer.json["user"]["sub"] == "user-1"
    assert browser.get("/bff/user").status_code == 200


def test_a_front_end_may_hand_the_answer_over_as_a_form(browser: Browser):
    asked = browser.start()
    code = browser.stub.authorize(asked, browser.asked["resource"])
    form = {"code": code, "state": asked["state"], "iss": browser.stub.issuer}
    answer = browser.post("/bff/callback", data=form, headers={"Origin": browser.stub.issuer})
    assert answer.status_code == 303
    assert browser.get("/bff/user").status_code == 200


def test_an_answer_handed_over_is_bound_to_the_browser_as_well(browser: Browser, app: Any):
    asked = browser.start()
    code = browser.stub.authorize(asked, browser.asked["resource"])
    body = {"code": code, "state": asked["state"], "iss": browser.stub.issuer}
    answer = Browser(app, browser.stub).post("/bff/callback", json=body)
    assert answer.status_code == 400
    assert answer.json["error"] == "unknown_state"


def test_an_answer_handed_over_by_another_site_is_refused(browser: Browser):
    asked = browser.start()
    code = browser.stub.authorize(asked, browser.asked["resource"])
    form = {"code": code, "state": asked["state"], "iss": browser.stub.issuer}
    for origin in ("https://evil.test", "null"):
        answer = browser.post("/bff/callback", data=form, headers={"Origin": origin})
        assert error_code(answer.text) == "cross_site_request"
    assert browser.stub.token_requests == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"[1]", "application/json"),
        (b'{"code": 1}', "application/json"),
        (b"{", "application/json"),
        (b"[" * 60_000, "application/json"),
        (b'{"state": "\\ud800", "code": "x"}', "application/json"),
        (b"x" * 100_000, "application/json"),
        (b"a=" + b"x" * 100_000, "application/x-www-form-urlencoded"),
        (b"state=%ff&code=%00", "application/x-www-form-urlencoded"),
        (b"--x", "multipart/form-data; boundary=x"),
        (b"--x", "multipart/form-data"),
    ],
)
def test_a_malformed_body_is_a_client_error(browser: Browser, content: bytes, kind: str):
    browser.start()
    answer = browser.post("/bff/callback", data=content, content_type=kind)
    assert answer.status_code in {400, 413}


def test_the_user_is_known_by_issuer_and_subject_never_by_mail(browser: Browser, app: Any, settings: BffSettings):
    browser.log_in()
    first = browser.get("/bff/user").json
    browser.stub.claims = {"name": "Alice P. Liddell", "email": "new@site.example"}
    browser.log_in()
    assert rows(settings, "bff_users") == 1
    assert browser.get("/bff/user").json["email"] == "new@site.example"
    browser.stub.sub = "user-2"
    other = Browser(app, browser.stub)
    other.log_in()
    assert rows(settings, "bff_users") == 2
    assert other.get("/bff/user").json["sub"] != first["sub"]


def test_a_name_with_markup_is_shown_as_text(browser: Browser):
    browser.stub.claims = {"name": "<script>alert(1)</script>\u202e\x00"}
    browser.log_in()
    page = browser.get("/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "\u202e" not in page


def test_methods_without_a_meaning_are_refused(browser: Browser):
    for method, path in (("PUT", "/bff/callback"), ("POST", "/bff/login"), ("GET", "/bff/logout"), ("POST", "/")):
        assert browser.http.open(path, method=method, base_url=browser.base).status_code == 405
