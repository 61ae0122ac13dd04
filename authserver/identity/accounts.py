"""What people do with their own account: make one, change the password, take back what an application was allowed.

Whether a user name is taken has to be said, and is slow to ask: a form costs a password hash before the store is looked
at, and an address has so many forms an hour. Whether an e-mail address is known here is not said at all. What somebody
writes into the form is kept with the new account as an address that nobody has confirmed: it is nobody's, so it is no
name to sign in with, stands in no other account's way, and no client hears of it.
"""

import hmac
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final, NamedTuple

from authserver.clock import HOUR
from authserver.crypto import b64, new_id
from authserver.identity import login, passwords, second_factor
from authserver.identity.login import ACR_PASSWORD, Door, SignIn, counter_of, is_password
from authserver.identity.sessions import Browser, Visit
from authserver.language import N_
from authserver.limits import Exceeded, network_of
from authserver.records import Event, Session, User
from authserver.store import Store
from authserver.store.errors import Conflict
from authserver.store.users import canonical

WRONG_PASSWORD: Final = N_("The current password is not right.")
BOTH_STEPS: Final = N_("Sign out and sign in again, with a code of your authenticator app, to change the password.")
TRY_LATER: Final = N_("There were too many tries. Wait a little and try again.")
SAME_PASSWORD: Final = N_("The new password is the current one. Choose another.")
NOT_REPEATED: Final = N_("The two new passwords are not the same.")
TAKEN: Final = N_("This user name is taken. Choose another.")
USERNAME: Final = N_(
    "Use 3 to 40 of these: letters from a to z, digits, and between them dots, hyphens and underscores."
)
EMAIL: Final = N_("This is not an e-mail address. Write it like name@example.com.")
NAME: Final = N_("Use a name of at most 128 characters, without invisible characters.")
FULL: Final = N_("Too many accounts were asked for from your network. Try again in an hour.")

MAX_USERNAME: Final = 40
MAX_EMAIL: Final = 254  # RFC 5321 4.5.3.1
MAX_NAME: Final = 128
_CHANGES: Final = "password.changes"
_MOST_CHANGES: Final = 20  # an hour: judging a password's strength takes longer than hashing it
_FORMS: Final = "sign-up.forms"
# No letter that looks like one of another script, and no "@": a name that is somebody's address would say so.
_USERNAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,38}[a-z0-9]", re.ASCII | re.IGNORECASE)
_EMAIL: Final = re.compile(r"[^\s@\x00-\x1f]{1,64}@[^\s@\x00-\x1f]{1,189}")
_JOINERS: Final = str.maketrans("", "", "\u200c\u200d")  # unseen, and part of names in Persian and Sinhala
_FILLERS: Final = str.maketrans("", "", "\u115f\u1160\u2800\u3164\uffa0")  # printable, and blank to people
# Who speaks for the place (RFC 2142), and what pages and programs call themselves.
_RESERVED: Final = frozenset(
    {"abuse", "admin", "administrator", "billing", "contact", "help", "helpdesk", "hostmaster", "info", "mail"}
    | {"mailerdaemon", "moderator", "noc", "noreply", "official", "operator", "owner", "postmaster", "privacy", "root"}
    | {"security", "service", "staff", "superuser", "support", "sysadmin", "system", "team", "webmaster"}
    | {"account", "accounts", "anonymous", "api", "authserver", "everyone", "guest", "login", "logout", "nobody"}
    | {"null", "oauth", "openid", "self", "signin", "signup", "undefined", "unknown", "user", "username"}
)


