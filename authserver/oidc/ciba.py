"""OpenID Connect Client-Initiated Backchannel Authentication Flow (CIBA), modes poll and ping.

https://openid.net/specs/openid-client-initiated-backchannel-authentication-core-1_0.html

A client that knows who somebody is asks that person through this server, without sending them anywhere: the request
waits on a page of their account, they compare and decide there, and the client polls for the tokens (``waiting``). A
client in the mode ping is told when it is time to. Nobody is asked out of the blue by anybody: the extension is off
unless switched on, clients cannot register themselves for it, and few requests may reach a person. To allow one takes a
sign-in of the last minutes, which is what ``auth_time`` then says.

Plugs into: GRANTS, ENDPOINTS, METADATA, PARAMETERS; ``web/account/requests.py``.
"""

import logging
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver import jwt
from authserver.clock import HOUR, MINUTE, SECOND, now
from authserver.courier import Message
from authserver.crypto import Kind, b64, digest_of, new_handle, new_id
from authserver.identity import sessions
from authserver.manage.client_metadata import CIBA
from authserver.oauth import client_auth, errors
from authserver.oauth.request import Answer, Request, json_answer
from authserver.oauth.waiting import INTERVAL, PolledGrant, Room, Waiting, client_of
from authserver.oidc import ciba_request, consent, step_up
from authserver.records import Client, Session
from authserver.settings import Settings
from authserver.store.errors import Busy, Conflict

if TYPE_CHECKING:
    from authserver.oauth.server import Server

logger = logging.getLogger(__name__)

FEATURE: Final = "ciba"
PATH: Final = "/bc-authorize"
METHODS: Final = ("POST",)
PARAMETERS: Final = frozenset({"auth_req_id"})
MOST_OPEN: Final = 20  # requests that may wait for one user, whoever sent them
_TRIES: Final = 8
_OPEN: Final = "ciba.open"
_PINGED: Final = "ciba.pinged"
_REQUESTS: Final = "ciba.requests"
_BY_USER: Final = "ciba.requests-by-user"
_SEALED: Final = "ciba-ping"
_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Waiting):
    """A request that waits for the decision of one user, or has it."""

    sub: str
    binding_message: str | None = None
    ping: str | None = None  # sealed: the auth_req_id, and the token of the client's that goes with it


_ROOM: Final = Room("ciba", Asked)


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce endpoint, modes and algorithms (4)."""
    del server
    return {
        "backchannel_authentication_endpoint": settings.issuer + PATH,
        "backchannel_token_delivery_modes_supported": list(ciba_request.MODES),
        "backchannel_authentication_request_signing_alg_values_supported": sorted(jwt.ASYMMETRIC),
        "backchannel_user_code_parameter_supported": False,
    }


# 7: the request of the client.


def respond(server: "Server", request: Request) -> Answer:
    """Check what a client asks a user, keep it for that user, and answer the code to poll with (7.3)."""
    client_auth.authenticate(server, request)
    if not _may_ask(request.client):
        raise errors.UnauthorizedClient(errors.GRANT_TYPE_REFUSED)
    ciba_request.count(server, _REQUESTS, request.client.client_id, MINUTE, server.settings.limits.ciba_requests)
    for step in server.registry.CIBA_CHECK:
        step(server, request)
    sub, seconds = ciba_request.user(server, request).sub, ciba_request.lifetime(server, request)
    pair = f"{request.client.client_id}\0{sub}"
    ciba_request.count(server, _BY_USER, pair, HOUR, server.settings.limits.ciba_requests_per_user)
    auth_req_id = _keep(server, request, sub, seconds)
    return json_answer(200, {"auth_req_id": auth_req_id, "expires_in": seconds, "interval": INTERVAL})


# 8: the user, on the page.


def open_requests(server: "Server", session: Session) -> list[tuple[Asked, Client]]:
    """Return what waits for the user of this session, the latest first."""
    item = server.store.single_use.get(_OPEN, session.sub)
    found = [_of_user(server, key, session) for key, *_ in _places(item.value if item else None)]
    return sorted((one for one in found if one is not None), key=lambda one: -one[0].created_at)


def find(server: "Server", key: str, session: Session) -> tuple[Asked, Client] | None:
    """Return a request that waits for the user of this session; the key comes from a URL and may be anything."""
    return _of_user(server, key, session) if _KEY.fullmatch(key) else None


def decision(server: "Server", key: str, session: Session) -> str | None:
    """Return what was decided about a request in this session, "allow" or "deny"; None where nothing was."""
    asked = _ROOM.read(server, key) if _KEY.fullmatch(key) else None
    return None if asked is None or (asked.sub, asked.sid) != (session.sub, session.sid) else asked.decision


def find_code(server: "Server", auth_req_id: str) -> Asked | None:
    """Return the request with this code."""
    digest = digest_of(Kind.CIBA, auth_req_id)
    return None if digest is None else _ROOM.read(server, digest.hex())


def needs_sign_in(server: "Server", asked: Asked, session: Session) -> bool:
    """Say whether to allow this takes another sign-in: the last one is long ago, or weaker than it could be (7.1).

    ``acr_values`` is a wish, as elsewhere: of whoever has no second factor none is demanded, and the tokens say so.
    """
    oldest = now() - server.settings.ciba.fresh_seconds * SECOND
    return session.auth_time < oldest or step_up.missing(server, asked.request, session) == "second_factor"


def decide(server: "Server", asked: Asked, client: Client, session: Session, *, allow: bool) -> bool:
    """Take the user's decision, and tell a client that waits to be told; say whether the decision stands."""
    if session.sub != asked.sub or (allow and needs_sign_in(server, asked, session)):
        return False
    scope = consent.granted_scope(server, client, asked.request, session) if allow else None
    if not _ROOM.decide(server, asked, session, scope):
        return False
    _leave(server, asked)
    _ping(server, asked, client)
    return True


