"""UserInfo endpoint (OpenID Connect Core 1.0, 5.3).

https://openid.net/specs/openid-connect-core-1_0.html#UserInfo

GET and POST, the token in the header or in the body of a POST (RFC 6750 2.1, 2.2), never in the URL. It takes every
live access token of ours with the scope openid, whatever its audience.

Plugs into: ENDPOINTS, METADATA; runs USERINFO_CHECK.
"""

from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver.oauth import access_token, dpop, errors
from authserver.oauth.request import Answer, Request, json_answer
from authserver.oidc import claims
from authserver.records import LiveToken
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PATH: Final = "/userinfo"
METHODS: Final = ("GET", "POST")
PARAMETERS: Final = frozenset({"access_token"})
_SCHEMES: Final = frozenset({"bearer", "dpop"})


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the endpoint (OpenID Connect Discovery 1.0, 3)."""
    del server
    return {"userinfo_endpoint": settings.issuer + PATH}


def respond(server: "Server", request: Request) -> Answer:
    """Answer the claims that the token's scope allows (5.3.2), or a challenge (RFC 6750 3)."""
    scheme, text = _token(request)
    if text is None:
        # RFC 6750 3.1: a request without any authentication is told the scheme and no error code.
        return json_answer(401, {}, ("WWW-Authenticate", 'Bearer realm="authserver"'))
    try:
        told = _claims(server, _proven_token(server, request, scheme, text))
    except errors.Refusal as error:
        return challenge(error, scheme, _algs(server, request, scheme))
    return json_answer(200, told, *request.answer_headers)


def challenge(error: errors.OAuth2Error, scheme: str = "bearer", algs: str = "") -> Answer:
    """Write an error with its challenge (RFC 6750 3); ``algs`` are those of DPoP proofs (RFC 9449 7.1, 7.2)."""
    description = error.get_error_description()
    text = f'realm="authserver", error="{error.error}", error_description="{description}"'
    if isinstance(error, errors.InsufficientScope):
        text += ', scope="openid"'
    if algs:
        text = f'DPoP {text}, algs="{algs}"' if scheme == "dpop" else f'Bearer {text}, DPoP algs="{algs}"'
    else:
        text = f"Bearer {text}"
    body = {"error": error.error, "error_description": description}
    headers = error.headers if isinstance(error, errors.Refusal) else ()
    return json_answer(error.status_code or 401, body, ("WWW-Authenticate", text), *headers)


def _proven_token(server: "Server", request: Request, scheme: str, text: str) -> LiveToken:
    """Return the live token, of which the sender holds what it is bound to (RFC 9449 7.2, RFC 8705 3)."""
    token = access_token.find(server, text)
    if token is None:
        raise errors.InvalidToken(errors.TOKEN_INVALID)
    request.claims = orjson.loads(token.claims)
    for step in server.registry.USERINFO_CHECK:
        step(server, request, text)
    bound = request.claims.get("cnf", {})
    # RFC 9449 7.2: a bound token does not pass as a bearer token, nor a bearer token as a bound one.
    if not bound.items() <= request.confirmation.items() or (scheme == "dpop") != ("jkt" in bound):
        raise errors.InvalidToken(errors.TOKEN_UNPROVEN)
    return token


def _claims(server: "Server", token: LiveToken) -> dict[str, Any]:
    if "openid" not in token.scope.split():
        raise errors.InsufficientScope(errors.OPENID_SCOPE)
    user = server.store.users.get(token.sub)
    if user is None or user.disabled_at is not None:
        raise errors.InvalidToken(errors.TOKEN_INVALID)
    return {"sub": user.sub, **claims.of(user, token.scope)}


def _algs(server: "Server", request: Request, scheme: str) -> str:
    """Return the algorithms of proofs where the request used DPoP, or should have (RFC 9449 7.1)."""
    concerned = scheme == "dpop" or "jkt" in request.claims.get("cnf", ())
    return dpop.ALGS if concerned and server.settings.features.dpop else ""


def _token(request: Request) -> tuple[str, str | None]:
    """Return scheme and token; raises InvalidRequest when the token came in two ways."""
    header, posted = request.headers.get("Authorization"), request.parameters.get("access_token")
    if header is None:
        return "bearer", posted
    if posted is not None:
        # RFC 6750 2: "Clients MUST NOT use more than one method to transmit the token".
        raise errors.InvalidRequest(errors.TWO_METHODS)
    scheme, _, token = header.partition(" ")
    kind = scheme.lower()
    return kind, token.strip() if kind in _SCHEMES else None
