"""An authenticator app, made from the specification alone (RFC 6238, RFC 4226), and how an account gets one."""

import hashlib
import hmac
import struct
from base64 import b32decode
from dataclasses import dataclass
from html import unescape
from re import findall, search

from authserver import clock
from pytest_authserver import AuthServer, Browser, Page


@dataclass
class Authenticator:
    """The app: it knows the secret and the time."""

    secret: bytes
    recovery_codes: list[str]

    def code(self, steps: int = 0) -> str:
        """Return the code of now, or of ``steps`` later."""
        counter = int(clock.now() / 1_000_000) // 30 + steps
        tag = hmac.new(self.secret, struct.pack(">Q", counter), hashlib.sha1).digest()
        at = tag[19] & 15
        return str((struct.unpack(">I", tag[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000).zfill(6)

    def wrong(self) -> str:
        """Return a code that is right at no time near now."""
        near = {self.code(steps) for steps in range(-3, 4)}
        return next(
            code
            for code in ("000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777")
            if code not in near
        )


def scanned(page: Page) -> Authenticator:
    """Return the app in which the key of the page was typed."""
    found = search(r'<code id="secret"[^>]*>([A-Z2-7 ]+)</code>', page.text)
    assert found is not None, page.url
    return Authenticator(b32decode(found[1].replace(" ", "")), [])


def codes_on(page: Page) -> list[str]:
    """Return the recovery codes that a page shows."""
    return [unescape(code) for code in findall(r"<li><code[^>]*>([a-z2-7-]+)</code></li>", page.text)]


def enrol(authserver: AuthServer, browser: Browser, page: Page | None = None) -> Authenticator:
    """Set up an app, a minute ago, in a browser whose owner has just signed in.

    So the codes of now and of the next step are good for signing in, also when the step ends in between.
    """
    with authserver.later(-60):
        page = page or browser.visit("/account/second-factor")
        app = scanned(page)
        app.recovery_codes = codes_on(browser.submit(page, "second-factor-add", code=app.code()))
    return app
