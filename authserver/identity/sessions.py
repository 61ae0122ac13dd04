"""Browser sessions: one per signed-in account, all of them hanging on the cookie of one browser.

The cookie is a handle of 32 bytes. The first half names the browser for as long as it keeps cookies; interactions are
bound to it. The second half is drawn anew at each sign-in, and sessions hang on the digest of both: a cookie from
before a sign-in opens nothing after it (OWASP ASVS 7.2.4).

The cookie goes when the browser is closed, unless one of its accounts asked to be kept signed in. Then it is of
another kind and lasts, beside a mark that goes when the browser is closed: without that mark only the accounts count
that asked. Whoever opens the browser next has the cookie and not the mark, and cannot make the one of the other. What
an account has asked for counts only as far as the settings offer it today, whatever they offered then.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from authserver.clock import MINUTE, SECOND, now
from authserver.crypto import Kind, Sealer, b64, digest, new_id, read_handle, same, write_handle
from authserver.deliveries import Deliveries
from authserver.records import Event, Session
from authserver.settings import Settings
from authserver.store import Store
from authserver.store.errors import Conflict, StoreError
from authserver.store.sessions import NEVER

_HALF: Final = 16
_SHOWN: Final = 256  # characters kept of what a browser says of itself
_ACCOUNT: Final = "account"  # which of several accounts a browser's own pages are about


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
    kept: bool = False  # its cookie outlives the closing of the browser
    reopened: bool = False  # it was closed since: only what is remembered counts
    seconds: int = 0  # how long a new cookie that is kept lasts


class Since(NamedTuple):
    """When a session that counts was seen and begun at the earliest, and one of somebody who wants to be remembered."""

    idle_after: int
    begun_after: int
    remembered_after: int
    remembered_idle_after: int


class Visit(NamedTuple):
    """Where a sign-in comes from: the browser, what it calls itself, and its network address."""

    browser: Browser
    user_agent: str
    address: str


def cookie_name(settings: Settings) -> str:
    """Return the name of the cookie (DECISIONS, Names in the browser)."""
    return "__Host-authserver" if settings.issuer.startswith("https:") else "authserver"


def mark_name(settings: Settings) -> str:
    """Return the name of the mark beside a cookie that is kept: the browser was not closed since."""
    return f"{cookie_name(settings)}-open"


def new_browser() -> Browser:
    """Name a browser that has no cookie yet."""
    return _browser(Kind.BROWSER, secrets.token_bytes(2 * _HALF))


def read_browser(cookie: str | None) -> Browser | None:
    """Return the browser of a presented cookie, or None when it is not one of ours.

    With a cookie that is kept it was closed since, as long as nobody has seen its mark (``marked``).
    """
    for kind in (Kind.BROWSER, Kind.KEPT_BROWSER) if cookie else ():
        raw = read_handle(kind, cookie or "")
        if raw is not None:
            browser = _browser(kind, raw)
            return browser._replace(reopened=browser.kept)
    return None


def mark_of(sealer: Sealer, browser: Browser) -> str:
    """Return the mark beside a cookie that is kept: another one for each cookie, so that none can be saved up."""
    return b64(hmac.digest(sealer.derive("browser-open"), browser.digest, "sha256"))


def marked(sealer: Sealer, browser: Browser, mark: str) -> Browser:
    """Return the browser as this mark beside its cookie shows it: with the right one it was not closed since."""
    if browser.reopened and same(mark, mark_of(sealer, browser)):
        return browser._replace(reopened=False)
    return browser


def rotate_browser(browser: Browser, seconds: int = 0) -> Browser:
    """Return the same browser with a new secret half, in a cookie that is kept for so long (0: until it is closed)."""
    raw = read_handle(Kind.KEPT_BROWSER if browser.kept else Kind.BROWSER, browser.cookie)
    name = raw[:_HALF] if raw else secrets.token_bytes(_HALF)
    kind = Kind.KEPT_BROWSER if seconds else Kind.BROWSER
    return _browser(kind, name + secrets.token_bytes(_HALF))._replace(seconds=seconds)


def _browser(kind: Kind, raw: bytes) -> Browser:
    name = b64(hashlib.sha256(b"authserver:browser:" + raw[:_HALF]).digest())
    return Browser(write_handle(kind, raw), name, digest(kind, raw), kept=kind is Kind.KEPT_BROWSER)


def since(settings: Settings) -> Since:
    """Return from when on sessions count, by the settings of today."""
    limits, moment = settings.sessions, now()
    offered = limits.remember_seconds > 0
    return Since(
        idle_after=moment - limits.idle_seconds * SECOND,
        begun_after=moment - limits.absolute_seconds * SECOND,
        remembered_after=moment - limits.remember_seconds * SECOND if offered else NEVER,
        remembered_idle_after=moment - limits.remember_idle_seconds * SECOND,
    )


def in_force(settings: Settings, session: Session) -> Session:
    """Return a session as it counts by the settings of today: whether it is remembered, and its last end."""
    limits, remembered_at = settings.sessions, session.remembered_at
    ends = session.created_at + limits.absolute_seconds * SECOND
    if remembered_at:
        kept = remembered_at + limits.remember_seconds * SECOND
        if limits.remember_seconds and kept > now():
            ends = max(ends, kept)
        else:
            remembered_at = 0
    if session.expires_at <= ends and session.remembered_at == remembered_at:
        return session
    return session._replace(remembered_at=remembered_at, expires_at=min(session.expires_at, ends))


def is_fresh(settings: Settings, session: Session) -> bool:
    """Say whether the sign-in is young enough to change how the account is protected (OWASP ASVS 7.5.1)."""
    return session.auth_time >= now() - settings.sessions.fresh_seconds * SECOND


def idle_end(settings: Settings, session: Session) -> int:
    """Return when a session (``in_force``) is over without any use from now on."""
    limits = settings.sessions
    seconds = max(limits.idle_seconds, limits.remember_idle_seconds) if session.remembered_at else limits.idle_seconds
    return min(session.seen_at + seconds * SECOND, session.expires_at)


def live_sessions(server: Keeper, browser: Browser) -> tuple[Session, ...]:
    """Return the live sessions of a browser, the newest sign-in first, and note that they were used."""
    moment = now()
    sessions = _live(server, browser)
    for session in sessions:
        if session.seen_at < moment - MINUTE:
            _touch(server, session.sid, moment)
    return sessions


def idle_sessions(server: Keeper, browser: Browser) -> tuple[Session, ...]:
    """Return the sessions of a browser that are over for want of use and that nobody has ended, one for each account.

    Nothing is kept for this: the rows stand until their last end, and go at once when somebody signs out.
    """
    live, moment = {session.sub for session in _live(server, browser)}, now()
    found: dict[str, Session] = {}
    for session in _counted(server, browser, server.store.sessions.of_browser(browser.digest, 0)):
        if session.sub not in live and session.expires_at > moment:
            found.setdefault(session.sub, session)
    return tuple(found.values())


def sessions_of(server: Keeper, sub: str) -> tuple[Session, ...]:
    """Return the live sessions of a user in all browsers."""
    found = server.store.sessions.of_user(sub, *since(server.settings))
    return tuple(in_force(server.settings, session) for session in found)


def sign_in(
    server: Keeper, visit: Visit, sub: str, *, acr: str, amr: str, remember: bool | None = None
) -> tuple[str, Browser]:
    """Start the session of a user who has just proven to be one; return its sid and the browser's new cookie.

    The same account again in the same browser keeps its session, with the new proof (a step-up does the same).
    ``remember`` is what the person chose, for this account alone; None where nobody asked, which changes nothing.
    """
    before, limits = _live(server, visit.browser), server.settings.sessions
    remember = remember and limits.remember_seconds > 0
    others = [session for session in before if session.sub != sub or remember is None]
    seconds = max(_seconds_left(others), limits.remember_seconds if remember else 0)
    fresh = _renew(server, visit.browser, seconds)
    event = Event("sign_in.succeeded", sub, sub=sub, facts={"acr": acr, "amr": amr, "address": visit.address})
    for session in before:
        if session.sub == sub and _prove_again(server, session, acr, amr, remember=remember):
            server.store.audit.append(event)
            return session.sid, fresh
    sid, moment = new_id(), now()
    server.store.sessions.start(
        sid=sid,
        browser=fresh.digest,
        sub=sub,
        acr=acr,
        amr=amr,
        user_agent=shown(visit.user_agent),
        address=visit.address,
        expires_at=moment + (limits.longest_seconds if remember else limits.absolute_seconds) * SECOND,
        remembered_at=moment if remember else 0,
        event=event,
    )
    return sid, fresh


def upgrade(server: Keeper, visit: Visit, session: Session, *, acr: str, amr: str) -> Browser | None:
    """Note a further proof of somebody who is signed in; return the browser's new cookie, or None when it is too late.

    A session that was ended in the meantime is not begun again: the new proof alone is not a sign-in. Nor does it make
    the sign-in a younger one, for ``prompt=login``, ``max_age`` and the pages that want a recent one.
    """
    if not server.store.sessions.upgrade(session.sid, acr, amr):
        return None
    facts = {"acr": acr, "amr": amr, "address": visit.address}
    server.store.audit.append(Event("sign_in.succeeded", session.sub, sub=session.sub, facts=facts))
    return renew_cookie(server, visit.browser)


def renew_cookie(server: Keeper, browser: Browser) -> Browser:
    """Hang a browser's sessions on a new cookie; the old one opens nothing any more."""
    return _renew(server, browser, _seconds_left(_live(server, browser)))


