"""Changes that nobody overwrites: one at a time, and only of what the administrator has seen (ASVS 2.3.4)."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from authserver import crypto
from authserver.clock import MINUTE, now
from authserver.manage.errors import ChangedMeanwhile, OutOfDate
from authserver.store import Store
from authserver.store.errors import Conflict


@contextmanager
def alone(store: Store, space: str, key: str) -> Iterator[None]:
    """Keep two administrators from changing one thing at once: the second is told, nothing of hers is half done."""
    mine = crypto.new_id()
    try:
        store.ephemeral.put(space, key, mine, now() + MINUTE)
    except Conflict:
        raise ChangedMeanwhile("somebody else is changing this at this moment; try again") from None
    try:
        yield
    finally:
        # Where this took longer than its minute, it may be another one's turn.
        held = store.ephemeral.get(space, key)
        if held is not None and held.value == mine:
            store.ephemeral.forget(space, key)


def version_of(shown: Mapping[str, Any]) -> str:
    """Return what names this state of a thing; every change of what is shown of it makes another one."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:32]


def require_version(shown: Mapping[str, Any], version: str | None) -> None:
    """Raise OutOfDate when the thing is no longer in the state that the administrator has seen; None asks nothing."""
    if version is not None and version != version_of(shown):
        raise OutOfDate("this was changed since you have read it; read it again")
