"""The second factor of an account: an authenticator app (TOTP, RFC 6238), and recovery codes for the day it is lost.

Setting one up takes a sign-in of the last minutes and a code that the new app shows; replacing or removing one takes a
code as well. So whoever has the password alone cannot put a factor of their own over the owner's. Tries are counted
under the account, with the same soft delays as passwords, and a browser in which the owner has used the factor before
has a counter of its own: nobody can keep the owner out.
"""

import logging
from base64 import urlsafe_b64decode
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from authserver.clock import DAY, MINUTE, SECOND, now
from authserver.crypto import Sealer, b64
from authserver.identity import recovery_codes, totp
from authserver.identity.sessions import Browser, Keeper, Visit
from authserver.language import N_
from authserver.limits import Exceeded, Limits
from authserver.records import Credential, Event, Session, User
from authserver.store import Store
from authserver.store.errors import Conflict

logger = logging.getLogger(__name__)

ACR: Final = "urn:authserver:mfa"
AMR_TOTP: Final = "pwd otp mfa"  # RFC 8176 2
AMR_RECOVERY: Final = "pwd mfa"
OFFER: Final = 10 * MINUTE  # from a fresh sign-in there is this long to set the app up
# Six digits, three steps: thirty guesses a day find a code in one of eleven thousand days. Delays alone, which are
# forgotten after an hour, would let through twenty times as many (NIST SP 800-63B 3.2.2).
MOST_A_DAY: Final = 30
_DAILY: Final = "second-factor.day"
_KINDS: Final = (totp.KIND, recovery_codes.KIND)
_PURPOSE: Final = "totp"
_OFFERED: Final = "totp-offer"
_USED: Final = "totp"
_TIME: Final = 8  # bytes

WRONG: Final = N_("This code is not right, or was used before. Wait for the next one and try again.")
OVER: Final = N_("This took too long. Scan the new picture and try again.")


class Guard(Keeper, Protocol):
    """What a second factor needs of the server."""

    limits: Limits
    sealer: Sealer


class Verdict(NamedTuple):
    """What a code was worth: the methods that are now proven (``amr``), or nothing, or a wait of so many seconds."""

    amr: str | None = None
    wait: int = 0


class Offer(NamedTuple):
    """A secret that the account does not have yet: for the app, in letters, and sealed for the way back."""

    uri: str
    spelled: str
    sealed: str


class Enrolled(NamedTuple):
    """How setting up ended: with recovery codes, or with a sentence."""

    codes: tuple[str, ...] = ()
    refused: str | None = None


def is_enrolled(server: Keeper, sub: str) -> bool:
    """Say whether this account has a second factor."""
    return bool(server.store.credentials.of_user(sub, totp.KIND))


def codes_left(server: Keeper, sub: str) -> int:
    """Return how many recovery codes are unused."""
    return len(server.store.credentials.of_user(sub, recovery_codes.KIND))


def check(server: Guard, visit: Visit, sub: str, typed: str) -> Verdict:
    """Check a code of the app, or a recovery code, which is used up by it; raises StoreError.

    A try is taken before the code is looked at, so that a hundred at once are not a hundred guesses.
    """
    code = totp.read_code(typed)
    counter = _counter(server, totp.KIND if code else recovery_codes.KIND, sub, visit.browser)
    try:
        server.limits.count_sign_in_from(visit.address)
        server.limits.reserve_try(counter)
        if code:
            server.limits.count(_DAILY, counter, DAY, MOST_A_DAY)
    except Exceeded as limit:
        return Verdict(wait=limit.retry_after)
    good = _is_of_app(server, sub, code) if code else _use_up(server, sub, typed)
    if not good:
        event = Event("second_factor.failed", sub, sub=sub, facts={"address": visit.address})
        server.store.audit.append(event)
        return Verdict()
    server.limits.forget_tries(counter)
    if code:
        server.limits.uncount(_DAILY, counter, DAY)
    return Verdict(AMR_TOTP if code else AMR_RECOVERY)


def remember_owner(server: Guard, sub: str, browser: Browser) -> None:
    """Remember that the owner has used the factor in this browser: a stranger's wrong codes do not count here."""
    until = now() + server.settings.sessions.longest_seconds * SECOND
    for kind in _KINDS:
        server.limits.remember_owner(_of_browser(kind, sub, browser), until)


def offer(server: Guard, session: Session, sealed: str = "") -> Offer:
    """Draw a secret for the account, or go on with the one that was offered before (``sealed``).

    It is kept nowhere but in the form until the app has proven to have it.
    """
    secret = _open_offer(server, session, sealed)
    if secret is None:
        secret = totp.new_secret()
        plain = now().to_bytes(_TIME, "big") + secret
        sealed = b64(server.sealer.seal(_OFFERED, _offered_to(session), plain))
    host = urlsplit(server.settings.issuer).netloc
    return Offer(totp.uri(secret, host, session.username), totp.spelled(secret), sealed)


