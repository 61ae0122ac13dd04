"""JWT-Secured Authorization Request (RFC 9101): parameters in a token that the client has signed.

https://www.rfc-editor.org/rfc/rfc9101

An authorization request travels through a browser, where anybody who sits there may read and change it. Here the client
signs its parameters, and may encrypt them to this server; it sends the token itself (``request``) or the place where it
lies (``request_uri``). Of what stands beside the token nothing counts but the ``client_id``, which has to be the same:
the merging of OpenID Connect Core 6.1 would let the browser add to what was signed. How old a token may be is bounded
for the profiles of FAPI 2.0 (Message Signing 5.3.1); it may be used again, so that a page can be loaded again.

Plugs into: AUTHORIZE_RESOLVE (after ``par``, before the redirect URI is proven), AUTHORIZE_CHECK, METADATA,
CLIENT_METADATA.
"""

import json
import logging
import re
from typing import TYPE_CHECKING, Any, Final

from authserver import jwt
from authserver.clock import SECOND, now
from authserver.manage import uris
from authserver.manage.client_metadata import flag, urls, words
from authserver.manage.profiles import PROFILES
from authserver.oauth import encryption, errors, redirect_uri
from authserver.oauth.parameters import MAX_FIELDS, MAY_REPEAT
from authserver.oauth.request import Parameters, Request
from authserver.outbound import OutboundError
from authserver.records import Client
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

logger = logging.getLogger(__name__)

FEATURE: Final = "jar"
_TYPES: Final = frozenset({None, "jwt", "oauth-authz-req+jwt"})  # 4, 10.8
_SENT: Final = frozenset({"request", "request_uri"})
_OF_THE_TOKEN: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})  # 9.1: never parameters
_SKEW: Final = 60  # seconds of clock difference that other parties may have
_HOUR: Final = 3600  # FAPI 2.0 Message Signing 5.3.1
_HASH: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def location(value: object) -> str | None:
    """Check a place of request objects; its fragment names a version of what lies there (OpenID Connect Core 6.2)."""
    place, mark, digest = value.partition("#") if isinstance(value, str) else (value, "", "")
    problem = uris.page(place)
    if problem is None and mark and not _HASH.fullmatch(digest):
        return "must have a SHA-256 hash in base64url as its fragment, or none"
    return problem


