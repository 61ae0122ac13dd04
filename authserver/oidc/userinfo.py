"""UserInfo endpoint (OpenID Connect Core 1.0, 5.3).

https://openid.net/specs/openid-connect-core-1_0.html#UserInfo

GET and POST, the token in the header or in the body of a POST (RFC 6750 2.1, 2.2), never in the URL. It takes every
live access token of ours with the scope openid, whatever its audience. The answer is JSON, or, for a client that has
registered for it (Registration 2), a JWT that is signed, encrypted to the client, or the one and then the other.

Plugs into: ENDPOINTS, METADATA, CLIENT_METADATA.
"""

from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver.keys import SIGNING
from authserver.manage.client_metadata import words
from authserver.oauth import bearer, encryption, errors
from authserver.oauth.request import NO_STORE, Answer, Request, json_answer
from authserver.oidc import claims, claims_locales, claims_request
from authserver.records import Client, LiveToken
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PATH: Final = "/userinfo"
METHODS: Final = ("GET", "POST")
PARAMETERS: Final = frozenset({"access_token"})
CLIENT_METADATA: Final = {  # Registration 2
    "userinfo_signed_response_alg": words(*SIGNING),
    "userinfo_encrypted_response_alg": words(*encryption.ALGORITHMS),
    "userinfo_encrypted_response_enc": words(*encryption.METHODS),
}
# Readers of JWTs take this type by default. It is no ID token, which has ``exp`` and ``auth_time``.
TYP: Final = "JWT"
_JWT: Final = ("Content-Type", "application/jwt")


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the endpoint and its algorithms (OpenID Connect Discovery 1.0, 3)."""
    del server
    return {
        "userinfo_endpoint": settings.issuer + PATH,
        "userinfo_signing_alg_values_supported": list(SIGNING),
        "userinfo_encryption_alg_values_supported": list(encryption.ALGORITHMS),
        "userinfo_encryption_enc_values_supported": list(encryption.METHODS),
    }


def respond(server: "Server", request: Request) -> Answer:
    """Answer the claims that the token's scope allows (5.3.2), or a challenge (RFC 6750 3)."""
    scheme, text = _token(request)
    if text is None:
        # RFC 6750 3.1: a request without any authentication is told the scheme and no error code.
        return json_answer(401, {}, ("WWW-Authenticate", 'Bearer realm="authserver"'))
    try:
        token = bearer.proven(server, request, scheme, text)
        client = _client(server, token)
        told = _claims(server, client, token)
    except errors.Refusal as error:
        return challenge(error, scheme, bearer.algs_of(server, request, scheme))
    return _written(server, client, told, request.answer_headers)


def challenge(error: errors.OAuth2Error, scheme: str = "bearer", algs: str = "") -> Answer:
    """Write an error with its challenge (RFC 6750 3), and the scope that is needed where that is the matter."""
    needed = {"scope": "openid"} if isinstance(error, errors.InsufficientScope) else {}
    return bearer.challenge(error, scheme, algs, **needed)


def _client(server: "Server", token: LiveToken) -> Client:
    client = server.query_client(token.client_id)
    if client is None:
        raise errors.InvalidToken(errors.TOKEN_INVALID)
    return client


def _claims(server: "Server", client: Client, token: LiveToken) -> dict[str, Any]:
    if "openid" not in token.scope.split():
        raise errors.InsufficientScope(errors.OPENID_SCOPE)
    user = server.store.users.get(token.sub)
    if user is None or user.disabled_at is not None:
        raise errors.InvalidToken(errors.TOKEN_INVALID)
    requested = claims_request.told(server, client, user, token.requested_claims, claims_request.USERINFO)
    # 5.3.2: the ``sub`` of the client's ID tokens.
    subject = server.subjects.of(client, token.sub)
    known = claims.of(server, user, token.scope) | requested
    return {"sub": subject, **known, **claims_locales.told(user, known, token.requested_claims)}


def _written(server: "Server", client: Client, told: dict[str, Any], headers: tuple[tuple[str, str], ...]) -> Answer:
    """Write the answer as the client has registered for it; what cannot be encrypted is not told (5.3.2)."""
    signs = client.metadata.get("userinfo_signed_response_alg")
    if signs is None and "userinfo_encrypted_response_alg" not in client.metadata:
        return json_answer(200, told, *headers)
    claims = {**told, "iss": server.settings.issuer, "aud": client.client_id}
    text = orjson.dumps(claims).decode() if signs is None else server.keys.sign(signs, TYP, claims)
    try:
        written = encryption.as_registered(server, client, text, "userinfo", nested=signs is not None)
    except encryption.NoKey:
        raise errors.InvalidRequest(errors.ENCRYPTION_KEY) from None
    return Answer(200, written.encode(), [_JWT, NO_STORE, ("Pragma", "no-cache"), *headers])


def _token(request: Request) -> tuple[str, str | None]:
    """Return scheme and token; raises InvalidRequest when the token came in two ways."""
    header, posted = request.headers.get("Authorization"), request.parameters.get("access_token")
    if header is None:
        return "bearer", posted
    if posted is not None:
        # RFC 6750 2: "Clients MUST NOT use more than one method to transmit the token".
        raise errors.InvalidRequest(errors.TWO_METHODS)
    return bearer.presented(header)
