"""Browser sessions: one per signed-in account, all of them hanging on the cookie of one browser.

The cookie is a handle of 32 bytes. The first half names the browser for as long as it keeps cookies; interactions are
bound to it. The second half is drawn anew at each sign-in, and sessions hang on the digest of both: a cookie from
before a sign-in opens nothing after it (OWASP ASVS 7.2.4).
"""

import hashlib
import secrets
from typing import Final, NamedTuple, Protocol

from authserver.clock import MINUTE, SECOND, now
from authserver.crypto import Kind, b64, digest, new_id, read_handle, write_handle
from authserver.deliveries import Deliveries
from authserver.records import Event, Session
from authserver.settings import Settings
from authserver.store import Store
from authserver.store.errors import StoreError

_HALF: Final = 16
_SHOWN: Final = 256  # characters kept of what a browser says of itself


class Keeper(Protocol):
    """What sessions need of the server."""

    settings: Settings
    store: Store
    deliveries: Deliveries


class Browser(NamedTuple):
    """A browser by its cookie: the cookie's text, the name of the browser, the digest on which its sessions hang."""

    cookie: str
    id: str
    digest: bytes


class Visit(NamedTuple):
    """Where a sign-in comes from: the browser, what it calls itself, and its network address."""

    browser: Browser
    user_agent: str
    address: str


def cookie_name(settings: Settings) -> str:
    """Return the name of the cookie (DECISIONS, Names in the browser)."""
    return "__Host-authserver" if settings.issuer.startswith("https:") else "authserver"


def new_browser() -> Browser:
    """Name a browser that has no cookie yet."""
    return _browser(secrets.token_bytes(2 * _HALF))


def read_browser(cookie: str | None) -> Browser | None:
    """Return the browser of a presented cookie, or None when it is not one of ours."""
    raw = read_handle(Kind.BROWSER, cookie) if cookie else None
    return None if raw is None else _browser(raw)


def rotate_browser(browser: Browser) -> Browser:
    """Return the same browser with a new secret half."""
    raw = read_handle(Kind.BROWSER, browser.cookie) or secrets.token_bytes(2 * _HALF)
    return _browser(raw[:_HALF] + secrets.token_bytes(_HALF))


def _browser(raw: bytes) -> Browser:
    name = b64(hashlib.sha256(b"authserver:browser:" + raw[:_HALF]).digest())
    return Browser(write_handle(Kind.BROWSER, raw), name, digest(Kind.BROWSER, raw))


def live_sessions(server: Keeper, browser: Browser) -> tuple[Session, ...]:
    """Return the live sessions of a browser, the newest sign-in first, and note that they were used."""
    moment = now()
    sessions = server.store.sessions.of_browser(browser.digest, _idle_after(server))
    for session in sessions:
        if session.seen_at < moment - MINUTE:
            _touch(server, session.sid, moment)
    return sessions


def sessions_of(server: Keeper, sub: str) -> tuple[Session, ...]:
    """Return the live sessions of a user in all browsers."""
    return server.store.sessions.of_user(sub, _idle_after(server))


def sign_in(server: Keeper, visit: Visit, sub: str, *, acr: str, amr: str) -> tuple[str, Browser]:
    """Start the session of a user who has just proven to be one; return its sid and the browser's new cookie.

    The same account again in the same browser keeps its session, with the new proof (a step-up does the same).
    """
    browser = visit.browser
    before = server.store.sessions.of_browser(browser.digest, _idle_after(server))
    fresh = renew_cookie(server, browser) if before else rotate_browser(browser)
    event = Event("sign_in.succeeded", sub, sub=sub, facts={"acr": acr, "amr": amr, "address": visit.address})
    for session in before:
        if session.sub == sub and server.store.sessions.upgrade(session.sid, now(), acr, amr):
            server.store.audit.append(event)
            return session.sid, fresh
    sid = new_id()
    server.store.sessions.start(
        sid=sid,
        browser=fresh.digest,
        sub=sub,
        acr=acr,
        amr=amr,
        user_agent=shown(visit.user_agent),
        address=visit.address,
        expires_at=now() + server.settings.sessions.absolute_seconds * SECOND,
        event=event,
    )
    return sid, fresh


def upgrade(server: Keeper, visit: Visit, session: Session, *, acr: str, amr: str) -> Browser | None:
    """Note a further proof of somebody who is signed in; return the browser's new cookie, or None when it is too late.

    A session that was ended in the meantime is not begun again: the new proof alone is not a sign-in.
    """
    if not server.store.sessions.upgrade(session.sid, now(), acr, amr):
        return None
    facts = {"acr": acr, "amr": amr, "address": visit.address}
    server.store.audit.append(Event("sign_in.succeeded", session.sub, sub=session.sub, facts=facts))
    return renew_cookie(server, visit.browser)


def renew_cookie(server: Keeper, browser: Browser) -> Browser:
    """Hang a browser's sessions on a new cookie; the old one opens nothing any more."""
    fresh = rotate_browser(browser)
    server.store.sessions.move(browser.digest, fresh.digest)
    return fresh


def end(server: Keeper, sessions: tuple[Session, ...], reason: str) -> None:
    """End sessions at once, with the grants that do not outlive them."""
    for session in sessions:
        end_by_id(server, session.sub, session.sid, reason)


def end_by_id(server: Keeper, sub: str, sid: str, reason: str) -> None:
    """End one session of a user."""
    server.store.sessions.end([sid], reason, Event("session.ended", sub, sub=sub, facts={"reason": reason, "sid": sid}))
    server.deliveries.nudge()


def end_others(server: Keeper, session: Session) -> None:
    """End every other session of the same user, in whatever browser."""
    event = Event("session.ended", session.sub, sub=session.sub, facts={"reason": "user"})
    server.store.sessions.end_all(session.sub, "user", event, keep_sid=session.sid)
    server.deliveries.nudge()


def shown(text: str) -> str:
    """Return the part of a browser's own words that is kept: printable, of bounded length."""
    return "".join(character for character in text[:_SHOWN] if character.isprintable())


def _idle_after(server: Keeper) -> int:
    return now() - server.settings.sessions.idle_seconds * SECOND


def _touch(server: Keeper, sid: str, moment: int) -> None:
    try:
        server.store.sessions.touch(sid, moment)
    except StoreError:
        # Whoever can be read is signed in; a minute later there is another chance to note it.
        return
