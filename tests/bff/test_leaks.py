"""No token anywhere that a browser or a log can see (OWASP ASVS 10.1.1)."""

import base64
import logging
from typing import Any
from urllib.parse import unquote

import pytest

from bff import BffSettings
from tests.bff.browser import OWN, Browser
from tests.bff.database import expire
from tests.bff.stub import CLIENT_SECRET


def everything(answer: Any) -> str:
    """Headers and body, as sent, unquoted, and with every cookie decoded."""
    head = "\n".join(f"{name}: {value}" for name, value in answer.headers)
    decoded = []
    for line in answer.headers.getlist("Set-Cookie"):
        value = line.partition("=")[2].partition(";")[0]
        decoded.append(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode("latin-1") if value else "")
    whole = head + answer.text + "".join(decoded)
    return whole + unquote(whole)


def test_no_token_is_visible_to_the_browser_or_in_the_log(
    browser: Browser, settings: BffSettings, caplog: pytest.LogCaptureFixture
):
    seen: list[str] = []

    def keep(answer: Any) -> Any:
        seen.append(everything(answer))
        return answer

    with caplog.at_level(logging.DEBUG):
        keep(browser.get("/"))
        asked = browser.start()
        callback = browser.answered(asked)
        keep(browser.get(callback))
        keep(browser.get(callback))
        for path in ("/", "/bff/user", "/bff/login", "/nowhere", "/bff/static/bff.js", "/bff/static/bff.css"):
            keep(browser.get(path)).close()
        for path in ("/api/notes", "/api/almanac", "/api/notes/cookie", "/api/notes/elsewhere", "/api/notes/../x"):
            keep(browser.api(path))
        expire(settings)
        keep(browser.api("/api/notes"))
        browser.stub.id_token_claims = {"nonce": "wrong"}
        keep(browser.get(browser.answered(browser.start())))
        browser.stub.end_grants()
        expire(settings)
        keep(browser.api("/api/notes"))
    secrets = {*browser.stub.issued, *browser.stub.grants, CLIENT_SECRET}
    assert len(secrets) > 8
    log = "\n".join(record.getMessage() for record in caplog.records if record.name != "werkzeug") + caplog.text
    for secret in secrets:
        assert not any(secret in answer for answer in seen)
        assert secret not in log
    verifiers = [sent["code_verifier"] for sent in browser.stub.token_requests if "code_verifier" in sent]
    for secret in (*verifiers, asked["state"], asked["nonce"]):
        assert secret not in log


def test_at_log_out_only_the_id_token_passes_as_the_hint(browser: Browser):
    browser.log_in()
    answer = everything(browser.post("/bff/logout", headers=OWN))
    visible = {token for token in browser.stub.issued if token in answer}
    assert all(token.count(".") == 2 for token in visible)
    assert len(visible) == 1


def test_settings_do_not_print_their_secrets(settings: BffSettings):
    assert CLIENT_SECRET not in repr(settings)
    assert "0123456789abcdef" not in str(settings)


def test_a_token_response_does_not_print_its_tokens():
    from bff.client import TokenResponse

    assert "secret" not in repr(TokenResponse("secret", 1, None, "secret", "secret"))
