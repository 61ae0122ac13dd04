"""Signing and encryption keys: list, rotate."""

from contextlib import suppress
from typing import Final

from authserver.api.fields import PAGE
from authserver.api.operation import Call, Operation
from authserver.api.paging import among, page
from authserver.keys import KeyRingError
from authserver.manage import keys
from authserver.manage.client_metadata import flag
from authserver.oauth.request import Answer, json_answer


def list_(call: Call) -> Answer:
    """List the keys with their states, by kid."""
    found = keys.list_keys(call.store)
    return page(call, "keys", among(found, lambda key: key["kid"]), lambda key: str(key["kid"]), dict)


def rotate(call: Call) -> Answer:
    """Make the next keys: soon is after 10 minutes; compromised is at once, and drops the ones before."""
    soon, compromised = call.given.get("soon", False), call.given.get("compromised", False)
    made = keys.rotate(call.store, call.sealer, call.settings, soon=soon, compromised=compromised, actor=call.actor)
    # At once here; the other processes look every few seconds. The keys are made, whatever this one makes of them.
    with suppress(KeyRingError):
        call.server.keys.load()
    return json_answer(201, {"keys": made})


OPERATIONS: Final = (
    Operation("GET", "/keys", "keys", list_, takes=PAGE),
    Operation("POST", "/keys/rotate", "keys", rotate, takes={"soon": flag, "compromised": flag}),
)
