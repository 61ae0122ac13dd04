"""Signing in with a password: limits first, then the same work for everybody, then a session.

Right name or not, switched off or not, with a password or without: refusals are the same in words and in time (OWASP
ASVS 6.3.8). The tries on an account are counted under the account, however its name was spelled; a browser in which the
owner has signed in before has a counter of its own, so that strangers cannot keep the owner out.
"""

from typing import Final, NamedTuple, Protocol

from authserver.clock import SECOND, now
from authserver.identity import passwords, sessions
from authserver.identity.passwords import Passwords, TooBusy
from authserver.identity.sessions import Browser, Keeper, Visit
from authserver.limits import Exceeded, Limits
from authserver.records import Event, User
from authserver.store.errors import BadValue
from authserver.store.users import canonical

ACR_PASSWORD: Final = "urn:authserver:pwd"
AMR_PASSWORD: Final = "pwd"  # RFC 8176 2
MAX_NAME: Final = 320  # characters; the longest e-mail address has 254 (RFC 5321 4.5.3.1)


class Door(Keeper, Protocol):
    """What signing in needs of the server."""

    limits: Limits
    passwords: Passwords


class SignIn(NamedTuple):
    """How a sign-in ended: with a session, refused, or put off for ``wait`` seconds."""

    sid: str | None = None
    browser: Browser | None = None  # with its new cookie
    wait: int = 0


def sign_in(server: Door, visit: Visit, username: str, password: str) -> SignIn:
    """Sign somebody in with a password; raises TooBusy when too many wait for that already, and StoreError."""
    try:
        server.limits.count_sign_in_from(visit.address)
        user = _find(server, username)
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
    return _succeed(server, visit, user, account) if user is not None else SignIn()


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


def _succeed(server: Door, visit: Visit, user: User, account: str) -> SignIn:
    server.limits.forget_tries(account)
    until = now() + server.settings.sessions.absolute_seconds * SECOND
    server.limits.remember_owner(counter_of(user.sub, visit.browser), until)
    sid, browser = sessions.sign_in(server, visit, user.sub, acr=ACR_PASSWORD, amr=AMR_PASSWORD)
    after = server.store.users.get(user.sub)
    if after is None or after.not_before != user.not_before:
        # The password was changed while the old one was being checked: the session of the old one must not outlive it.
        sessions.end_by_id(server, user.sub, sid, "password.replaced")
        return SignIn()
    return SignIn(sid, browser)


def _find(server: Door, username: str) -> User | None:
    if not username or len(username) > MAX_NAME:
        return None
    try:
        return server.store.users.by_login(username)
    except BadValue:
        return None


def _counter(server: Door, user: User | None, username: str, browser: Browser) -> str:
    """Return the name of the counter: the owner's browser, the account, or a name that nobody has."""
    known = counter_of(user.sub if user else "", browser)
    # Asked for unknown names too: the time must not tell.
    if server.limits.is_owner(known):
        return known
    return f"account {user.sub}" if user else f"name {canonical(username[:MAX_NAME])}"
