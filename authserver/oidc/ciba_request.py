"""Backchannel authentication request (OpenID Connect Client-Initiated Backchannel Authentication Flow, CIBA, 7.1, 7.2).

https://openid.net/specs/openid-client-initiated-backchannel-authentication-core-1_0.html#auth_request

Who is asked, for what, and what they will read. The request may be signed, and has to be where the client is registered
so or keeps to FAPI (FAPI-CIBA 5.2.2): then nothing may stand beside it, and it is good once, for an hour at the most.
A hint that leads to nobody is answered as the specification wants it, ``unknown_user_id``: only a confidential client
that an administrator has given the grant can ask, and it may be wrong a few times an hour only. Accounts that are
switched off are unknown, too.

Plugs into: CIBA_CHECK, PARAMETERS, CLIENT_METADATA.
"""

import logging
import re
from typing import TYPE_CHECKING, Final

from authserver import jwt
from authserver.clock import HOUR, SECOND, now
from authserver.identity import login
from authserver.limits import Exceeded
from authserver.manage import uris
from authserver.manage.client_metadata import url, words
from authserver.manage.errors import InvalidMetadata
from authserver.oauth import client_auth, errors, jar
from authserver.oauth.request import Request
from authserver.oidc.authentication_request import hinted_sub
from authserver.records import User

if TYPE_CHECKING:
    from authserver.oauth.server import Server

logger = logging.getLogger(__name__)

FEATURE: Final = "ciba"
PARAMETERS: Final = frozenset(
    {
        "request",
        "login_hint",
        "login_hint_token",
        "id_token_hint",
        "acr_values",
        "binding_message",
        "user_code",
        "requested_expiry",
        "client_notification_token",
    }
)
POLL: Final = "poll"
PING: Final = "ping"
MODES: Final = (POLL, PING)  # FAPI-CIBA 5.2.2: never push, which hands tokens to whoever answers at an address
_HINTS: Final = ("login_hint", "login_hint_token", "id_token_hint")
_USED: Final = "ciba.request"
_UNKNOWN: Final = "ciba.unknown-users"
# 7.1: "relatively short", and "a limited set of plain text characters"; a link is what a fraudster would like to send.
_BINDING_MESSAGE: Final = re.compile(r"(?!.*//)[A-Za-z0-9][A-Za-z0-9 .,:;!?'()/+#&@%*=_-]{0,127}", re.ASCII)
# RFC 6750 2.1, at most 1024 characters; 128 bits of chance take 22.
_TOKEN: Final = re.compile(r"(?=.{22,1024}\Z)[A-Za-z0-9._~+/-]+=*", re.ASCII)
_EXPIRY: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


def _no_user_code(name: str, value: object) -> bool:
    """Check that no user code is announced: nobody here has one."""
    if value is not False:
        raise InvalidMetadata(name, "can only be false")
    return False


CLIENT_METADATA: Final = {
    "backchannel_token_delivery_mode": words(*MODES),
    "backchannel_client_notification_endpoint": url(uris.page),
    "backchannel_authentication_request_signing_alg": words(*sorted(jwt.ASYMMETRIC)),
    "backchannel_user_code_parameter": _no_user_code,
}


def unpack(server: "Server", request: Request) -> None:
    """Replace the parameters by those of the signed request (7.1.1); refuse a plain one that has to be signed."""
    sent, client = request.parameters, request.client
    token = sent.get("request")
    if token is None:
        if must_sign(server, request):
            raise errors.InvalidRequest(errors.SIGN_FIRST)
        return
    # 7.1.1: "Authentication request parameters MUST NOT be present outside of the JWT".
    if not (sent.keys() & server.parameters) <= client_auth.PARAMETERS | {"request"} or request.payload.lists:
        raise errors.InvalidRequest(errors.SIGNED_ALONE)
    try:
        parsed = _verified(server, request, token)
        parameters = jar.parameters_of(parsed.claims)
        client_auth.use_once(server.store.single_use, _USED, client.client_id, parsed)
    except jwt.InvalidJWT as error:
        logger.warning("signed request refused", extra={"client_id": client.client_id, "reason": str(error)})
        raise errors.InvalidRequest(errors.REQUEST_OBJECT_INVALID) from None
    request.take(parameters)
    request.signed = True


def must_sign(server: "Server", request: Request) -> bool:
    """Say whether a request of this client has to be signed (4; FAPI-CIBA 5.2.2)."""
    client = request.client
    return bool(
        client.fapi2
        or server.settings.require_signed_request_object
        or client.metadata.get("require_signed_request_object")
        or client.metadata.get("backchannel_authentication_request_signing_alg")
    )


