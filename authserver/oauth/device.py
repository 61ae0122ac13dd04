"""OAuth 2.0 Device Authorization Grant (RFC 8628).

https://www.rfc-editor.org/rfc/rfc8628

A device without a browser shows a short code; a person enters it elsewhere, compares, and decides, while the device
polls. What waits (``waiting``) is kept under the digest of its device code, and a keyed digest of the user code leads
there: eight letters are too few for a digest that anybody can compute.

Plugs into: GRANTS, ENDPOINTS, METADATA, PARAMETERS; ``web/device.py``.
"""

import hmac
import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from unicodedata import normalize

from authserver.clock import HOUR, MINUTE, SECOND, now
from authserver.crypto import Kind, new_handle, new_id
from authserver.identity import sessions
from authserver.limits import Exceeded, network_of, sender_of
from authserver.manage.client_metadata import DEVICE
from authserver.oauth import client_auth, errors
from authserver.oauth.request import Answer, Request, json_answer
from authserver.oauth.waiting import INTERVAL, PolledGrant, Room, Waiting, client_of
from authserver.records import Client, Session
from authserver.settings import Settings
from authserver.store.errors import Busy, Conflict

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "device"
PATH: Final = "/device_authorization"
METHODS: Final = ("POST",)
PARAMETERS: Final = frozenset({"device_code"})
VERIFICATION_PATH: Final = "/device"
LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"  # 6.1: no vowels, so no words
LENGTH: Final = 8
MAX_ENTERED: Final = 64  # characters looked at of what a person enters
_TRIES: Final = 8
_USER_CODES: Final = "device.user-code"
_REQUESTS: Final = "device.requests"
_BY_SESSION: Final = "device.wrong-by-session"
_BY_ADDRESS: Final = "device.wrong-by-address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device(Waiting):
    """A device that waits for a person's decision, or has it."""


_DEVICES: Final = Room("device", Device)


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the endpoint (4)."""
    del server
    return {"device_authorization_endpoint": settings.issuer + PATH}


def respond(server: "Server", request: Request) -> Answer:
    """Check what a device asks for, and answer its two codes (3.1, 3.2)."""
    client_auth.authenticate(server, request)
    if not _may_ask(server, request.client):
        raise errors.UnauthorizedClient(errors.GRANT_TYPE_REFUSED)
    _count(server, request)
    for step in server.registry.DEVICE_CHECK:
        step(server, request)
    device_code, user_code = _keep(server, request)
    verification_uri = server.settings.issuer + VERIFICATION_PATH
    return json_answer(
        200,
        {
            "device_code": device_code,
            "user_code": shown(user_code),
            "verification_uri": verification_uri,
            "verification_uri_complete": f"{verification_uri}?user_code={shown(user_code)}",
            "expires_in": server.settings.tokens.device_code_seconds,
            "interval": INTERVAL,
        },
    )


# 3.3: what the person does, on the pages.


def entered(text: str) -> str | None:
    """Return the user code that a person has entered, however it is written (6.1), or None when it cannot be one."""
    written = normalize("NFKC", text[:MAX_ENTERED]).upper()
    letters = "".join(letter for letter in written if letter in LETTERS)
    return letters if len(letters) == LENGTH else None


def shown(user_code: str) -> str:
    """Return a user code as people read it."""
    return f"{user_code[: LENGTH // 2]}-{user_code[LENGTH // 2 :]}"


def find(server: "Server", user_code: str, session: Session, address: str) -> tuple[Device, Client] | None:
    """Return the device that shows this code; raises Exceeded after too many wrong codes (5.1).

    Only who is signed in may ask; what somebody else has decided is over. A try is counted before it is looked at, so
    that a hundred at once are not a hundred guesses; a right code is none.
    """
    limits, network = server.settings.limits, network_of(address)
    server.limits.count(_BY_SESSION, session.sid, HOUR, limits.user_codes_per_session)
    server.limits.count(_BY_ADDRESS, network, HOUR, limits.user_codes_per_address)
    pointer = server.store.single_use.get(_USER_CODES, _user_code_key(server, user_code))
    device = None if pointer is None else _DEVICES.read(server, pointer.value)
    client = None if device is None else client_of(server, device, partial(_may_ask, server))
    if device is None or client is None or device.sid not in {None, session.sid}:
        return None
    server.limits.uncount(_BY_SESSION, session.sid, HOUR)
    server.limits.uncount(_BY_ADDRESS, network, HOUR)
    return device, client


def decide(server: "Server", device: Device, session: Session, granted_scope: str | None) -> bool:
    """Take a person's decision, the granted scope or None to deny; say whether it is the one that stands."""
    return _DEVICES.decide(server, device, session, granted_scope)


class DeviceCodeGrant(PolledGrant):
    """The device's polls (3.4, 3.5)."""

    GRANT_TYPE = DEVICE
    ROOM = _DEVICES
    KIND = Kind.DEVICE
    PARAMETER = "device_code"
    MISSING = errors.DEVICE_CODE_MISSING
    INVALID = errors.DEVICE_CODE_INVALID
    EXPIRED = errors.DEVICE_CODE_EXPIRED


def _may_ask(server: "Server", client: Client) -> bool:
    """Say whether the client is registered for the grant, and for no way of asking that this is not."""
    settings, registered = server.settings, client.metadata
    return client.check_grant_type(DEVICE) and not (
        settings.require_pushed_authorization_requests
        or settings.require_signed_request_object
        or registered.get("require_pushed_authorization_requests")
        or registered.get("require_signed_request_object")
    )


def _count(server: "Server", request: Request) -> None:
    sender = sender_of(request.client, request.address)
    try:
        server.limits.count(_REQUESTS, sender, MINUTE, server.settings.limits.device_requests)
    except Exceeded as limit:
        raise errors.TooManyRequests(errors.DEVICES_TOO_OFTEN, limit.retry_after) from None


def _keep(server: "Server", request: Request) -> tuple[str, str]:
    """Keep what a device asks for; return its device code and its user code."""
    moment, memory = now(), server.store.single_use
    text, digest = new_handle(Kind.DEVICE)
    device = Device(
        key=digest.hex(),
        client_id=request.client.client_id,
        grant_id=new_id(),
        scope=request.granted_scope,
        resources=request.resources,
        address=sessions.shown(request.address),
        created_at=moment,
        expires_at=moment + server.settings.tokens.device_code_seconds * SECOND,
        authorization_details=request.authorization_details,
    )
    _DEVICES.keep(server, device)
    for _ in range(_TRIES):
        user_code = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
        try:
            memory.put(_USER_CODES, _user_code_key(server, user_code), device.key, device.expires_at)
        except Conflict:
            # Another device shows this code just now: no two may.
            continue
        return text, user_code
    raise Busy(_USER_CODES)


def _user_code_key(server: "Server", user_code: str) -> str:
    return hmac.new(server.sealer.derive("user-code"), user_code.encode(), "sha256").hexdigest()