def enrol(server: Guard, session: Session, sealed: str, typed: str) -> Enrolled:
    """Give the account the offered secret, once its app shows the right code; raises StoreError."""
    secret, code = _open_offer(server, session, sealed), totp.read_code(typed)
    if secret is None:
        return Enrolled(refused=OVER)
    if code is None or not _counts(server, session.sub, totp.step_of(secret, code, now())):
        return Enrolled(refused=WRONG)
    row = _row_of(session.sub)
    app = _credential(row, session.sub, totp.KIND, b64(server.sealer.seal(_PURPOSE, _context(row), secret)))
    codes, rows = _draw(session.sub)
    event = Event("second_factor.added", session.sub, sub=session.sub)
    try:
        # Recovery codes without an app open nothing; if some are left, they end here.
        server.store.credentials.exchange(session.sub, (recovery_codes.KIND,), (app, *rows), event)
    except Conflict:
        return Enrolled(refused=OVER)
    return Enrolled(codes)


def renew_codes(server: Guard, sub: str) -> tuple[str, ...]:
    """Replace the recovery codes; a code of the app or a recovery code has been checked before."""
    codes, rows = _draw(sub)
    server.store.credentials.exchange(sub, (recovery_codes.KIND,), rows, Event("recovery_codes.renewed", sub, sub=sub))
    return codes


def remove(store: Store, user: User, *, actor: str) -> bool:
    """Take the second factor from an account, with its recovery codes; say whether there was one."""
    return store.credentials.exchange(user.sub, _KINDS, (), Event("second_factor.removed", actor, sub=user.sub)) > 0


def reseal(store: Store, sealer: Sealer) -> int:
    """Seal the secrets of all apps again with the first secret key; return how many were sealed by a former one."""
    count = 0
    for row in store.credentials.of_kind(totp.KIND):
        old, context = _raw(row.secret), _context(row.credential_id)
        if sealer.is_current(old):
            continue
        try:
            plain = sealer.open(_PURPOSE, context, old)
        except ValueError:
            # One account that has to begin anew is no reason to leave all the others behind.
            logger.exception("the second factor of %s cannot be opened", row.sub)
            continue
        count += store.credentials.upgrade(row.credential_id, row.secret, b64(sealer.seal(_PURPOSE, context, plain)))
    return count


def sealed_secrets(store: Store) -> list[bytes]:
    """Return the sealed secrets of all apps."""
    return [_raw(row.secret) for row in store.credentials.of_kind(totp.KIND)]


def _is_of_app(server: Guard, sub: str, code: str) -> bool:
    held = server.store.credentials.of_user(sub, totp.KIND)
    if not held:
        return False
    try:
        secret = server.sealer.open(_PURPOSE, _context(held[0].credential_id), _raw(held[0].secret))
    except ValueError:
        logger.exception("the secret of a second factor cannot be opened: was a former SECRET_KEY dropped too early?")
        return False
    return _counts(server, sub, totp.step_of(secret, code, now()))


def _counts(server: Guard, sub: str, step: int | None) -> bool:
    """Say whether the code of a time step comes for the first time (RFC 6238 5.2); raises StoreError.

    In the database even where Redis keeps the rest: what it remembers survives everything that the account survives.
    """
    return step is not None and server.store.single_use.first_time(_USED, f"{sub} {step}", totp.end_of(step))


def _use_up(server: Guard, sub: str, typed: str) -> bool:
    row = recovery_codes.row_of(sub, typed)
    event = Event("recovery_code.used", sub, sub=sub)
    # Without an app there is nothing to recover.
    return row is not None and is_enrolled(server, sub) and server.store.credentials.remove(row, event)


def _draw(sub: str) -> tuple[tuple[str, ...], list[Credential]]:
    codes = recovery_codes.draw()
    rows = [recovery_codes.row_of(sub, code) or "" for code in codes]
    return codes, [_credential(row, sub, recovery_codes.KIND, "") for row in rows]


def _credential(row: str, sub: str, kind: str, secret: str) -> Credential:
    return Credential(row, sub, kind, secret, 0, 0)


def _open_offer(server: Guard, session: Session, sealed: str) -> bytes | None:
    """Return an offered secret, or None when it was offered to somebody else, too long ago, or never."""
    try:
        plain = server.sealer.open(_OFFERED, _offered_to(session), _raw(sealed))
    except ValueError:
        return None
    return plain[_TIME:] if int.from_bytes(plain[:_TIME], "big") > now() - OFFER else None


def _offered_to(session: Session) -> str:
    return f"{session.sid}|{session.sub}"


def _row_of(sub: str) -> str:
    # One app for each account: the second of two at once finds the row taken.
    return f"{totp.KIND}.{sub}"


def _context(row: str) -> str:
    return f"credentials|secret|{row}"


def _raw(text: str) -> bytes:
    """Decode base64url; raises ValueError."""
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _counter(server: Guard, kind: str, sub: str, browser: Browser) -> str:
    known = _of_browser(kind, sub, browser)
    return known if server.limits.is_owner(known) else f"{kind} {sub}"


def _of_browser(kind: str, sub: str, browser: Browser) -> str:
    return f"{kind} device {sub} {browser.id}"
