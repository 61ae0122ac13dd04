"""Steps of a person at the pages that the kit's ``authorize`` takes by itself."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pytest_authserver import AuthServer, Browser, Page
from pytest_authserver.server import PASSWORD


def start(browser: Browser, request: Mapping[str, Any]) -> Page:
    """Make an authorization request and stop at the first page."""
    return browser.visit(f"/authorize?{urlencode(request, doseq=True)}")


def sign_in(authserver: AuthServer, username: str = "alice") -> Browser:
    """Return a browser in which this account has signed in by the page."""
    browser = authserver.browser()
    browser.log_in(browser.visit("/login"), username, PASSWORD)
    return browser