class Form(NamedTuple):
    """What somebody writes to get an account; ``form_id`` is drawn for each page that shows the form."""

    username: str
    email: str
    name: str
    password: str
    form_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something was not done, and at which field of the form; ``wait`` is in seconds."""

    field: str
    sentence: str
    wait: int = 0


def sign_up(
    server: Door, visit: Visit, form: Form, *, client_id: str | None = None, about: str = ""
) -> SignIn | tuple[Refused, ...]:
    """Make an account and sign in to it, or say what is wrong with each field. Raises TooBusy and StoreError.

    The same form again finds the account that it made: somebody has clicked twice, or the first answer was lost.
    """
    try:
        limit = server.settings.limits.sign_ups_per_address
        server.limits.count(_FORMS, network_of(visit.address), HOUR, limit)
    except Exceeded as exceeded:
        return (Refused("form", FULL, exceeded.retry_after),)
    problems = tuple(_problems(form))
    if problems:
        return problems
    user = _user(server, visit.browser, form)
    # Before the store is asked: a name that is taken costs what a free one does.
    hashed = server.passwords.hash(form.password)
    event = Event("user.signed_up", user.sub, client_id=client_id, sub=user.sub)
    if _add(server.store, user, hashed, event):
        return login.enter(server, visit, user)
    return _again(server, visit, user, form.password, about) or (Refused("username", TAKEN),)


def new_form_id() -> str:
    """Draw the name of a form, by which a second submission is known."""
    return new_id()


def is_email(text: str) -> bool:
    """Say whether this may be an e-mail address; only a message to it would tell more."""
    return bool(_EMAIL.fullmatch(text)) and text.isprintable()


def change_password(
    server: Door, session: Session, browser: Browser, *, current: str, new: str, repeat: str
) -> Refused | None:
    """Change a user's password; other sessions end and grants are revoked. Raises TooBusy and StoreError.

    Returns None when it is done. The current password is asked for, so that an unlocked screen is not enough.
    """
    if session.acr == ACR_PASSWORD and second_factor.is_enrolled(server, session.sub):
        # A session from before the factor was set up may be that of whoever the factor was set up against.
        return Refused("current", BOTH_STEPS)
    user = server.store.users.get(session.sub)
    account = counter_of(session.sub, browser)
    try:
        server.limits.count(_CHANGES, session.sub, HOUR, _MOST_CHANGES)
        server.limits.reserve_try(account)
    except Exceeded as limit:
        return Refused("current", TRY_LATER, limit.retry_after)
    if user is None or not is_password(server, user, current, account):
        return Refused("current", WRONG_PASSWORD)
    server.limits.forget_tries(account)
    if new != repeat:
        return Refused("repeat", NOT_REPEATED)
    if new == current:
        return Refused("new", SAME_PASSWORD)
    problem = passwords.problem(new, (user.username, user.email, user.unconfirmed_email))
    if problem is not None:
        return Refused("new", problem)
    event = Event("password.changed", user.sub, sub=user.sub)
    server.store.credentials.replace(user.sub, passwords.KIND, server.passwords.hash(new), event, keep_sid=session.sid)
    server.deliveries.nudge()
    return None


def withdraw(server: Door, sub: str, client_id: str) -> bool:
    """Take back everything that a user allowed a client, with immediate effect; say whether there was anything."""
    event = Event("consent.withdrawn", sub, client_id=client_id, sub=sub)
    return server.store.consents.withdraw(sub, client_id, event)


def _problems(form: Form) -> Iterator[Refused]:
    """Say what is wrong with each field, whoever else there is."""
    if not _USERNAME.fullmatch(form.username):
        yield Refused("username", USERNAME)
    if not is_email(form.email):
        yield Refused("email", EMAIL)
    seen = form.name.translate(_JOINERS)
    if len(form.name) > MAX_NAME or not seen.isprintable() or (form.name and not seen.translate(_FILLERS).strip()):
        yield Refused("name", NAME)
    personal = (form.username[:MAX_USERNAME], form.email[:MAX_EMAIL], form.name[:MAX_NAME])
    problem = passwords.problem(form.password, personal)
    if problem is not None:
        yield Refused("password", problem)


def _user(server: Door, browser: Browser, form: Form) -> User:
    """Return the account that this form makes; its ``sub`` is as good as drawn, and the same when it is sent again.

    With another name it is another account: whoever has changed their mind is not told that every name is taken.
    """
    key, drawn = server.sealer.derive("sign-up"), f"{browser.id}\0{form.form_id}\0{canonical(form.username)}"
    subs = (b64(hmac.digest(key, f"{drawn}\0{number}".encode(), "sha256")[:16]) for number in count())
    # Without a dash first, which no command would take.
    sub = next(text for text in subs if not text.startswith("-"))
    name = unicodedata.normalize("NFC", form.name)
    return User(sub, form.username, unconfirmed_email=form.email, claims={"name": name} if name else {})


def _add(store: Store, user: User, hashed: str, event: Event) -> bool:
    """Add the account; say whether its name was free."""
    if _is_reserved(store, user.username):
        return False
    try:
        store.users.add(user, hashed, event)
    except Conflict:
        return False
    return True


def _is_reserved(store: Store, username: str) -> bool:
    """Say whether a name could be taken for somebody else: the people who run this place, a client, a ``sub``."""
    plain = re.sub(r"[._-]", "", canonical(username))
    return plain in _RESERVED or store.clients.get(username) is not None or store.users.get(username) is not None


def _again(server: Door, visit: Visit, user: User, password: str, about: str) -> SignIn | None:
    """Return the sign-in to the account that this very form has made, to whoever knows its password."""
    made = server.store.users.get(user.sub)
    if made is None or second_factor.is_enrolled(server, user.sub):
        return None
    outcome = login.sign_in(server, visit, made.username, password, about)
    return outcome if outcome.sid else None