def openid(server: "Server", request: Request) -> None:
    """Refuse a request that is not for an ID token, among others (7.1)."""
    del server
    if "openid" not in request.granted_scope.split():
        raise errors.InvalidScope(errors.OPENID_MISSING)


def notification_token(server: "Server", request: Request) -> None:
    """Check the token that a notification will carry, for clients that want one (7.1)."""
    del server
    if request.client.metadata.get("backchannel_token_delivery_mode") != PING:
        return
    if not _TOKEN.fullmatch(request.parameters.get("client_notification_token", "")):
        raise errors.InvalidRequest(errors.NOTIFICATION_TOKEN)


def binding_message(server: "Server", request: Request) -> None:
    """Check what the user will read here and at the other device (7.1)."""
    del server
    message = request.parameters.get("binding_message")
    if message is not None and not _BINDING_MESSAGE.fullmatch(message):
        raise errors.InvalidBindingMessage(errors.BINDING_MESSAGE)
    # FAPI-CIBA 5.2.2: "ensure unique authorization context exists [...] or require a binding_message".
    if message is None and request.client.fapi2 and not request.asked_details:
        raise errors.InvalidRequest(errors.CONTEXT_MISSING)


def user_code(server: "Server", request: Request) -> None:
    """Refuse a user code (7.1): whoever sends one counts on its being checked."""
    del server
    if "user_code" in request.parameters:
        raise errors.InvalidUserCode(errors.USER_CODE)


def requested_expiry(server: "Server", request: Request) -> None:
    """Check the wish for a time (7.1): a positive number, also in the form of text."""
    del server
    if not _EXPIRY.fullmatch(request.parameters.get("requested_expiry", "1")):
        raise errors.InvalidRequest(errors.PARAMETER)


def lifetime(server: "Server", request: Request) -> int:
    """Return the seconds that the request will wait: as wished for, and no longer than the settings let it."""
    longest = server.settings.tokens.auth_req_id_seconds
    return min(int(request.parameters.get("requested_expiry", longest)), longest)


def user(server: "Server", request: Request) -> User:
    """Return the user whom exactly one hint names (7.1, 7.2)."""
    hints = [name for name in _HINTS if name in request.parameters]
    if len(hints) != 1:
        raise errors.InvalidRequest(errors.ONE_HINT)
    if hints == ["login_hint_token"]:
        # 13: the code for whoever cannot be identified by a login_hint_token; here nobody can.
        raise errors.UnknownUserID(errors.HINT_TOKEN)
    # Counted before anybody is looked for, so that a hundred at once are not a hundred answers.
    client_id, most = request.client.client_id, server.settings.limits.ciba_unknown_users
    count(server, _UNKNOWN, client_id, HOUR, most)
    found = (
        server.store.users.get(hinted_sub(server, request.client, request.parameters["id_token_hint"]))
        if hints == ["id_token_hint"]
        else login.find(server, request.parameters["login_hint"])
    )
    if found is None or found.disabled_at is not None:
        raise errors.UnknownUserID(errors.USER_UNKNOWN)
    server.limits.uncount(_UNKNOWN, client_id, HOUR)
    return found


def count(server: "Server", space: str, key: str, window: int, most: int) -> None:
    """Count a request; raises TooManyRequests."""
    try:
        server.limits.count(space, key, window, most)
    except Exceeded as limit:
        raise errors.TooManyRequests(errors.REQUESTS_TOO_OFTEN, limit.retry_after) from None


def _verified(server: "Server", request: Request, token: str) -> jwt.Parsed:
    """Return a signed request whose signature and times are good (7.1.1, 7.2; FAPI-CIBA 5.2.2)."""
    client = request.client
    pinned = client.metadata.get("backchannel_authentication_request_signing_alg")
    parsed = jar.signed_by(server, client, token, pinned)
    claims = parsed.claims
    client_auth.check_claims(parsed, {server.settings.issuer})
    times = {name: jwt.seconds(claims, name) for name in ("iat", "nbf", "exp")}
    wrong = (
        jwt.text(claims, "iss") != client.client_id
        or claims.get("client_id", client.client_id) != client.client_id
        or claims.get("sub") == client.client_id
        or not {"request", "request_uri"}.isdisjoint(claims)
        or times["iat"] is None
        or not jar.is_timely(now() // SECOND, times["nbf"], times["exp"])
    )
    if wrong:
        msg = "the claims are not accepted"
        raise jwt.InvalidJWT(msg)
    return parsed