class CibaGrant(PolledGrant):
    """The client's polls, which a client in the mode ping may send, too (10.1, 11)."""

    GRANT_TYPE = CIBA
    ROOM = _ROOM
    KIND = Kind.CIBA
    PARAMETER = "auth_req_id"
    MISSING = errors.AUTH_REQ_ID_MISSING
    INVALID = errors.AUTH_REQ_ID_INVALID
    EXPIRED = errors.AUTH_REQ_ID_EXPIRED


def _may_ask(client: Client) -> bool:
    # A request here goes from server to server as a pushed one does, so that clients that have to push may ask.
    return client.check_grant_type(CIBA) and not client.public


def _keep(server: "Server", request: Request, sub: str, seconds: int) -> str:
    """Keep a request among those of its user; return its code."""
    moment, client = now(), request.client
    text, digest = new_handle(Kind.CIBA)
    asked = Asked(
        key=digest.hex(),
        client_id=client.client_id,
        grant_id=new_id(),
        scope=request.granted_scope,
        resources=request.resources,
        acr_values=request.acr_values,
        authorization_details=request.authorization_details,
        address=sessions.shown(request.address),
        created_at=moment,
        expires_at=moment + seconds * SECOND,
        sub=sub,
        binding_message=request.parameters.get("binding_message"),
        ping=_sealed(server, request, digest.hex(), text),
    )
    _enter(server, asked)
    _ROOM.keep(server, asked)
    return text


# Which requests are open for a user: one item of places, written by comparing, so that the bounds hold for all at once.


def _places(text: str | None) -> list[tuple[str, str, int]]:
    """Return key, client and end of those that are not over."""
    return [(key, client_id, until) for key, client_id, until in orjson.loads(text or "[]") if until > now()]


def _enter(server: "Server", asked: Asked) -> None:
    """Take a place; raises TooManyRequests when there is none, for this client or at all."""
    most = server.settings.limits.ciba_open_per_user
    for _ in range(_TRIES):
        item = server.store.single_use.get(_OPEN, asked.sub)
        taken = _places(item.value if item else None)
        own = [client_id for _key, client_id, _until in taken].count(asked.client_id)
        if own >= most or len(taken) >= MOST_OPEN:
            first = min(until for _key, client_id, until in taken if own < most or client_id == asked.client_id)
            raise errors.TooManyRequests(errors.REQUESTS_WAITING, max(1, (first - now()) // SECOND))
        taken.append((asked.key, asked.client_id, asked.expires_at))
        text, until = orjson.dumps(taken).decode(), max(until for *_, until in taken)
        if item is not None:
            if server.store.single_use.swap(_OPEN, asked.sub, text, item.version, until):
                return
            continue
        try:
            server.store.single_use.put(_OPEN, asked.sub, text, until)
        except Conflict:
            continue
        return
    raise Busy(_OPEN)


def _leave(server: "Server", asked: Asked) -> None:
    """Give the place back; where others are faster each time it is free when the request is over."""
    for _ in range(_TRIES):
        item = server.store.single_use.get(_OPEN, asked.sub)
        if item is None:
            return
        left = [place for place in _places(item.value) if place[0] != asked.key]
        text = orjson.dumps(left).decode()
        if server.store.single_use.swap(_OPEN, asked.sub, text, item.version, item.expires_at):
            return


def _of_user(server: "Server", key: str, session: Session) -> tuple[Asked, Client] | None:
    """Return a request that is still open, with its client, unless that may not have it any more."""
    asked = _ROOM.read(server, key)
    if asked is None or asked.sub != session.sub or asked.decision is not None or now() >= asked.expires_at:
        return None
    client = client_of(server, asked, _may_ask)
    return None if client is None else (asked, client)


# 10.2: the notification.


def _sealed(server: "Server", request: Request, key: str, auth_req_id: str) -> str | None:
    """Return what a notification will say; neither part of it is kept in clear."""
    if request.client.metadata.get("backchannel_token_delivery_mode") != ciba_request.PING:
        return None
    said = orjson.dumps([auth_req_id, request.parameters["client_notification_token"]])
    return b64(server.sealer.seal(_SEALED, key, said))


def _ping(server: "Server", asked: Asked, client: Client) -> None:
    """Tell the client, once, that there is a decision; it learns the decision by polling, told or not."""
    place = client.metadata.get("backchannel_client_notification_endpoint")
    mode = client.metadata.get("backchannel_token_delivery_mode")
    if asked.ping is None or place is None or mode != ciba_request.PING:
        return
    if not server.store.single_use.first_time(_PINGED, asked.key, asked.expires_at + MINUTE):
        return
    try:
        said = server.sealer.open(_SEALED, asked.key, urlsafe_b64decode(asked.ping + "=" * (-len(asked.ping) % 4)))
    except ValueError:
        logger.warning("notification not sent: sealed by a former key", extra={"client_id": client.client_id})
        return
    auth_req_id, token = orjson.loads(said)
    headers = (("Authorization", f"Bearer {token}"), ("Content-Type", "application/json"))
    server.courier.send(Message(client.client_id, place, headers, orjson.dumps({"auth_req_id": auth_req_id})))
