"""Clients: list, show, add, replace, remove, switch off and on, and give another secret.

Nobody gives away what she has not: a client that has scopes of the management API, or would get some, is touched only
by a caller who has all of them. Else the right to manage clients would be every right.
"""

from collections.abc import Mapping
from typing import Any, Final

from authserver.api.errors import MORE_THAN_OWN, AccessDenied
from authserver.api.fields import PAGE, identifier
from authserver.api.metadata import SCOPES
from authserver.api.operation import Call, Operation, done, shown
from authserver.api.paging import page
from authserver.manage import clients
from authserver.manage.changes import require_version
from authserver.manage.client_metadata import number
from authserver.oauth.request import Answer, json_answer
from authserver.records import Client

_ONE: Final = {"client_id": identifier}
_KEEP: Final = number(0, 90 * 86400)
# What a description says beside the registered metadata: the server's to say, and no part of a replacement.
_STATE: Final = ("client_id", "client_id_issued_at", "origin", "disabled", "demonstration", "secrets")


def list_(call: Call) -> Answer:
    """List the clients, by client_id."""
    return page(call, "clients", call.store.clients.page, lambda client: client.client_id, _described)


def add(call: Call) -> Answer:
    """Register a client; the answer has its secret, which is shown only now."""
    check_powers(call, call.document)
    answer = clients.register(
        call.store,
        call.sealer,
        call.document,
        actor=call.actor,
        members=call.server.registry.CLIENT_METADATA,
    )
    call.server.forget()
    return json_answer(201, answer)


def show(call: Call) -> Answer:
    """Show a client, without its secrets."""
    return _shown(_existing(call))


def replace(call: Call) -> Answer:
    """Replace a client's metadata; what is left out is gone. If-Match names the version that was read.

    A new method of authentication may need another secret; it is in the answer then, and shown only now.
    """
    version, client = call.required_version(), _existing(call)
    require_version(clients.describe(client), version)
    check_powers(call, client.metadata, call.document)
    answer = clients.update(
        call.store,
        call.sealer,
        client.client_id,
        call.document,
        actor=call.actor,
        members=call.server.registry.CLIENT_METADATA,
        version=version,
    )
    call.server.forget()
    return _shown(_existing(call), answer.get("client_secret"))


def remove(call: Call) -> Answer:
    """Delete a client; everything it was given is revoked."""
    clients.remove(call.store, _touched(call).client_id, actor=call.actor, version=call.version)
    call.server.forget()
    return done()


def disable(call: Call) -> Answer:
    """Switch a client off; everything it was given is revoked."""
    return _set_disabled(call, disabled=True)


def enable(call: Call) -> Answer:
    """Switch a client on again."""
    return _set_disabled(call, disabled=False)


def rotate_secret(call: Call) -> Answer:
    """Give a client another secret, which is shown only now; the ones before live on for keep_seconds."""
    client, keep = _touched(call), call.given.get("keep_seconds", clients.KEEP_SECONDS)
    answer = clients.rotate_secret(call.store, call.sealer, client.client_id, actor=call.actor, keep_seconds=keep)
    call.server.forget()
    return json_answer(200, answer)


def check_powers(call: Call, *metadata: Mapping[str, Any]) -> None:
    """Refuse to touch a client that has scopes of the management API, or would get some, which the caller has not."""
    for members in metadata:
        scope = members.get("scope")
        powers = SCOPES.keys() & scope.split() if isinstance(scope, str) else frozenset[str]()
        if not all(call.caller.may(power) for power in powers):
            raise AccessDenied(MORE_THAN_OWN)


OPERATIONS: Final = (
    Operation("GET", "/clients", "clients", list_, takes=PAGE),
    Operation("POST", "/clients", "clients", add, document=True),
    Operation("GET", "/client", "clients", show, needs=_ONE),
    Operation("PUT", "/client", "clients", replace, needs=_ONE, document=True),
    Operation("DELETE", "/client", "clients", remove, needs=_ONE),
    Operation("POST", "/client/disable", "clients", disable, needs=_ONE),
    Operation("POST", "/client/enable", "clients", enable, needs=_ONE),
    Operation("POST", "/client/rotate-secret", "clients", rotate_secret, needs=_ONE, takes={"keep_seconds": _KEEP}),
)


def _existing(call: Call) -> Client:
    return clients.existing(call.store, call.given["client_id"])


def _touched(call: Call) -> Client:
    """Return a client that this caller may switch and give secrets."""
    client = _existing(call)
    check_powers(call, client.metadata)
    return client


def _set_disabled(call: Call, *, disabled: bool) -> Answer:
    client = _touched(call)
    clients.set_disabled(call.store, client.client_id, disabled=disabled, actor=call.actor)
    call.server.forget()
    return _shown(_existing(call))


def _shown(client: Client, secret: str | None = None) -> Answer:
    fresh = {} if secret is None else {"client_secret": secret}
    return shown({**_described(client), **fresh}, clients.describe(client))


def _described(client: Client) -> dict[str, Any]:
    """Return a client in two parts: its state, and the metadata as a replacement would send them."""
    whole = clients.describe(client)
    state = {name: whole.pop(name) for name in _STATE}
    return {**state, "metadata": whole}
