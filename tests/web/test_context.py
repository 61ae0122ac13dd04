from typing import Any

import pytest

from authserver.records import User
from pytest_authserver import AuthServer
from pytest_authserver.server import PASSWORD

FORGED = {"X-Forwarded-For": "198.51.100.7", "Forwarded": "for=198.51.100.7", "X-Real-IP": "198.51.100.7"}


def _seen_address(at: AuthServer, headers: dict[str, str]) -> str:
    browser = at.browser()
    browser.http.headers.update(headers)
    browser.log_in(browser.visit("/login"), "alice", PASSWORD)
    user = at.store.users.by_login("alice")
    assert user is not None
    return max(at.store.sessions.of_user(user.sub, 0), key=lambda session: session.created_at).address


def test_a_forged_forwarded_header_is_not_the_address(authserver: AuthServer, alice: User) -> None:
    assert _seen_address(authserver, FORGED) == "127.0.0.1"


class TestBehindAProxy:
    @pytest.fixture
    def authserver_settings(self, authserver_settings: dict[str, Any]) -> dict[str, Any]:
        return {**authserver_settings, "trusted_proxies": ("127.0.0.0/8",)}

    def test_the_address_is_the_one_that_the_proxy_saw(self, authserver: AuthServer, alice: User) -> None:
        forwarded = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
        assert _seen_address(authserver, forwarded) == "198.51.100.7"

    def test_what_is_no_address_is_harmless(self, authserver: AuthServer, alice: User) -> None:
        assert _seen_address(authserver, {"X-Forwarded-For": "<script>" + "x" * 5000}) == "<script>" + "x" * 248
