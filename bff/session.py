"""The session on the server and its cookie in the browser.

The browser holds 256 random bits and nothing else; the database knows their SHA-256. A log-in always makes a new
value (no fixation) and ends the session it replaces. Idle and absolute ends are checked where the row is read.
"""

import re
import secrets
from dataclasses import dataclass

from flask import Request, Response

from bff.clock import now
from bff.errors import NotLoggedInError
from bff.records import Session
from bff.seal import digest
from bff.settings import BffSettings
from bff.store import Store

_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
_TOUCHES_PER_IDLE_TIME = 60


@dataclass(frozen=True, slots=True)
class Cookie:
    """One of the BFF's cookies: host-only, HttpOnly, SameSite=Lax; `__Host-` and Secure over https (RFC 6265bis)."""

    name: str
    secure: bool

    def read(self, request: Request) -> str | None:
        """Give the cookie's value if it has the right shape; a name sent twice counts as none."""
        values = request.cookies.getlist(self.name)
        return values[0] if len(values) == 1 and _VALUE.fullmatch(values[0]) else None

    def sent(self, request: Request) -> bool:
        """Tell whether the browser sent a cookie of this name, of whatever shape."""
        pairs = request.headers.get("Cookie", "").split(";")
        return any(pair.partition("=")[0].strip() == self.name for pair in pairs)

    def write(self, response: Response, value: str, seconds: int) -> None:
        """Set the cookie."""
        response.set_cookie(
            self.name, value, max_age=seconds, path="/", secure=self.secure, httponly=True, samesite="Lax"
        )

    def clear(self, response: Response) -> None:
        """Make the browser forget the cookie."""
        response.delete_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite="Lax")


class Sessions:
    """Finds the session of a request; asks the database only."""

    def __init__(self, settings: BffSettings, store: Store) -> None:
        prefix = "__Host-" if settings.secure else ""
        self._settings = settings
        self._store = store
        self.cookie = Cookie(f"{prefix}bff", settings.secure)
        self.login_cookie = Cookie(f"{prefix}bff-login", settings.secure)
        self.logout_cookie = Cookie(f"{prefix}bff-logout", settings.secure)

    def find(self, request: Request) -> Session | None:
        """Give the live session of a request and note that it is in use."""
        value = self.cookie.read(request)
        session = None if value is None else self._store.find_session(session_digest(value))
        if session is not None:
            self._touch(session)
        return session

    def require(self, request: Request) -> Session:
        """Give the live session of a request; raises NotLoggedInError."""
        session = self.find(request)
        if session is None:
            raise NotLoggedInError
        return session

    def _touch(self, session: Session) -> None:
        """Move the idle end, at most some sixty times in an idle time, so that reads stay reads."""
        idle = self._settings.session_idle_seconds
        if now() - session.seen_at >= max(1, idle // _TOUCHES_PER_IDLE_TIME):
            self._store.touch(session.id, now() + idle)


def new_value() -> str:
    """Make 256 random bits for a cookie, a state or a nonce."""
    return secrets.token_urlsafe(32)


def session_digest(value: str) -> str:
    """Give the digest under which a session cookie's value is stored."""
    return digest("session", value)