def account_of(server: Keeper, browser: Browser, sessions: tuple[Session, ...]) -> Session | None:
    """Return whom a browser's own pages are about: the account that was chosen there, else the latest sign-in."""
    if len(sessions) < 2:
        return sessions[0] if sessions else None
    item = server.store.single_use.get(_ACCOUNT, browser.id)
    chosen = item.value if item else None
    return next((session for session in sessions if session.sid == chosen), sessions[0])


def choose_account(server: Keeper, browser: Browser, sid: str) -> None:
    """Take the account that was chosen for a browser's own pages.

    In the database, beside the sessions: where Redis keeps the rest and is away, people sign in all the same.
    """
    until = now() + server.settings.sessions.longest_seconds * SECOND
    server.store.single_use.forget(_ACCOUNT, browser.id)
    with suppress(Conflict):  # another tab was faster: one of two choices at once counts
        server.store.single_use.put(_ACCOUNT, browser.id, sid, until)


def sign_out(server: Keeper, browser: Browser, ended: tuple[Session, ...], reason: str) -> None:
    """End sessions of a browser at once, with the grants that do not outlive them, and what their accounts left there.

    A session from before, long idle, would show the name of somebody who has signed out.
    """
    subs, sids = {session.sub for session in ended}, {session.sid for session in ended}
    left = [one for one in server.store.sessions.of_browser(browser.digest, 0) if one.sub in subs]
    for session in (*ended, *(one for one in left if one.sid not in sids)):
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


