"""Accounts: list, show, add, switch off and on, set a password, confirm an address, take a lost second factor away."""

from typing import Final

from authserver.api.errors import ONE_OF_TWO, Busy
from authserver.api.fields import PAGE, identifier, mapping, text
from authserver.api.operation import Call, Operation, done
from authserver.api.paging import page
from authserver.identity.passwords import TooBusy
from authserver.manage import users
from authserver.manage.errors import NotThere
from authserver.oauth.errors import InvalidRequest
from authserver.oauth.request import Answer, json_answer
from authserver.records import User

_ONE: Final = {"sub": identifier}


def list_(call: Call) -> Answer:
    """List the accounts, by sub."""
    return page(call, "users", call.store.users.all, lambda user: user.sub, users.describe)


def add(call: Call) -> Answer:
    """Add an account; without a password nobody can sign in to it."""
    given = call.given
    user = users.make_user(given["username"], email=given.get("email"), claims=given.get("claims"))
    password = given.get("password")
    users.add(call.store, user, None if password is None else _hashed(call, user, password), actor=call.actor)
    return json_answer(201, users.describe(existing(call, user.sub)))


def show(call: Call) -> Answer:
    """Show an account, by its sub or by what it signs in with: user name or e-mail address."""
    sub, login = call.given.get("sub"), call.given.get("login")
    if (sub is None) == (login is None):
        raise InvalidRequest(ONE_OF_TWO)
    return json_answer(200, users.describe(existing(call, sub) if sub else users.existing(call.store, login or "")))


def disable(call: Call) -> Answer:
    """Switch an account off; its sessions end and its grants are revoked."""
    return _set_disabled(call, disabled=True)


def enable(call: Call) -> Answer:
    """Switch an account on again."""
    return _set_disabled(call, disabled=False)


def set_password(call: Call) -> Answer:
    """Replace an account's password; its sessions end and its grants are revoked."""
    user = existing(call)
    users.set_password(call.store, user, _hashed(call, user, call.given["password"]), actor=call.actor)
    return done()


def confirm_email(call: Call) -> Answer:
    """Give an account the address that its owner wrote on the sign-up page; it is a name to sign in with then."""
    users.confirm_email(call.store, existing(call), actor=call.actor)
    return json_answer(200, users.describe(existing(call)))


def reset_second_factor(call: Call) -> Answer:
    """Take the second factor from an account whose owner has lost it; its sessions end."""
    users.reset_second_factor(call.store, existing(call), actor=call.actor)
    return done()


def existing(call: Call, sub: str | None = None) -> User:
    """Return the account with this ``sub``, or with the one that the call is about."""
    user = call.store.users.get(sub or call.given["sub"])
    if user is None:
        raise NotThere("there is no account with this sub")
    return user


OPERATIONS: Final = (
    Operation("GET", "/users", "users", list_, takes=PAGE),
    Operation(
        "POST",
        "/users",
        "users",
        add,
        needs={"username": text},
        takes={"email": text, "password": text, "claims": mapping},
    ),
    Operation("GET", "/user", "users", show, takes={"sub": identifier, "login": text}),
    Operation("POST", "/user/disable", "users", disable, needs=_ONE),
    Operation("POST", "/user/enable", "users", enable, needs=_ONE),
    Operation("POST", "/user/set-password", "users", set_password, needs={**_ONE, "password": text}),
    Operation("POST", "/user/confirm-email", "users", confirm_email, needs=_ONE),
    Operation("POST", "/user/reset-second-factor", "users", reset_second_factor, needs=_ONE),
)


def _set_disabled(call: Call, *, disabled: bool) -> Answer:
    users.set_disabled(call.store, existing(call), disabled=disabled, actor=call.actor)
    return json_answer(200, users.describe(existing(call)))


def _hashed(call: Call, user: User, password: str) -> str:
    try:
        return users.hash_password(call.server.passwords, user, password)
    except TooBusy as busy:
        raise Busy(busy.retry_after) from None
