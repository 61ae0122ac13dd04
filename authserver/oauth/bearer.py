"""Access tokens that come with a request (RFC 6750), as the endpoints here that take one read and refuse them.

https://www.rfc-editor.org/rfc/rfc6750

The token in the header, of the scheme Bearer or DPoP; live, by a look into the store at each request; and bound to
nothing that the sender does not hold (RFC 9449 7, RFC 8705 3). What a resource server elsewhere does with
``resourceserver``, this server does at userinfo and at its management API.

Plugs into: ``userinfo``, the management API; runs USERINFO_CHECK.
"""

from typing import TYPE_CHECKING, Final

import orjson

from authserver.oauth import access_token, dpop, errors
from authserver.oauth.request import Answer, Request, json_answer
from authserver.records import LiveToken

if TYPE_CHECKING:
    from authserver.oauth.server import Server

_SCHEMES: Final = frozenset({"bearer", "dpop"})


def presented(header: str) -> tuple[str, str | None]:
    """Return the scheme, in lower case, and the token of an Authorization header (2.1); None for another scheme's."""
    scheme, _, token = header.partition(" ")
    kind = scheme.lower()
    return kind, token.strip() if kind in _SCHEMES else None


def proven(server: "Server", request: Request, scheme: str, text: str) -> LiveToken:
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


def challenge(error: errors.OAuth2Error, scheme: str = "bearer", algs: str = "", **more: str) -> Answer:
    """Write an error with its challenge (3): ``algs`` are those of DPoP proofs (RFC 9449 7.1), ``more`` parameters."""
    description = error.get_error_description()
    text = f'realm="authserver", error="{error.error}", error_description="{description}"'
    text += "".join(f', {name}="{value}"' for name, value in more.items())
    if algs:
        text = f'DPoP {text}, algs="{algs}"' if scheme == "dpop" else f'Bearer {text}, DPoP algs="{algs}"'
    else:
        text = f"Bearer {text}"
    body = {"error": error.error, "error_description": description}
    headers = error.headers if isinstance(error, errors.Refusal) else ()
    return json_answer(error.status_code or 401, body, ("WWW-Authenticate", text), *headers)


def algs_of(server: "Server", request: Request, scheme: str) -> str:
    """Return the algorithms of proofs where the request used DPoP, or should have (RFC 9449 7.1)."""
    concerned = scheme == "dpop" or "jkt" in request.claims.get("cnf", ())
    return dpop.ALGS if concerned and server.settings.features.dpop else ""
