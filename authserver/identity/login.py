"""Signing in: limits first, then the same work for everybody, then a second factor where there is one, then a session.

Right name or not, switched off or not, with a password or without: refusals are the same in words and in time (OWASP
ASVS 6.3.8). The tries on an account are counted under the account, however its name was spelled; a browser in which the
owner has signed in before has a counter of its own, so that strangers cannot keep the owner out.

Between the two factors there is no session, only a note under the browser's new cookie: it opens the page that asks for
the code and nothing else, for ten minutes and five codes (OWASP ASVS 2.3.1).
"""

from dataclasses import asdict, dataclass
from typing import Final, NamedTuple, Protocol

import orjson

from authserver.clock import MINUTE, SECOND, now
from authserver.crypto import b64, new_id
from authserver.identity import passwords, second_factor, sessions
from authserver.identity.passwords import Passwords, TooBusy
from authserver.identity.second_factor import Guard
from authserver.identity.sessions import Browser, Visit
from authserver.limits import Exceeded
from authserver.records import Event, Session, User
from authserver.store.users import canonical

ACR_PASSWORD: Final = "urn:authserver:pwd"
AMR_PASSWORD: Final = "pwd"  # RFC 8176 2
MAX_NAME: Final = 320  # characters; the longest e-mail address has 254 (RFC 5321 4.5.3.1)
MAX_CODES: Final = 5  # wrong ones, then the password is asked for again
_HALF: Final = "sign-in.half"
_CODES: Final = "sign-in.codes"
_HALF_LIFE: Final = 10 * MINUTE


class Door(Guard, Protocol):
    """What signing in needs of the server."""

    passwords: Passwords


class SignIn(NamedTuple):
    """How a sign-in ended: with a session, half way (no session yet), refused, put off, or to begin anew."""

    sid: str | None = None
    browser: Browser | None = None  # with its new cookie
    wait: int = 0  # seconds
    half: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True)
class Half:
    """Somebody whose password was right and whose second factor is still to come."""

    half_id: str
    sub: str
    username: str
    about: str  # the interaction, if there is one
    not_before: int
    remember: bool | None = None  # chosen beside the password, for this account alone


def sign_in(
    server: Door, visit: Visit, username: str, password: str, about: str = "", *, remember: bool | None = None
) -> SignIn:
    """Take name and password; raises TooBusy when too many wait for that already, and StoreError.

    ``about`` names what the sign-in is for; a second factor counts for the same alone. ``remember`` says whether the
    person chose to be kept signed in; None where that was not asked.
    """
    try:
        server.limits.count_sign_in_from(visit.address)
        user = find(server, username)
        account = _counter(server, user, username, visit.browser)
        server.limits.reserve_try(account)
    except Exceeded as limit:
        return SignIn(wait=limit.retry_after)
    if not is_password(server, user, password, account):
        sub = user.sub if user else None
        # What was typed as a name stays out: it may be a password in the wrong field.
        event = Event("sign_in.failed", sub or "", sub=sub, facts={"address": visit.address})
        server.store.audit.append(event)
        return SignIn()
    if user is None:
        return SignIn()
    server.limits.forget_tries(account)
    if not second_factor.is_enrolled(server, user.sub):
        return _open(server, visit, user, ACR_PASSWORD, AMR_PASSWORD, remember=remember)
    return _half(server, visit, Half(new_id(), user.sub, user.username, about, user.not_before, remember))


def half_of(server: Door, browser: Browser, about: str) -> Half | None:
    """Return who has got half way in this browser, for the same purpose."""
    item = server.store.ephemeral.get(_HALF, b64(browser.digest))
    half = Half(**orjson.loads(item.value)) if item else None
    return half if half and half.about == about else None


