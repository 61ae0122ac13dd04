"""The tokens of client registration: to register a client (RFC 7591 3), and to manage the one's own (RFC 7592 3).

Both are handles of which only digests are kept, in the database whatever else Redis holds: an initial access token that
counts twice would make two clients.
"""

from contextlib import suppress
from typing import Any, Final

from authserver import audit
from authserver.clock import DAY, SECOND, now
from authserver.crypto import Kind, digest_of, new_handle, same
from authserver.manage.errors import NotThere
from authserver.store import Busy, Conflict, Store
from authserver.store.clients import NEVER, REGISTRATION_ACCESS

_INITIAL: Final = "initial-access"
_TRIES: Final = 10


def make_initial(store: Store, *, uses: int, days: int, actor: str) -> str:
    """Make an initial access token that registers so many clients within so many days; it is shown only now."""
    token, digest = new_handle(Kind.INITIAL_ACCESS)
    audit.record(store, "initial_token.made", actor, facts={"uses": uses, "days": days})
    store.single_use.put(_INITIAL, digest.hex(), str(uses), now() + days * DAY)
    return token


def list_initial(store: Store, after: str, limit: int) -> list[dict[str, Any]]:
    """Return a page of the initial access tokens that can still be used, by id; the tokens themselves nobody knows."""
    return [
        {"id": key, "uses_left": int(item.value), "expires_at": item.expires_at // SECOND}
        for key, item in store.single_use.all(_INITIAL, after, limit)
    ]


def withdraw_initial(store: Store, token_id: str, *, actor: str) -> None:
    """Make an initial access token useless; raises NotThere."""
    if store.single_use.get(_INITIAL, token_id) is None:
        raise NotThere("there is no initial access token with this id")
    # First the trail: a write that cannot be audited does not happen (DECISIONS, Faults).
    audit.record(store, "initial_token.withdrawn", actor, facts={"id": token_id})
    store.single_use.forget(_INITIAL, token_id)


def initial_id(token: str) -> str:
    """Return the id of an initial access token, by which it is listed: its digest, which opens nothing."""
    return (digest_of(Kind.INITIAL_ACCESS, token) or b"").hex()


def spend_initial(store: Store, token: str) -> int | None:
    """Take one use of an initial access token: its end, or None when there is no use left, or no such token."""
    digest = digest_of(Kind.INITIAL_ACCESS, token)
    if digest is None:
        return None
    for _ in range(_TRIES):
        item = store.single_use.get(_INITIAL, digest.hex())
        if item is None:
            return None
        left = int(item.value) - 1
        if left == 0:
            taken = store.single_use.take(_INITIAL, digest.hex()) is not None
            return item.expires_at if taken else None
        if store.single_use.swap(_INITIAL, digest.hex(), str(left), item.version, item.expires_at):
            return item.expires_at
    raise Busy("an initial access token is used by many at once")


def return_initial(store: Store, token: str, expires_at: int) -> None:
    """Give back a use that registered nothing, because the metadata was refused."""
    digest = digest_of(Kind.INITIAL_ACCESS, token)
    if digest is None:
        return
    for _ in range(_TRIES):
        item = store.single_use.get(_INITIAL, digest.hex())
        if item is None:
            with suppress(Conflict):
                store.single_use.put(_INITIAL, digest.hex(), "1", expires_at)
                return
        elif store.single_use.swap(_INITIAL, digest.hex(), str(int(item.value) + 1), item.version, expires_at):
            return


def make_access(store: Store, client_id: str) -> str:
    """Give a client its registration access token, which ends the one before."""
    token, digest = new_handle(Kind.REGISTRATION_ACCESS)
    before = store.single_use.get(REGISTRATION_ACCESS, client_id)
    if before is None:
        store.single_use.put(REGISTRATION_ACCESS, client_id, digest.hex(), NEVER)
    elif not store.single_use.swap(REGISTRATION_ACCESS, client_id, digest.hex(), before.version, NEVER):
        raise Busy("a registration access token is replaced by two at once")
    return token


def is_access(store: Store, client_id: str, token: str) -> bool:
    """Say whether this is the registration access token of the client."""
    digest, item = digest_of(Kind.REGISTRATION_ACCESS, token), store.single_use.get(REGISTRATION_ACCESS, client_id)
    return digest is not None and item is not None and same(digest.hex(), item.value)
