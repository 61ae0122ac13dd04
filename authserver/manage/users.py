"""Accounts, as administrators handle them: add, switch off and on, find, show."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from authserver import crypto
from authserver.clock import SECOND
from authserver.extension_sections import PROTOCOL_CLAIMS
from authserver.identity import accounts, passwords, second_factor
from authserver.manage import standard_claims
from authserver.manage.errors import ManageError, NotThere, Taken
from authserver.records import Event, User
from authserver.store import Store
from authserver.store.errors import Conflict
from authserver.tagged import MOST, crowded, untagged

_MAX_NAME: Final = 128
_MAX_CLAIMS: Final = 32 * 1024
# What programs compare, and nobody translates (OpenID Connect Core 5.1).
_THE_SAME_FOR_ALL: Final = frozenset(
    {"phone_number", "phone_number_verified", "birthdate", "gender", "zoneinfo", "locale", "updated_at"}
)


def make_user(
    username: str, *, email: str | None = None, claims: Mapping[str, Any] | None = None, demonstration: bool = False
) -> User:
    """Return a new account with a random ``sub``; raises ManageError for a name, e-mail or claim that cannot be."""
    given = dict(claims or {})
    verified = given.pop("email_verified", False)
    address = given.pop("email", None) if email is None else email
    if given.pop("email", address) != address:
        raise ManageError("the claims have another e-mail address than the account")
    if not username.strip() or username != username.strip() or len(username) > _MAX_NAME or not username.isprintable():
        raise ManageError(f"the user name must be printable text of 1 to {_MAX_NAME} characters without outer spaces")
    if address is not None and not (isinstance(address, str) and accounts.is_email(address)):
        raise ManageError("the e-mail address is not valid")
    if not isinstance(verified, bool):
        raise ManageError("email_verified must be true or false")
    _check_languages(given)
    reserved = sorted(name for name in given if untagged(name) in PROTOCOL_CLAIMS)
    if reserved:
        raise ManageError("these claims are the protocol's own: " + ", ".join(reserved))
    standard_claims.check(given)
    if len(json.dumps(given)) > _MAX_CLAIMS:
        raise ManageError(f"the claims are longer than {_MAX_CLAIMS} characters")
    try:
        orjson.dumps(given)
    except TypeError:
        # A token or an answer with such a claim could not be written: a number of more than 64 bits, half a character.
        raise ManageError("the claims hold a number or a character that cannot be written") from None
    return User(crypto.new_id(), username, address, verified, given, demonstration=demonstration)


def _check_languages(claims: Mapping[str, Any]) -> None:
    """Refuse a claim in a language (OpenID Connect Core 5.2) where there is none without, or nothing to be read."""
    wrong = crowded(claims)
    if wrong is not None:
        raise ManageError(f"{wrong} must be there once in a language, and in {MOST} languages at the most")
    for name in claims:
        bare = untagged(name)
        if bare != name and (bare in _THE_SAME_FOR_ALL or bare not in claims):
            raise ManageError(
                f"{bare} cannot be said in a language: it is not there without one, or nothing to be read"
            )


def add(store: Store, user: User, password_hash: str | None, *, actor: str) -> None:
    """Add an account; raises ManageError when its name or e-mail address is taken, in any spelling."""
    try:
        store.users.add(user, password_hash, Event("user.added", actor, sub=user.sub))
    except Conflict as conflict:
        what = "e-mail address" if "email" in conflict.name else "user name"
        raise Taken(f"an account with this {what} is there already") from None


def existing(store: Store, name: str) -> User:
    """Return the account with this ``sub``, user name or e-mail address; raises ManageError."""
    # A sub first: people who choose their own names must not be able to stand in for somebody else's.
    user = store.users.get(name) or store.users.by_login(name)
    if user is None:
        raise NotThere("there is no account with this name")
    return user


def confirm_email(store: Store, user: User, *, actor: str) -> None:
    """Give an account the address that was only claimed for it; raises ManageError when it is another account's."""
    if user.unconfirmed_email is None:
        raise ManageError("this account has no address that waits to be confirmed")
    confirmed = replace(user, email=user.unconfirmed_email, unconfirmed_email=None, email_verified=True)
    try:
        store.users.update(confirmed, Event("user.updated", actor, sub=user.sub))
    except Conflict:
        raise Taken("an account with this e-mail address is there already") from None


def set_disabled(store: Store, user: User, *, disabled: bool, actor: str) -> None:
    """Switch an account off, which ends its sessions and revokes its grants, or on again."""
    event = Event("user.disabled" if disabled else "user.enabled", actor, sub=user.sub)
    store.users.set_disabled(user.sub, disabled, event)


def set_password(store: Store, user: User, password_hash: str, *, actor: str) -> None:
    """Replace an account's password: everything that the old one opened is over."""
    event = Event("password.changed", actor, sub=user.sub)
    store.credentials.replace(user.sub, passwords.KIND, password_hash, event)


def reset_second_factor(store: Store, user: User, *, actor: str) -> None:
    """Take the second factor from an account whose owner has lost it, and end its sessions; raises ManageError."""
    if not second_factor.remove(store, user, actor=actor):
        raise ManageError("this account has no second factor")
    event = Event("session.ended", actor, sub=user.sub, facts={"reason": "second_factor.removed"})
    store.sessions.end_all(user.sub, "second_factor.removed", event)


def describe(user: User) -> dict[str, Any]:
    """Return what may be shown of an account."""
    return {
        "sub": user.sub,
        "username": user.username,
        "email": user.email,
        "email_verified": user.email_verified,
        "unconfirmed_email": user.unconfirmed_email,
        "disabled": user.disabled_at is not None,
        "demonstration": user.demonstration,
        "created_at": user.created_at // SECOND,
        "claims": dict(user.claims),
    }


def hash_password(hasher: passwords.Passwords, user: User, password: str) -> str:
    """Return the hash to store; raises ManageError, in a sentence, for a password that is not accepted."""
    problem = passwords.problem(password, (user.username, user.email, user.unconfirmed_email))
    if problem:
        raise ManageError(problem)
    return hasher.hash(password)
