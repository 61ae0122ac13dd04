"""RFC 8414 section 3.3 and RFC 6749 section 5: what the provider says about itself, and its answers."""

from typing import Any

import pytest
from flask import Response

from bff import create_app
from tests.bff.browser import Browser, error_code
from tests.bff.stub import Stub


def _metadata_faults() -> dict[str, dict[str, Any]]:
    return {
        "other issuer": {"issuer": "http://evil.test"},
        "issuer with a slash": {"issuer": "SELF/"},
        "token endpoint elsewhere": {"token_endpoint": "http://127.0.0.1:9/token"},
        "keys elsewhere": {"jwks_uri": "https://evil.test/jwks"},
        "authorization endpoint elsewhere": {"authorization_endpoint": "https://evil.test/authorize"},
        "revocation elsewhere": {"revocation_endpoint": "https://evil.test/revoke"},
        "logout elsewhere": {"end_session_endpoint": "javascript:alert(1)"},
        "endpoint with a user": {"token_endpoint": "http://evil@127.0.0.1/token"},
        "endpoint missing": {"token_endpoint": None},
        "plain challenge only": {"code_challenge_methods_supported": ["plain"]},
        "no code": {"response_types_supported": ["id_token"]},
        "no basic": {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
    }


@pytest.mark.parametrize("fault", _metadata_faults())
def test_metadata_that_leads_elsewhere_is_refused(browser: Browser, fault: str):
    for name, value in _metadata_faults()[fault].items():
        browser.stub.metadata[name] = f"{browser.stub.issuer}/" if value == "SELF/" else value
    answer = browser.get("/bff/login")
    assert answer.status_code == 502
    assert error_code(answer.text) == "provider_mismatch"


def test_the_provider_may_be_away_at_start_and_come_later(tmp_path: Any):
    with Stub().running() as stub:
        port = stub.port
    app = create_app(stub.settings(f"sqlite:///{tmp_path / 'bff.db'}"))
    browser = Browser(app, stub)
    answer = browser.get("/bff/login")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert error_code(answer.text) == "provider_unavailable"
    assert browser.get("/").status_code == 200
    with Stub(port=port).running() as back:
        browser.stub = back
        browser.log_in()
    app.extensions["bff"].close()


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Response("down", 503), 503, "provider_unavailable"),
        (Response("<html>", 200), 503, "provider_unavailable"),
        (Response("[" * 50_000, 200), 503, "provider_unavailable"),
        (Response(b"x" * 100_000, 200), 503, "provider_unavailable"),
        (Response('{"access_token": "x"}', 200), 503, "provider_unavailable"),
        (Response('{"access_token": "x", "token_type": "DPoP"}', 200), 503, "provider_unavailable"),
        (Response('{"access_token": "a b\\r\\n", "token_type": "Bearer"}', 200), 503, "provider_unavailable"),
        (Response('{"access_token": "x", "token_type": "Bearer"}', 200), 400, "token_refused"),
        (Response('{"error": "invalid_grant"}', 400), 400, "login_failed"),
        (Response('{"error": "<b>x</b>"}', 400), 400, "login_failed"),
        (Response("", 307, {"Location": "http://127.0.0.1:9/token"}), 503, "provider_unavailable"),
    ],
)
def test_a_strange_token_response_is_an_error_page(browser: Browser, fault: Response, status: int, code: str):
    browser.stub.token_fault = lambda form: fault
    answer = browser.get(browser.answered(browser.start()))
    assert (answer.status_code, error_code(answer.text)) == (status, code)
    # A code is redeemed once; asking again might revoke what the first request was given.
    assert len(browser.stub.token_requests) == 1
