"""The audit trail: the list of event names, and how an event without a write of its own is recorded.

An event that belongs to a write is handed to the verb that writes, and both happen or neither.
"""

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from authserver.log import redact
from authserver.records import Event
from authserver.store import Store

EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "client.added": "A client was registered.",
        "client.updated": "A client's metadata was replaced.",
        "client.secret_rotated": "A client got another secret.",
        "client.resealed": "A client's secret was encrypted with the current secret key.",
        "client.disabled": "A client was switched off, and what it was given revoked.",
        "client.enabled": "A client was switched on again.",
        "client.expired": "A client that registered or described itself was deleted, because nobody used it.",
        "initial_token.made": "A token was made with which clients can be registered.",
        "initial_token.withdrawn": "A token with which clients can be registered was made useless.",
        "client.removed": "A client was deleted, and what it was given revoked.",
        "resource.added": "A protected resource was added.",
        "resource.updated": "A protected resource was changed.",
        "resource.removed": "A protected resource was deleted.",
        "user.added": "An account was added.",
        "user.signed_up": "Somebody made an account on the sign-up page.",
        "user.updated": "An account's name, address or claims were changed.",
        "user.disabled": "An account was switched off, its sessions ended and its grants revoked.",
        "user.enabled": "An account was switched on again.",
        "password.changed": "A password was changed, other sessions ended and grants revoked.",
        "second_factor.added": "An account got a second factor with its recovery codes.",
        "second_factor.removed": "An account lost its second factor and its recovery codes.",
        "second_factor.failed": "A code of a second factor was refused.",
        "recovery_code.used": "A recovery code was used up.",
        "recovery_codes.renewed": "An account got new recovery codes; the old ones are void.",
        "sign_in.succeeded": "Somebody signed in.",
        "sign_in.failed": "A sign-in was refused.",
        "sign_in.delayed": "A sign-in was put off after several wrong ones.",
        "session.ended": "A browser session was ended.",
        "consent.given": "A user allowed a client something.",
        "consent.withdrawn": "A user took back what a client was allowed.",
        "device.allowed": "A user allowed a device access.",
        "device.denied": "A user denied a device access.",
        "ciba.allowed": "A user allowed what a client asked for behind the scenes.",
        "ciba.denied": "A user denied what a client asked for behind the scenes.",
        "grant.revoked": "A grant was revoked with its tokens.",
        "grant.revoked_all": "All grants of a user or client were revoked.",
        "token.revoked": "A token was revoked.",
        "token.revoked_all": "All tokens of a user or client were revoked.",
        "token.impersonated": "A client exchanged a token for one that does not name it.",
        "assertion.accepted": "A client got a token for an account on the word of another issuer.",
        "code.reused": "An authorization code came a second time; its grant was revoked.",
        "refresh.reused": "A rotated refresh token came back; its grant was revoked.",
        "refresh.repeated": "A refresh was repeated within the window, and answered alike.",
        "job.delivered": "A client was told what it had to be told, such as that a session is over.",
        "job.failed": "A client could not be told, and is not told any more.",
        "key.first": "The first signing keys of the deployment were made.",
        "key.added": "A signing key was made.",
        "key.retired": "A signing key was given its end.",
        "key.resealed": "Sealed values were encrypted with the current secret key.",
    }
)

log = logging.getLogger("authserver.audit")


def record(
    store: Store,
    name: str,
    actor: str,
    *,
    client_id: str | None = None,
    sub: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write an event that has no write of its own; raises ValueError for a name that is not in the list."""
    if name not in EVENTS:
        raise ValueError(f"{name} is not in the list of audit events")
    safe = {key: redact(value) if isinstance(value, str) else value for key, value in (facts or {}).items()}
    store.audit.append(Event(name, actor, client_id=client_id, sub=sub, facts=safe))
    log.info(name, extra={"actor": actor, "client_id": client_id, "sub": sub})
