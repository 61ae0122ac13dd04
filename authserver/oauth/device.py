"""OAuth 2.0 Device Authorization Grant (RFC 8628).

https://www.rfc-editor.org/rfc/rfc8628

A device without a browser shows a short code; a person enters it elsewhere, compares, and decides, while the device
polls. What waits is kept under the digest of its device code, and a keyed digest of the user code leads there: eight
letters are too few for a digest that anybody can compute. What a person allows is a grant whose code is the device
code. So the device redeems it as an authorization code is redeemed: once, as the client that asked, while the account
and the session are in force; the second time revokes the grant.

Plugs into: GRANTS, ENDPOINTS, METADATA, PARAMETERS; ``web/device.py``.
"""

import hmac
import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from unicodedata import normalize

import orjson
from authlib.oauth2 import rfc8628

from authserver.clock import HOUR, MINUTE, SECOND, now
from authserver.crypto import Kind, digest_of, new_handle, new_id
from authserver.identity import sessions
from authserver.limits import Exceeded, network_of, sender_of
from authserver.manage.client_metadata import DEVICE
from authserver.oauth import client_auth, errors, issue, scope
from authserver.oauth.authorization_code import new_grant
from authserver.oauth.request import Answer, AuthorizationRequest, Request, json_answer
from authserver.oauth.server import Issuing
from authserver.records import Client, Event, Session
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
_INTERVAL: Final = 5  # seconds between two polls (3.2)
_SLOWER: Final = 5  # seconds more for who does not wait (3.5)
_UNDERWAY: Final = SECOND  # of an interval: two requests are not equally long on their way
_TOLD: Final = HOUR  # after its end in which an expired code is still told from an unknown one
_TRIES: Final = 8
_DEVICES: Final = "device"
_USER_CODES: Final = "device.user-code"
_REQUESTS: Final = "device.requests"
_BY_SESSION: Final = "device.wrong-by-session"
_BY_ADDRESS: Final = "device.wrong-by-address"


@dataclass(frozen=True, slots=True)
class Device:
    """A device that waits for a person's decision, or has it."""

    key: str  # digest of the device code
    version: int
    client_id: str
    grant_id: str  # of the grant that there will be, if the person allows it
    scope: str
    resources: tuple[str, ...]
    address: str
    created_at: int
    expires_at: int
    interval: int = _INTERVAL
    next_poll_at: int = 0
    decision: str | None = None  # "allow" or "deny", in the session ``sid``
    sid: str | None = None
    authorization_details: str | None = None

    @property
    def request(self) -> AuthorizationRequest:
        """Return what it asks for; a person is always asked, so consent is never taken as given."""
        return AuthorizationRequest(
            self.client_id,
            "",
            "",
            "",
            self.scope,
            self.resources,
            prompt=frozenset({"consent"}),
            authorization_details=self.authorization_details,
        )


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
            "interval": _INTERVAL,
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
    device = None if pointer is None else _read(server, pointer.value)
    client = None if device is None else _client(server, device)
    if device is None or client is None or device.sid not in {None, session.sid}:
        return None
    server.limits.uncount(_BY_SESSION, session.sid, HOUR)
    server.limits.uncount(_BY_ADDRESS, network, HOUR)
    return device, client


def decide(server: "Server", device: Device, session: Session, granted_scope: str | None) -> bool:
    """Take a person's decision, the granted scope or None to deny; say whether it is the one that stands.

    The first decision stands, and sending it twice is sending it once. The grant is there before the device can learn
    of it; whoever comes second does not find one of their own.
    """
    decision, name = ("deny", "device.denied") if granted_scope is None else ("allow", "device.allowed")
    if granted_scope is not None and not _open_grant(server, device, session, granted_scope):
        return False
    known: Device | None = device
    for _ in range(_TRIES):
        if known is None or known.decision is not None or now() >= known.expires_at:
            break
        if _change(server, known, decision=decision, sid=session.sid):
            server.store.audit.append(_event(name, device, session))
            return True
        known = _read(server, device.key)
    if known is not None and (known.decision, known.sid) == (decision, session.sid):
        return True
    if granted_scope is not None:
        server.store.grants.revoke(device.grant_id, "device.denied", _event("grant.revoked", device, session))
    return False