def _live(server: Keeper, browser: Browser) -> tuple[Session, ...]:
    return _counted(server, browser, server.store.sessions.of_browser(browser.digest, *since(server.settings)))


def _counted(server: Keeper, browser: Browser, found: tuple[Session, ...]) -> tuple[Session, ...]:
    """Return the sessions as they count, without those that a closed browser was to forget."""
    counted = tuple(in_force(server.settings, session) for session in found)
    return tuple(session for session in counted if session.remembered_at) if browser.reopened else counted


def _prove_again(server: Keeper, session: Session, acr: str, amr: str, *, remember: bool | None) -> bool:
    """Note the new proof and the new choice; say whether the session goes on. It is ended where it cannot."""
    limits, moment = server.settings.sessions, now()
    until = session.created_at + limits.absolute_seconds * SECOND
    if remember:
        until = max(until, moment + limits.remember_seconds * SECOND)
    # Who takes the choice back may be past the end that counts without it.
    goes_on = (remember is None or until > moment) and server.store.sessions.renew(session.sid, moment, acr, amr)
    if not goes_on:
        end_by_id(server, session.sub, session.sid, "replaced")
    elif remember is not None and (remember or session.remembered_at):
        server.store.sessions.remember(session.sid, moment if remember else 0, until)
    return goes_on


def _seconds_left(sessions: Iterable[Session]) -> int:
    """Return how long a cookie has to last for those of these sessions that are remembered."""
    left = (session.expires_at - now() for session in sessions if session.remembered_at)
    return max(max(left, default=0) // SECOND, 0)


def _renew(server: Keeper, browser: Browser, seconds: int) -> Browser:
    fresh = rotate_browser(browser, seconds)
    # What a closed browser was to forget stays behind on the old cookie, which the browser has no more.
    remembered_since = since(server.settings).remembered_after + 1 if browser.reopened else 0
    server.store.sessions.move(browser.digest, fresh.digest, remembered_since)
    return fresh


def _touch(server: Keeper, sid: str, moment: int) -> None:
    try:
        server.store.sessions.touch(sid, moment)
    except StoreError:
        # Whoever can be read is signed in; a minute later there is another chance to note it.
        return
