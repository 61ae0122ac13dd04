"""The proxy: which requests pass, what they carry, and what comes back."""

import socket
from typing import Any

import pytest

from bff import create_app
from bff.errors import PathRefusedError
from tests.bff.browser import OWN, Browser
from tests.bff.stub import Stub


@pytest.fixture
def logged_in(browser: Browser) -> Browser:
    browser.log_in()
    browser.stub.api_calls.clear()
    return browser


def test_a_call_reaches_the_api_with_a_token_and_comes_back(logged_in: Browser):
    answer = logged_in.api("/api/notes", "POST", json={"text": "hello"})
    assert answer.status_code == 201
    assert logged_in.api("/api/notes?page=1&q=a%20b").json["notes"] == [{"id": "1", "text": "hello"}]
    assert logged_in.api("/api/notes/1", "DELETE").status_code == 204
    assert [call["path"] for call in logged_in.stub.api_calls] == [
        "/v1/notes",
        "/v1/notes?page=1&q=a%20b",
        "/v1/notes/1",
    ]
    assert all(call["token"].startswith("at_") for call in logged_in.stub.api_calls)


@pytest.mark.parametrize(
    "path",
    [
        "//evil.test/x",
        "/api//evil.test",
        "/api/",
        "/api/unknown",
        "/api/notes//evil.test",
        "/api/notes/../admin",
        "/api/notes/..",
        "/api/notes/./x",
        "/api/notes/.../x",
        "/api/notes/..%2fadmin",
        "/api/notes/%2e%2e/admin",
        "/api/notes/%2e%2e%2fadmin",
        "/api/notes/%252e%252e/admin",
        "/api/notes/..%5cadmin",
        "/api/notes/a%5c..%5cb",
        "/api/notes/a\\b",
        "/api/notes/@evil.test",
        "/api/notes/a%40evil.test",
        "/api/notes@evil.test",
        "/api/notes.evil.test",
        "/api/notes:80@evil.test/",
        "/api/http://evil.test/",
        "/api/http:%2f%2fevil.test",
        "/api/notes/http://evil.test",
        "/api/notes/%0d%0aHost:evil.test",
        "/api/notes/a%0ab",
        "/api/notes/a%00b",
        "/api/notes/a%20b",
        "/api/notes/a;b",
        "/api/notes/a%3fb",
        "/api/notes/a%23b",
        "/api/notes/%ff",
        "/api/notes/%c0%ae%c0%ae/",
        "/api/notes/é",
        "/api/NOTES",
        "/api/notes/" + "a" * 300,
        "/api/notes" + "/a" * 1100,
        "/API/notes",
    ],
)
def test_a_path_that_could_lead_elsewhere_reaches_nobody(logged_in: Browser, path: str):
    answer = logged_in.api(path)
    assert answer.status_code == 404
    assert logged_in.stub.api_calls == []


@pytest.mark.parametrize("path", ["notes/\r\nx", "notes/\\x", "", "/", "notes/a/../b", "notes/ ", "@notes", "notes\n"])
def test_a_path_is_refused_where_it_is_read_as_well(app: Any, path: str):
    with pytest.raises(PathRefusedError):
        app.extensions["bff"].proxy.url(path, "")


@pytest.mark.parametrize("query", ["a=\r\nX: y", "a b", "a#b", "a\\b", "é", '"', "a" * 4097])
def test_a_query_that_could_break_out_is_refused(app: Any, query: str):
    with pytest.raises(PathRefusedError):
        app.extensions["bff"].proxy.url("notes", query)


@pytest.mark.parametrize("path", ["notes", "notes/", "notes/1", "notes/a-b_c~d.e", "notes/urn:x:1,2=3"])
def test_ordinary_paths_pass(app: Any, stub: Stub, path: str):
    _, url = app.extensions["bff"].proxy.url(path, "")
    assert url == f"{stub.issuer}/v1/{path}"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRF": "0"},
        {"X-CSRF": ""},
        {"X-CSRF": "1, 1"},
        {**OWN, "Origin": "https://evil.test"},
        {**OWN, "Origin": "null"},
        {**OWN, "Origin": "http://localhost:9000"},
        {**OWN, "Origin": "http://localhost:9002.evil.test"},
        {**OWN, "Sec-Fetch-Site": "cross-site"},
        {**OWN, "Sec-Fetch-Site": "same-site"},
        {**OWN, "Sec-Fetch-Site": "none"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_call_from_elsewhere_is_refused(logged_in: Browser, headers: dict[str, str], method: str):
    answer = logged_in.http.open("/api/notes", method=method, base_url=logged_in.base, headers=headers)
    assert (answer.status_code, answer.json["error"]) == (403, "cross_site_request")
    assert logged_in.stub.api_calls == []


def test_the_own_page_passes(logged_in: Browser):
    headers = {"Origin": "http://localhost:9002", "Sec-Fetch-Site": "same-origin"}
    assert logged_in.api("/api/notes", headers=headers).status_code == 200


def test_no_other_origin_is_ever_invited(logged_in: Browser):
    headers = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}
    for path in ("/api/notes", "/bff/user", "/bff/logout"):
        answer = logged_in.http.open(path, method="OPTIONS", base_url=logged_in.base, headers=headers)
        assert answer.status_code == 405
        assert not [name for name in dict(answer.headers) if name.startswith("Access-Control")]


