"""RFC 9126 from the client's side: the request goes to the provider first, and the browser carries a reference."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from flask import Response, jsonify

from bff import BffSettings, create_app
from tests.bff.browser import Browser, error_code
from tests.bff.stub import CLIENT_ID, Stub


@pytest.fixture
def pushed(stub: Stub) -> list[dict[str, str]]:
    """What was pushed to a provider that takes pushed requests."""
    seen: list[dict[str, str]] = []
    stub.push = seen.append
    return seen


def _busy(status: int) -> Callable[[dict[str, str]], Response]:
    def answer(_form: dict[str, str]) -> Response:
        response: Response = jsonify(error="invalid_request")
        response.status_code = status
        return response

    return answer


def test_the_browser_carries_a_reference_and_nothing_else(browser: Browser, pushed: list[dict[str, str]]):
    asked = browser.start()
    assert asked.keys() == {"client_id", "request_uri"}
    assert asked["client_id"] == CLIENT_ID
    (form,) = pushed
    assert len(form["state"]) == len(form["nonce"]) == len(form["code_challenge"]) == 43
    assert form["redirect_uri"] == "http://localhost:9002/bff/callback"


def test_the_log_in_goes_on_from_there(browser: Browser, pushed: list[dict[str, str]]):
    browser.start()
    sent_back = httpx2.get(browser.url, trust_env=False).headers["Location"]
    parts = urlsplit(sent_back)
    assert parse_qs(parts.query)["state"] == [pushed[0]["state"]]
    assert browser.get(f"{parts.path}?{parts.query}").status_code == 303
    assert browser.get("/bff/user").json["name"] == "Alice Liddell"
    assert browser.api("/api/almanac").status_code == 200


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_provider_that_is_too_busy_is_asked_by_the_browser_instead(browser: Browser, stub: Stub, status: int):
    # Anybody may begin log-ins: who uses up the client's pushes must not keep the others out.
    stub.push = _busy(status)
    assert browser.start()["response_type"] == "code"


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_told_not_gone_round(browser: Browser, stub: Stub, status: int):
    stub.push = _busy(status)
    answer = browser.get("/bff/login")
    assert answer.status_code >= 400
    assert "Location" not in answer.headers
    assert error_code(answer.text) == "provider_refused"


def test_where_it_is_required_there_is_no_other_way(browser: Browser, stub: Stub):
    stub.push = _busy(503)
    stub.metadata["require_pushed_authorization_requests"] = True
    assert browser.get("/bff/login").status_code == 503


@pytest.mark.parametrize(("wanted", "names"), [("never", {"response_type"}), ("always", {"request_uri"})])
def test_the_setting_decides(
    stub: Stub,
    settings: BffSettings,
    pushed: list[dict[str, str]],
    wanted: str,
    names: set[str],
):
    app = create_app(settings.model_copy(update={"push_requests": wanted}))
    assert names <= Browser(app, stub).start().keys()
    assert len(pushed) == (wanted == "always")
    app.extensions["bff"].close()


def test_an_endpoint_elsewhere_is_refused(browser: Browser, stub: Stub, pushed: list[dict[str, str]]):
    stub.metadata["pushed_authorization_request_endpoint"] = "https://evil.test/par"
    assert browser.get("/bff/login").status_code >= 500
    assert pushed == []
