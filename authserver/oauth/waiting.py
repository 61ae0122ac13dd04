"""What waits for a person's decision while its client polls for it (RFC 8628 3.4, 3.5; CIBA 10.1.1, 11).

Kept under the digest of the code with which the client polls, among what is used once. What a person allows is a grant
whose code is that code. So it is redeemed as an authorization code is: once, by the client that asked, while account
and session are in force; the second time revokes the grant.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import orjson
from authlib.oauth2 import rfc8628

from authserver.clock import HOUR, SECOND, now
from authserver.crypto import Kind, digest_of
from authserver.oauth import errors, issue, scope
from authserver.oauth.authorization_code import new_grant
from authserver.oauth.request import AuthorizationRequest
from authserver.oauth.server import Issuing
from authserver.records import Client, Event, Session
from authserver.store.errors import Conflict

if TYPE_CHECKING:
    from authserver.oauth.server import Server

INTERVAL: Final = 5  # seconds between two polls
_SLOWER: Final = 5  # seconds more for who does not wait
_UNDERWAY: Final = SECOND  # of an interval: two requests are not equally long on their way
_TOLD: Final = HOUR  # after its end in which an expired code is still told from an unknown one
_TRIES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A request that waits for a person's decision, or has it."""

    key: str  # digest of the code that polls
    version: int = 0
    client_id: str
    grant_id: str  # of the grant that there will be, if the person allows it
    scope: str
    resources: tuple[str, ...]
    acr_values: tuple[str, ...] = ()
    authorization_details: str | None = None
    address: str
    created_at: int
    expires_at: int
    interval: int = INTERVAL
    next_poll_at: int = 0
    decision: str | None = None  # "allow" or "deny", in the session ``sid``
    sid: str | None = None

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
            acr_values=self.acr_values,
            authorization_details=self.authorization_details,
        )


W = TypeVar("W", bound=Waiting)


class Room(Generic[W]):
    """Where requests of one kind wait; ``name`` is their space in the store and begins the names of their events."""

    def __init__(self, name: str, kind: type[W]) -> None:
        self.name = name
        self._kind = kind

    def keep(self, server: "Server", waiting: W) -> None:
        """Keep a new request."""
        until = waiting.expires_at + _TOLD
        server.store.single_use.put(self.name, waiting.key, _dump(waiting), until, waiting.client_id)

    def read(self, server: "Server", key: str) -> W | None:
        """Return a request, also for an hour after its end."""
        item = server.store.single_use.get(self.name, key)
        if item is None:
            return None
        members: dict[str, Any] = orjson.loads(item.value)
        members |= {name: tuple(value) for name, value in members.items() if isinstance(value, list)}
        return self._kind(key=key, version=item.version, client_id=item.owner, **members)

    def decide(self, server: "Server", waiting: W, session: Session, granted_scope: str | None) -> bool:
        """Take a person's decision, the granted scope or None to deny; say whether it is the one that stands.

        The first decision stands, and sending it twice is sending it once. The grant is there before the client can
        learn of it; whoever comes second does not find one of their own.
        """
        decision, event = ("deny", "denied") if granted_scope is None else ("allow", "allowed")
        if granted_scope is not None and not _open_grant(server, waiting, session, granted_scope):
            return False
        known: W | None = waiting
        for _ in range(_TRIES):
            if known is None or known.decision is not None or now() >= known.expires_at:
                break
            if self._change(server, known, decision=decision, sid=session.sid):
                server.store.audit.append(_event(f"{self.name}.{event}", waiting, session))
                return True
            known = self.read(server, waiting.key)
        if known is not None and (known.decision, known.sid) == (decision, session.sid):
            return True
        if granted_scope is not None:
            gone = _event("grant.revoked", waiting, session)
            server.store.grants.revoke(waiting.grant_id, f"{self.name}.denied", gone)
        return False

    def poll(self, server: "Server", key: str, client_id: str, unknown: str, expired: str) -> W:
        """Return a request once there is a decision; until then keep the time between two polls.

        ``unknown`` and ``expired`` are what the client is told of a code that is nothing, or nothing any more.
        """
        for _ in range(_TRIES):
            waiting = self.read(server, key)
            # RFC 8628 3.4: the code is the client's that asked for it; to every other one it is unknown.
            if waiting is None or waiting.client_id != client_id:
                raise errors.InvalidGrant(unknown)
            if now() >= waiting.expires_at:
                raise errors.ExpiredToken(expired)
            if waiting.decision is not None:
                return waiting
            # RFC 8628 3.5: "the interval MUST be increased by 5 seconds for this and all subsequent requests".
            early = now() < waiting.next_poll_at
            # Whoever has polled away all the time that there is cannot be put off any further: nothing to write.
            if early and waiting.next_poll_at >= waiting.expires_at:
                break
            interval = waiting.interval + (_SLOWER if early else 0)
            if self._change(server, waiting, interval=interval, next_poll_at=now() + interval * SECOND - _UNDERWAY):
                raise (
                    errors.PollSlower(errors.POLLED_TOO_OFTEN) if early else errors.AuthorizationPending(errors.PENDING)
                )
        # Or another poll was faster each time.
        raise errors.PollSlower(errors.POLLED_TOO_OFTEN)

    def _change(self, server: "Server", waiting: W, **changes: Any) -> bool:
        """Write changes, unless somebody else has written since it was read; say whether they are written."""
        text, until = _dump(replace(waiting, **changes)), waiting.expires_at + _TOLD
        return server.store.single_use.swap(self.name, waiting.key, text, waiting.version, until)