class DeviceCodeGrant(Issuing, rfc8628.DeviceCodeGrant):  # type: ignore[misc] # Authlib's hooks are untyped
    """Authlib's grant over the seam."""

    GRANT_TYPE = DEVICE

    def validate_token_request(self) -> None:
        """Answer that there is no decision yet, or check what will be issued; nothing is taken yet (3.4, 3.5)."""
        self.check_grant_type()
        request = self.request
        if "device_code" not in request.parameters:
            raise errors.InvalidRequest(errors.DEVICE_CODE_MISSING)
        device = self._decided()
        if device.decision == "deny":
            raise errors.AccessDenied(errors.DENIED)
        grant = self.server.store.grants.get(device.grant_id)
        if grant is None:
            # Revoked since, or the account, the session or the client is not in force any more.
            raise errors.InvalidGrant(errors.DEVICE_CODE_INVALID)
        request.grant, request.user = grant, grant.sub
        request.granted_scope = scope.of_today(request.client, grant.scope)
        request.credential = rfc8628.DeviceCredentialDict(scope=grant.scope)
        self.run_checks()

    def generate_token(self, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        """Make the tokens of the answer (3.5)."""
        return issue.for_the_user(self.server, self.request)

    def save_token(self, token: dict[str, Any]) -> None:
        """Redeem the code, which exactly one request can, and store the tokens."""
        del token
        client_id = self.request.client.client_id
        if self.server.store.grants.redeem(self._digest(), client_id, self.binding()) is None:
            raise errors.InvalidGrant(errors.DEVICE_CODE_INVALID)
        self.store_tokens()

    def _digest(self) -> bytes:
        digest = digest_of(Kind.DEVICE, self.request.parameters["device_code"])
        if digest is None:
            raise errors.InvalidGrant(errors.DEVICE_CODE_INVALID)
        return digest

    def _decided(self) -> Device:
        """Return the device once there is a decision; until then keep the time between two polls (3.5)."""
        key = self._digest().hex()
        for _ in range(_TRIES):
            device = _read(self.server, key)
            # 3.4: the code is the client's that asked for it; to every other one it is unknown.
            if device is None or device.client_id != self.request.client.client_id:
                raise errors.InvalidGrant(errors.DEVICE_CODE_INVALID)
            if now() >= device.expires_at:
                raise errors.ExpiredToken(errors.DEVICE_CODE_EXPIRED)
            if device.decision is not None:
                return device
            # 3.5: "the interval MUST be increased by 5 seconds for this and all subsequent requests".
            early = now() < device.next_poll_at
            interval = device.interval + (_SLOWER if early else 0)
            if _change(self.server, device, interval=interval, next_poll_at=now() + interval * SECOND - _UNDERWAY):
                raise (
                    errors.PollSlower(errors.POLLED_TOO_OFTEN) if early else errors.AuthorizationPending(errors.PENDING)
                )
        # Another poll was faster each time.
        raise errors.PollSlower(errors.POLLED_TOO_OFTEN)


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
        version=0,
        client_id=request.client.client_id,
        grant_id=new_id(),
        scope=request.granted_scope,
        resources=request.resources,
        address=sessions.shown(request.address),
        created_at=moment,
        expires_at=moment + server.settings.tokens.device_code_seconds * SECOND,
        authorization_details=request.authorization_details,
    )
    memory.put(_DEVICES, device.key, _dump(device), device.expires_at + _TOLD, device.client_id)
    for _ in range(_TRIES):
        user_code = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
        try:
            memory.put(_USER_CODES, _user_code_key(server, user_code), device.key, device.expires_at)
        except Conflict:
            # Another device shows this code just now: no two may.
            continue
        return text, user_code
    raise Busy(_USER_CODES)


def _client(server: "Server", device: Device) -> Client | None:
    """Return the client of a device, unless it may not have any more what it has asked for."""
    client = server.query_client(device.client_id)
    if client is None or client.disabled_at is not None or not _may_ask(server, client):
        return None
    return client if client.scopes.issuperset(device.scope.split()) else None


def _user_code_key(server: "Server", user_code: str) -> str:
    return hmac.new(server.sealer.derive("user-code"), user_code.encode(), "sha256").hexdigest()


def _dump(device: Device) -> str:
    members = asdict(device)
    for name in ("key", "version", "client_id"):
        del members[name]
    return orjson.dumps(members).decode()


def _read(server: "Server", key: str) -> Device | None:
    item = server.store.single_use.get(_DEVICES, key)
    if item is None:
        return None
    members = orjson.loads(item.value)
    members["resources"] = tuple(members["resources"])
    return Device(key=key, version=item.version, client_id=item.owner, **members)


def _change(server: "Server", device: Device, **changes: Any) -> bool:
    """Write changes, unless somebody else has written since it was read; say whether they are written."""
    text, until = _dump(replace(device, **changes)), device.expires_at + _TOLD
    return server.store.single_use.swap(_DEVICES, device.key, text, device.version, until)


def _open_grant(server: "Server", device: Device, session: Session, granted_scope: str) -> bool:
    """Open the grant with the device code as its code; say whether there is one of this session."""
    request = replace(device.request, scope=granted_scope)
    grant = new_grant(server, request, session, device.grant_id)
    try:
        server.store.grants.open(grant, bytes.fromhex(device.key), device.expires_at)
    except Conflict:
        before = server.store.grants.get(device.grant_id)
        return before is not None and before.sid == session.sid
    return True


def _event(name: str, device: Device, session: Session) -> Event:
    return Event(
        name, session.sub, device.client_id, session.sub, {"grant_id": device.grant_id, "from": device.address}
    )
