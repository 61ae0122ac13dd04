"""What the processes of a race do; they import this module, and no test framework."""

import hashlib
import hmac
import secrets
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from authserver import clock
from authserver.clock import DAY
from authserver.records import Event, SigningKey
from authserver.store import Conflict, Store, Unavailable
from authserver.store.database import Transaction
from tests.store.makers import a_client, a_user, an_access_token, digest
from tests.store.settings import patient

T = TypeVar("T")
_barrier: threading.Barrier | None = None


def join_race(barrier: Any) -> None:
    """Take part: every round begins when all are there."""
    global _barrier  # noqa: PLW0603 - one per process, given when it starts
    _barrier = barrier


def rounds(url: str, redis_url: str | None, steps: list[tuple[str, str]]) -> list[Any]:
    """Do one thing per round, each round at the same moment as the others; return the results."""
    store = patient(url, redis_url)
    _connect(store)
    results = []
    for act, name in steps:
        assert _barrier is not None
        _barrier.wait(60)
        results.append(ACTS[act](store, name))
    store.close()
    return results


def _connect(store: Store) -> None:
    """Open the connection before the race: on a busy machine that alone may take longer than a request may."""
    for _ in range(20):
        try:
            store.ping()
            store.ephemeral.get("race", "nothing")
        except Unavailable:
            continue
        return


def successor_of(token: bytes, salt: bytes) -> bytes:
    """Make the successor of a refresh token, as the server does."""
    return hmac.digest(token, b"successor" + salt, "sha256")


def refresh(store: Store, name: str, grace: int = 60_000_000) -> tuple[str, bytes | None]:
    """Rotate the refresh token of that name; return the outcome and the successor that the client would get."""
    token = hashlib.sha256(name.encode()).digest()
    salt = secrets.token_bytes(32)
    successor = successor_of(token, salt)
    now = clock.now()
    answer = store.tokens.rotate(
        hashlib.sha256(token).digest(),
        "client",
        salt=salt,
        successor_digest=hashlib.sha256(successor).digest(),
        sliding_us=30 * DAY,
        grace_us=grace,
        access=an_access_token(secrets.token_hex(8), grant_id=name, now=now),
    )
    if answer.outcome == "rotated":
        return answer.outcome, successor
    if answer.outcome == "repeated":
        assert answer.salt is not None
        again = successor_of(token, answer.salt)
        assert hashlib.sha256(again).digest() == answer.successor_digest
        return answer.outcome, again
    return answer.outcome, None


def add(store: Store, name: str) -> bool:
    try:
        store.users.add(a_user(secrets.token_hex(8), name, None), None, Event("race"))
    except Conflict as conflict:
        if conflict.name != "username":
            raise
        return False
    return True


def put(store: Store, name: str) -> bool:
    try:
        store.ephemeral.put("race", name, "value", 2**60)
    except Conflict:
        return False
    return True


def swap(store: Store, name: str) -> bool:
    item = store.ephemeral.get("swap", "item")
    assert item is not None
    assert _barrier is not None
    _barrier.wait(60)
    return store.ephemeral.swap("swap", "item", name, item.version, 2**60)


def disable_and_redeem(store: Store, name: str) -> bool:
    """Half of the processes disable and enable a client, the others redeem, rotate and revoke: nobody may fail."""
    if hash(threading.get_native_id()) % 2:
        store.sessions.end(["s", "t"], "race", Event("race"))
        store.users.set_disabled("sub-1", bool(secrets.randbelow(2)), Event("race"))
        store.clients.update(a_client(), Event("race"))
    else:
        store.grants.redeem(digest(name), "client")
        store.grants.revoke_all(sub="sub-1", reason="race", event=Event("race"))
    return True


def first_keys(store: Store, _name: str) -> bool:
    return store.keys.add_first(
        SigningKey(f"{secrets.token_hex(8)}-{number}", "ES256", b"sealed", "{}", 1, 2, 3, 4, 5) for number in range(3)
    )


ACTS: dict[str, Callable[[Store, str], Any]] = {
    "redeem": lambda store, name: store.grants.redeem(digest(name), "client") is not None,
    "refresh": refresh,
    "refresh without a window": lambda store, name: refresh(store, name, 0),
    "add": add,
    "first keys": first_keys,
    "put": put,
    "swap": swap,
    "take": lambda store, name: store.ephemeral.take("taken", name) is not None,
    "first_time": lambda store, name: store.ephemeral.first_time("first", name, 2**60),
    "count": lambda store, name: store.ephemeral.count("count", name, 10**12),
    "born_at": lambda store, _name: store.ephemeral.born_at(),
    "status": lambda store, name: store.statuses.add(
        jti=name, grant_id=None, client_id="client", sub="client", issued_at=0, expires_at=2**60
    ),
    "mixed": disable_and_redeem,
}


def stop_inside(url: str, verb: str) -> None:
    """Begin a verb and stop, with its transaction open, after its second statement; say so on standard output."""
    store = patient(url)
    run = Transaction.run
    seen = []

    def stop(self: Transaction, *arguments: Any, **named: Any) -> int:
        count = run(self, *arguments, **named)
        seen.append(count)
        if len(seen) == 2:
            sys.stdout.write("inside\n")
            sys.stdout.flush()
            threading.Event().wait()
        return count

    Transaction.run = stop  # type: ignore[method-assign] # in a process that is about to be killed
    if verb == "refresh":
        refresh(store, "grant")
    else:
        store.credentials.replace("sub-1", "password", "new", Event("race"))


if __name__ == "__main__":
    stop_inside(sys.argv[1], sys.argv[2])