def client_of(server: "Server", waiting: Waiting, may_ask: Callable[[Client], bool]) -> Client | None:
    """Return the client of a request, unless it may not have any more what it has asked for."""
    client = server.query_client(waiting.client_id)
    if client is None or client.disabled_at is not None or not may_ask(client):
        return None
    return client if client.scopes.issuperset(waiting.scope.split()) else None


class PolledGrant(Issuing, rfc8628.DeviceCodeGrant):  # type: ignore[misc] # Authlib's hooks are untyped
    """Authlib's grant over the seam, for every code with which a client polls."""

    ROOM: Room[Any]
    KIND: Kind
    PARAMETER: str
    MISSING: str
    INVALID: str
    EXPIRED: str

    def validate_token_request(self) -> None:
        """Answer that there is no decision yet, or check what will be issued; nothing is taken yet."""
        self.check_grant_type()
        request = self.request
        if self.PARAMETER not in request.parameters:
            raise errors.InvalidRequest(self.MISSING)
        key = self._digest().hex()
        waiting = self.ROOM.poll(self.server, key, request.client.client_id, self.INVALID, self.EXPIRED)
        if waiting.decision == "deny":
            raise errors.AccessDenied(errors.DENIED)
        grant = self.server.store.grants.get(waiting.grant_id)
        if grant is None:
            # Revoked since, or the account, the session or the client is not in force any more.
            raise errors.InvalidGrant(self.INVALID)
        request.grant, request.user = grant, grant.sub
        request.granted_scope = scope.of_today(request.client, grant.scope)
        request.credential = rfc8628.DeviceCredentialDict(scope=grant.scope)
        self.run_checks()

    def generate_token(self, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        """Make the tokens of the answer."""
        return issue.for_the_user(self.server, self.request)

    def save_token(self, token: dict[str, Any]) -> None:
        """Redeem the code, which exactly one request can, and store the tokens."""
        del token
        client_id = self.request.client.client_id
        if self.server.store.grants.redeem(self._digest(), client_id, self.binding()) is None:
            raise errors.InvalidGrant(self.INVALID)
        self.store_tokens()

    def _digest(self) -> bytes:
        digest = digest_of(self.KIND, self.request.parameters[self.PARAMETER])
        if digest is None:
            raise errors.InvalidGrant(self.INVALID)
        return digest


def _dump(waiting: Waiting) -> str:
    members = asdict(waiting)
    for name in ("key", "version", "client_id"):
        del members[name]
    return orjson.dumps(members).decode()


def _open_grant(server: "Server", waiting: Waiting, session: Session, granted_scope: str) -> bool:
    """Open the grant with the polled code as its code; say whether there is one of this session."""
    request = replace(waiting.request, scope=granted_scope)
    grant = new_grant(server, request, session, waiting.grant_id)
    try:
        server.store.grants.open(grant, bytes.fromhex(waiting.key), waiting.expires_at)
    except Conflict:
        before = server.store.grants.get(waiting.grant_id)
        return before is not None and before.sid == session.sid
    return True


def _event(name: str, waiting: Waiting, session: Session) -> Event:
    return Event(
        name, session.sub, waiting.client_id, session.sub, {"grant_id": waiting.grant_id, "from": waiting.address}
    )
