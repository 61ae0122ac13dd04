"""Signing and encryption keys as an administrator sees them: list, rotate, encrypt anew."""

from typing import Any

from authserver import keys
from authserver.clock import SECOND, now
from authserver.crypto import Sealer
from authserver.identity import second_factor
from authserver.manage import clients
from authserver.manage.changes import alone
from authserver.manage.errors import ManageError
from authserver.records import Event, SigningKey
from authserver.settings import Settings
from authserver.store import Store


def list_keys(store: Store) -> list[dict[str, Any]]:
    """Return every key with its state, which follows from its times."""
    moment = now()
    return [describe(key, moment) for key in store.keys.all()]


def rotate(
    store: Store, sealer: Sealer, settings: Settings, *, soon: bool, compromised: bool, actor: str
) -> list[dict[str, Any]]:
    """Make the next keys; see ``authserver.keys.rotate``. Return the new ones."""
    with alone(store, "key-change", "rotation"):
        made = keys.rotate(store, sealer, settings, soon=soon, compromised=compromised, actor=actor)
    moment = now()
    return [describe(key, moment) for key in made]


def reseal(store: Store, sealer: Sealer, *, actor: str) -> int:
    """Encrypt everything that a former secret key sealed with the current one; return how many values."""
    count = keys.reseal(store, sealer) + clients.reseal_secrets(store, sealer, actor=actor)
    count += second_factor.reseal(store, sealer)
    store.audit.append(Event("key.resealed", actor, facts={"values": count}))
    return count


def sealed_by_former_keys(store: Store, sealer: Sealer) -> int:
    """Count what the current secret key did not seal: as long as there is any, no former key may go."""
    sealed = [key.sealed for key in store.keys.all() if key.gone_at > now()]
    sealed += [known.sealed for client in store.clients.all() for known in client.secrets if known.sealed is not None]
    sealed += second_factor.sealed_secrets(store)
    return sum(not sealer.is_current(value) for value in sealed)


def describe(key: SigningKey, moment: int) -> dict[str, Any]:
    """Return what may be shown of a key."""
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "use": "enc" if key.algorithm in keys.ENCRYPTION else "sig",
        "state": state(key, moment),
        "created_at": key.created_at // SECOND,
        "signs_at": key.signs_at // SECOND,
        "retires_at": None if key.retires_at >= keys.NEVER else key.retires_at // SECOND,
        "gone_at": None if key.gone_at >= keys.NEVER else key.gone_at // SECOND,
    }


def state(key: SigningKey, moment: int) -> str:
    """Name a key's state: planned, next, current, retired or gone."""
    steps = ((key.gone_at, "gone"), (key.retires_at, "retired"), (key.signs_at, "current"), (key.publishes_at, "next"))
    return next((name for since, name in steps if moment >= since), "planned")


def ensure_first(store: Store, sealer: Sealer, settings: Settings, *, actor: str) -> bool:
    """Make the first keys of a new deployment; return whether they were made.

    An older deployment gets the encryption keys that it lacks.
    Raises ManageError when the deployment had keys that are gone: new ones, made silently, would make every token and
    every relying party's copy of the set worthless (DECISIONS, Faults).
    """
    if store.keys.all():
        keys.ensure_encryption_keys(store, sealer, settings, actor=actor)
        return False
    if store.audit.list(0, 1, name="key.first"):
        raise ManageError(
            "the signing keys of this deployment are gone: restore the database, or run 'authserver key rotate'"
        )
    if not keys.ensure_first_keys(store, sealer, settings):
        return False
    store.audit.append(Event("key.first", actor))
    return True