def test_only_listed_headers_travel_to_the_api(logged_in: Browser):
    sent = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, br",
        "Authorization": "Bearer mine",
        "Connection": "X-Hop",
        "Forwarded": "host=evil.test",
        "If-Match": '"1"',
        "Origin": "http://localhost:9002",
        "Proxy-Authorization": "x",
        "Te": "trailers",
        "X-Forwarded-Host": "evil.test",
        "X-Hop": "1",
        "X-Http-Method-Override": "DELETE",
        "X-Original-Url": "/admin",
    }
    logged_in.api("/api/notes", headers=sent)
    (call,) = logged_in.stub.api_calls
    names = {name.lower() for name, _ in call["headers"]}
    assert names == {"host", "accept", "accept-encoding", "authorization", "if-match"}
    values = dict(call["headers"])
    assert values["Host"] == f"127.0.0.1:{logged_in.stub.port}"
    assert values["Accept-Encoding"] == "identity"
    assert values["Authorization"] != "Bearer mine"


def test_a_forged_host_changes_nothing(logged_in: Browser):
    answer = logged_in.raw("/api/notes", Host="evil.test", Cookie=f"bff={logged_in.cookie()}")
    assert answer.status_code == 200
    assert dict(logged_in.stub.api_calls[0]["headers"])["Host"] == f"127.0.0.1:{logged_in.stub.port}"
    login = logged_in.raw("/bff/login", Host="evil.test", **{"X-Forwarded-Host": "evil.test"})
    assert "evil.test" not in login.headers["Location"]


def test_only_listed_headers_come_back(logged_in: Browser):
    answer = logged_in.api("/api/notes/cookie")
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["ETag"] == '"1"'
    for name in ("X-Hop", "Connection", "Authorization", "Access-Control-Allow-Origin", "Server", "Date", "Location"):
        assert name not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_redirect_of_the_api_is_not_followed(logged_in: Browser):
    answer = logged_in.api("/api/notes/elsewhere")
    assert (answer.status_code, answer.json["error"]) == (502, "api_redirected")
    assert "Location" not in answer.headers
    assert len(logged_in.stub.api_calls) == 1


def test_without_a_session_nobody_is_asked(browser: Browser):
    answer = browser.api("/api/notes")
    assert (answer.status_code, answer.json["error"]) == (401, "not_logged_in")
    assert browser.stub.seen == []


def test_a_body_beyond_the_limit_is_refused(stub: Stub, tmp_path: Any):
    app = create_app(stub.settings(f"sqlite:///{tmp_path / 'bff.db'}", api_request_bytes=1024))
    browser = Browser(app, stub)
    browser.log_in()
    answer = browser.api("/api/notes", "POST", data=b"x" * 1025)
    assert (answer.status_code, answer.json["error"]) == (413, "too_large")
    assert stub.api_calls == []
    app.extensions["bff"].close()


def test_an_answer_beyond_the_limits_of_size_or_time_is_cut_off(stub: Stub, tmp_path: Any):
    limits = {"api_response_bytes": 10_000, "api_timeout_seconds": 0.5}
    app = create_app(stub.settings(f"sqlite:///{tmp_path / 'bff.db'}", **limits))
    browser = Browser(app, stub)
    browser.log_in()
    for path in ("big", "slow", "drip"):
        answer = browser.api(f"/api/notes/{path}")
        assert (answer.status_code, answer.json["error"]) == (502, "api_unavailable"), path
    app.extensions["bff"].close()


def test_an_api_that_is_away_is_said_so(stub: Stub, tmp_path: Any):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    api = {"prefix": "notes", "target": f"http://127.0.0.1:{port}/notes", "resource": "https://notes.example/"}
    app = create_app(stub.settings(f"sqlite:///{tmp_path / 'bff.db'}", apis=[api]))
    browser = Browser(app, stub)
    browser.log_in()
    answer = browser.api("/api/notes")
    assert (answer.status_code, answer.json["error"]) == (502, "api_unavailable")
    assert browser.get("/bff/user").status_code == 200
    app.extensions["bff"].close()


def test_a_head_request_has_no_body(logged_in: Browser):
    answer = logged_in.api("/api/notes", "HEAD")
    assert answer.status_code == 200
    assert answer.data == b""


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_refused(logged_in: Browser, method: str):
    assert logged_in.api("/api/notes", method).status_code == 405
