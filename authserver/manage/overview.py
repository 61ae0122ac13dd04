"""The state of a deployment at a glance, and what stands in the way of production."""

from typing import Any, Final

from authserver.clock import now
from authserver.crypto import Sealer
from authserver.keys import ENCRYPTION, SIGNING, KeyRing, KeyRingError, used
from authserver.manage import keys as managed_keys
from authserver.settings import Settings
from authserver.store import Store
from authserver.store.errors import StoreError

DEMONSTRATION_USER: Final = "alice"


def overview(store: Store) -> dict[str, Any]:
    """Count what there is."""
    clients = store.clients.all()
    return {
        "users": store.users.count(),
        "clients": len(clients),
        "clients_disabled": sum(client.disabled_at is not None for client in clients),
        "resources": len(store.resources.all()),
        "signing_keys": sum(key.gone_at > now() for key in store.keys.all() if key.algorithm in SIGNING),
        "demonstration": has_demonstration(store),
    }


def has_demonstration(store: Store) -> bool:
    """Say whether rows of the demonstration are in the database; their secrets and password are no secret."""
    alice = store.users.by_login(DEMONSTRATION_USER)
    return (
        (alice is not None and alice.demonstration)
        or any(client.demonstration for client in store.clients.all())
        or any(resource.demonstration for resource in store.resources.all())
    )


def obstacles(store: Store, settings: Settings) -> list[str]:
    """Return what keeps this deployment from serving, one sentence each (DECISIONS, Faults)."""
    try:
        if not store.is_current():
            return ["the database schema is not current: run 'authserver db upgrade'"]
        store.ping()
        return [*_of_keys(store, settings), *_of_production(store, settings)]
    except StoreError as error:
        return [f"the database cannot be used: {error}"]


def advice(store: Store, settings: Settings, sealer: Sealer) -> list[str]:
    """Return what works and could be better, one sentence each."""
    found = []
    former = managed_keys.sealed_by_former_keys(store, sealer)
    if former:
        found.append(f"{former} values are sealed with a former secret key: run 'authserver key reseal'")
    elif settings.secret_key_previous:
        found.append("nothing is sealed with a former secret key any more: AUTHSERVER_SECRET_KEY_PREVIOUS may go")
    file = settings.secret_key_file
    if file is not None and settings.secret_key is None and file.exists() and file.stat().st_mode & 0o077:
        found.append(f"{file} can be read by others than its owner: take their rights away (chmod 600)")
    in_force = {key.algorithm for key in store.keys.all() if key.retires_at > now()}
    if in_force and not in_force.issuperset(name for name in used(settings) if name in ENCRYPTION):
        found.append("clients have no key to encrypt requests to: run 'authserver db upgrade'")
    known = {resource.identifier for resource in store.resources.all()}
    known |= {settings.management_resource} if settings.features.management_api else set()
    for client in store.clients.all():
        named = {*(client.resources or ()), *client.resource_server_for} - known
        found += [
            f"client {client.client_id!r} names a resource that is not registered: {name!r}" for name in sorted(named)
        ]
    return found


def _of_keys(store: Store, settings: Settings) -> list[str]:
    if not store.keys.all():
        return []
    try:
        KeyRing(store, Sealer(settings.secret(), settings.previous_secrets()), settings).load()
    except KeyRingError as error:
        return [str(error)]
    return []


def _of_production(store: Store, settings: Settings) -> list[str]:
    if settings.development or not has_demonstration(store):
        return []
    return ["the demonstration's account and clients are in this database: remove them, or use another database"]