CLIENT_METADATA: Final = {
    "request_uris": urls(location),
    "request_object_signing_alg": words(*sorted(jwt.ASYMMETRIC)),
    "request_object_encryption_alg": words(*encryption.ALGORITHMS),
    "request_object_encryption_enc": words(*encryption.METHODS),
    "require_signed_request_object": flag,
}


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the parameters and their algorithms (4, 10.5; OpenID Connect Discovery 1.0, 3)."""
    del server
    return {
        "request_parameter_supported": True,
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": True,
        "require_signed_request_object": settings.require_signed_request_object,
        "request_object_signing_alg_values_supported": sorted(jwt.ASYMMETRIC),
        "request_object_encryption_alg_values_supported": list(encryption.ALGORITHMS),
        "request_object_encryption_enc_values_supported": list(encryption.METHODS),
    }


def unpack(server: "Server", request: Request) -> None:
    """Replace the parameters by those of the request object (5, 6.3); raises NotRedirectable.

    What cannot be read names no redirect URI to which an error could go.
    """
    sent = request.parameters
    if _SENT.isdisjoint(sent):
        return
    # 5: "If this parameter is present in the authorization request, request_uri MUST NOT be present."
    if sent.keys() >= _SENT or not _SENT.isdisjoint(request.payload.repeated):
        raise errors.NotRedirectable("invalid_request", errors.TWO_REQUESTS, errors.ASK_DEVELOPER)
    client = redirect_uri.find_client(server, request)
    try:
        token = sent["request"] if "request" in sent else _fetch(server, client, sent["request_uri"])
        claims = _verify(server, client, token)
        _check(server, client, claims)
        parameters = parameters_of(claims)
    except OutboundError as error:
        _note(client, error)
        raise errors.NotRedirectable("invalid_request_uri", errors.REQUEST_URI_INVALID, errors.ASK_DEVELOPER) from None
    except jwt.InvalidJWT as error:
        _note(client, error)
        raise errors.NotRedirectable(
            "invalid_request_object", errors.REQUEST_OBJECT_INVALID, errors.ASK_DEVELOPER
        ) from None
    request.take(parameters)
    request.signed = True


def require(server: "Server", request: Request) -> None:
    """Refuse a request that was not signed where that is required, by the server or for the client (10.5)."""
    required = server.settings.require_signed_request_object
    if not request.signed and (required or request.client.metadata.get("require_signed_request_object")):
        raise errors.InvalidRequest(errors.SIGN_FIRST)


def _fetch(server: "Server", client: Client, uri: str) -> str:
    """Fetch a request object from a place that the client has registered (5.2.3, 10.4), each time anew."""
    place = uri.partition("#")[0]
    registered = [known.partition("#")[0] for known in client.metadata.get("request_uris", ())]
    if place not in registered:
        raise OutboundError("the place is not registered")
    places = server.outbound.request_objects
    if not places.acquire(blocking=False):
        raise OutboundError("too many request objects are being fetched")
    try:
        return server.outbound.fetch(place, jwt.MAX_SIZE).decode("ascii", "replace")
    finally:
        places.release()


def _verify(server: "Server", client: Client, token: str) -> dict[str, Any]:
    """Return the claims of a request object that this client has signed (6.1, 6.2)."""
    # Nothing is decrypted for a client whose signature could not be checked after it.
    if token.count(".") == 4 and (client.jwks is not None or client.jwks_uri is not None):
        wanted = client.metadata.get("request_object_encryption_alg")
        token = encryption.decrypt(server, token, (wanted,) if wanted else encryption.ALGORITHMS)
    return signed_by(server, client, token, client.metadata.get("request_object_signing_alg")).claims


def signed_by(server: "Server", client: Client, token: str, pinned: str | None) -> jwt.Parsed:
    """Return a request object that this client has signed, by the algorithm that it is registered for, if any (6.2)."""
    if client.jwks is None and client.jwks_uri is None:
        msg = "the client has no key set"
        raise jwt.InvalidJWT(msg)
    parsed = jwt.parse(token)
    if jwt.media_type(parsed) not in _TYPES:
        msg = "the type is not a request object's"
        raise jwt.InvalidJWT(msg)
    # 6.2, RFC 8725 3.1: the profile of the client, or the client itself, says which algorithms count.
    algorithms = PROFILES[client.profile].algorithms
    jwt.verify(parsed, server.client_key(client, parsed), algorithms & {pinned} if pinned else algorithms)
    return parsed


def _check(server: "Server", client: Client, claims: dict[str, Any]) -> None:
    """Check what the token says of itself (4, 6.3, 10.7, 10.8)."""
    moment, strict = now() // SECOND, client.profile.startswith("fapi2")
    expires_at, not_before, issued_at = (jwt.seconds(claims, name) for name in ("exp", "nbf", "iat"))
    wrong = (
        claims.get("client_id") != client.client_id
        or not _SENT.isdisjoint(claims)
        # 10.8: what names the client as its subject was made to authenticate it (RFC 7523 3).
        or claims.get("sub") == client.client_id
        or (("iss" in claims or strict) and claims.get("iss") != client.client_id)
        or (("aud" in claims or strict) and server.settings.issuer not in jwt.audiences(claims))
        or (expires_at is not None and expires_at <= moment - _SKEW)
        or (not_before is not None and not_before > moment + _SKEW)
        or (issued_at is not None and issued_at > moment + _SKEW)
    )
    if wrong:
        msg = "the claims are not accepted"
        raise jwt.InvalidJWT(msg)
    if strict and not is_timely(moment, not_before, expires_at):
        msg = "the time is not bounded as FAPI 2.0 wants it"
        raise jwt.InvalidJWT(msg)


def is_timely(moment: int, not_before: int | None, expires_at: int | None) -> bool:
    """Say whether both times are there and within an hour (FAPI 2.0 Message Signing 5.3.1)."""
    if not_before is None or expires_at is None:
        return False
    return not_before >= moment - _HOUR and expires_at - not_before <= _HOUR


def parameters_of(claims: dict[str, Any]) -> Parameters:
    """Return the claims as the parameters that they stand for (4): numbers and objects are written as text."""
    if len(claims) > MAX_FIELDS:
        msg = "too many claims"
        raise jwt.InvalidJWT(msg)
    data, lists = {}, {}
    for name in claims.keys() - _OF_THE_TOKEN:
        values = _texts(claims[name]) if name in MAY_REPEAT else [_text(claims[name])]
        given = tuple(value for value in values if value)
        if given:
            data[name] = given[-1]
            if name in MAY_REPEAT:
                lists[name] = given
    parameters = Parameters(data)
    parameters.lists = lists
    return parameters


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in values):
        msg = "a claim is not a string or a list of strings"
        raise jwt.InvalidJWT(msg)
    return values


def _text(value: Any) -> str:
    # As in a query, a parameter without a value counts as omitted (RFC 6749 3.1).
    if isinstance(value, str) or value is None:
        return value or ""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        msg = "a claim is a number without an end"
        raise jwt.InvalidJWT(msg) from None


def _note(client: Client, error: Exception) -> None:
    logger.warning("signed request refused", extra={"client_id": client.client_id, "reason": str(error)})
