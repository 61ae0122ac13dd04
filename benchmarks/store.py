"""The store's hot verbs, in this process, each on a database that holds some thousands of rows."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from authserver.clock import DAY, MINUTE, now
from authserver.crypto import new_id
from authserver.settings import load_settings
from authserver.store import Store, open_store
from benchmarks.calls import Call
from tests.store.makers import (
    EVENT,
    a_client,
    a_consent,
    a_grant,
    a_refresh_token,
    a_user,
    an_access_token,
    start_session,
)

_ROWS = 2000
_BROWSER = b"b" * 32
_ROTATIONS = 500  # of one round: a chain as long as that of a busy client


@contextmanager
def stored(database_url: str) -> Iterator[list[Call]]:
    """Yield the calls of a store of its own."""
    settings = load_settings(development=True, database_url=database_url)
    store = open_store(settings)
    try:
        store.upgrade()
        _furnish(store)
        yield [
            Call("store.client", "clients.get", lambda: lambda: store.clients.get("client")),
            Call("store.find", "tokens.find", lambda: lambda: store.tokens.find(b"known" * 6 + b"ab")),
            Call("store.add", "tokens.add, one row", lambda: lambda: _add(store)),
            Call("store.session", "sessions.of_browser", lambda: lambda: store.sessions.of_browser(_BROWSER, 0)),
            Call(
                "store.consent",
                "consents.find",
                lambda: lambda: store.consents.find("sub-1", "client", "https://app.example"),
            ),
            Call("store.grant", "grants.open and redeem", lambda: lambda: _grant(store)),
            Call("store.rotate", "tokens.rotate, with access token", lambda: _rotation(store), most=_ROTATIONS),
        ]
    finally:
        store.close()


def _furnish(store: Store) -> None:
    moment = now()
    event = EVENT
    store.users.add(a_user(), "hash", event)
    store.clients.add(a_client(), event)
    start_session(store, browser=_BROWSER)
    store.consents.allow([a_consent()])
    store.grants.open(a_grant(now=moment))
    store.tokens.add(an_access_token(now=moment)._replace(digest=b"known" * 6 + b"ab", expires_at=moment + DAY))
    for _ in range(_ROWS):
        _add(store)


def _add(store: Store) -> None:
    row = an_access_token(now=now())
    store.tokens.add(row._replace(digest=secrets.token_bytes(32)))


def _grant(store: Store) -> None:
    code, moment = secrets.token_bytes(32), now()
    store.grants.open(a_grant(new_id(), now=moment), code, moment + MINUTE)
    if store.grants.redeem(code, "client") is None:
        raise LookupError("a fresh code was not redeemed")


def _rotation(store: Store) -> Callable[[], object]:
    """Return the function that rotates the newest token of a chain."""
    moment, grant_id, newest = now(), new_id(), [secrets.token_bytes(32)]
    store.grants.open(a_grant(grant_id, now=moment))
    store.tokens.add(None, a_refresh_token(now=moment)._replace(digest=newest[0], grant_id=grant_id))

    def rotate() -> None:
        successor = secrets.token_bytes(32)
        access = an_access_token(now=now())._replace(digest=secrets.token_bytes(32), grant_id=grant_id)
        rotation = store.tokens.rotate(
            newest[0],
            "client",
            salt=successor,
            successor_digest=successor,
            sliding_us=DAY,
            grace_us=MINUTE,
            access=access,
        )
        if rotation.outcome != "rotated":
            raise LookupError(f"the token was not rotated: {rotation.outcome}")
        newest[0] = successor

    return rotate