def complete(server: Door, visit: Visit, half: Half, typed: str) -> SignIn:
    """Take the second factor of somebody who has got half way; raises StoreError."""
    verdict = second_factor.check(server, visit, half.sub, typed)
    if verdict.wait:
        return SignIn(wait=verdict.wait)
    key = b64(visit.browser.digest)
    if verdict.amr is None:
        over = server.store.ephemeral.count(_CODES, half.half_id, _HALF_LIFE) >= MAX_CODES
        if over:
            server.store.ephemeral.forget(_HALF, key)
        return SignIn(over=over)
    user = server.store.users.get(half.sub)
    taken = server.store.ephemeral.take(_HALF, key)
    if taken is None or user is None or user.disabled_at is not None or user.not_before != half.not_before:
        return SignIn(over=True)
    return _open(server, visit, user, second_factor.ACR, verdict.amr, remember=half.remember)


def step_up(server: Door, visit: Visit, session: Session, typed: str) -> SignIn:
    """Take the second factor of somebody who is signed in here by the password alone; raises StoreError."""
    verdict = second_factor.check(server, visit, session.sub, typed)
    if verdict.amr is None:
        return SignIn(wait=verdict.wait)
    return raise_session(server, visit, session, verdict.amr)


def raise_session(server: Door, visit: Visit, session: Session, amr: str) -> SignIn:
    """Let a session stand for two factors; the second one has just been proven."""
    second_factor.remember_owner(server, session.sub, visit.browser)
    browser = sessions.upgrade(server, visit, session, acr=second_factor.ACR, amr=amr)
    return SignIn(session.sid, browser) if browser else SignIn(over=True)


def enter(server: Door, visit: Visit, user: User) -> SignIn:
    """Sign somebody in who has chosen the password of a new account just now; raises StoreError."""
    return _open(server, visit, user, ACR_PASSWORD, AMR_PASSWORD)


def is_password(server: Door, user: User | None, password: str, account: str) -> bool:
    """Say whether this is the password of a user in force, in the same time for all; store a better hash if it is."""
    held = server.store.credentials.of_user(user.sub if user else "", passwords.KIND)
    try:
        verdict = server.passwords.verify(held[0].secret if held else None, password)
    except TooBusy:
        server.limits.return_try(account)
        raise
    if verdict.upgraded is not None:
        server.store.credentials.upgrade(held[0].credential_id, held[0].secret, verdict.upgraded)
    return verdict.right and user is not None and user.disabled_at is None


def counter_of(sub: str, browser: Browser) -> str:
    """Return the counter of tries of an account in a browser that its owner uses."""
    return f"device {sub} {browser.id}"


def _half(server: Door, visit: Visit, half: Half) -> SignIn:
    # A new cookie already here: whoever planted the old one is not half way in (OWASP ASVS 7.2.4).
    fresh = sessions.renew_cookie(server, visit.browser)
    text = orjson.dumps(asdict(half)).decode()
    server.store.ephemeral.put(_HALF, b64(fresh.digest), text, now() + _HALF_LIFE)
    return SignIn(browser=fresh, half=True)


def _open(server: Door, visit: Visit, user: User, acr: str, amr: str, *, remember: bool | None = None) -> SignIn:
    until = now() + server.settings.sessions.longest_seconds * SECOND
    server.limits.remember_owner(counter_of(user.sub, visit.browser), until)
    if acr == second_factor.ACR:
        second_factor.remember_owner(server, user.sub, visit.browser)
    sid, browser = sessions.sign_in(server, visit, user.sub, acr=acr, amr=amr, remember=remember)
    after = server.store.users.get(user.sub)
    if after is None or after.not_before != user.not_before:
        # The password was changed while the old one was being checked: the session of the old one must not outlive it.
        sessions.end_by_id(server, user.sub, sid, "password.replaced")
        return SignIn()
    return SignIn(sid, browser)


def find(server: Guard, name: str) -> User | None:
    """Return the user with this name or e-mail address, in any spelling; it may be anything."""
    return server.store.users.by_login(name) if 0 < len(name) <= MAX_NAME else None


def _counter(server: Door, user: User | None, username: str, browser: Browser) -> str:
    """Return the name of the counter: the owner's browser, the account, or a name that nobody has."""
    known = counter_of(user.sub if user else "", browser)
    # Asked for unknown names too: the time must not tell.
    if server.limits.is_owner(known):
        return known
    return f"account {user.sub}" if user else f"name {canonical(username[:MAX_NAME])}"
