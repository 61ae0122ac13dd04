"""The one function that makes access and refresh tokens (RFC 6749 5.1), for all grants.

It sees the whole request, so that what the steps have proven (resource, binding, session) is in every token of every
grant; Authlib's own generator sees only client, user and scope.
"""

from typing import TYPE_CHECKING, Any

from authserver.clock import SECOND, now
from authserver.crypto import Kind, new_handle
from authserver.oauth import access_token, errors
from authserver.oauth.request import Request
from authserver.records import RefreshTokenRow

if TYPE_CHECKING:
    from authserver.oauth.server import Server


def prepare(server: "Server", request: Request, *, subject: str) -> dict[str, Any]:
    """Compute the claims, write the access token and start the response; nothing is stored yet."""
    _require_binding(request)
    request.issued_at = now()
    seconds = request.target.access_token_seconds if request.target else None
    lifetime = seconds or server.settings.tokens.access_token_seconds
    request.claims = access_token.base_claims(server, request, subject, lifetime)
    for step in server.registry.TOKEN_CLAIMS:
        step(server, request)
    request.response = {
        "access_token": access_token.write(server, request),
        "token_type": request.token_type,
        "expires_in": lifetime,
        "scope": request.token_scope,
    }
    return request.response


def add_refresh_token(server: "Server", request: Request) -> None:
    """Begin a refresh chain: its first token, bounded by the grant's absolute end."""
    grant = request.grant
    if grant is None:
        return
    text, digest = new_handle(Kind.REFRESH)
    sliding = request.issued_at + server.settings.tokens.refresh_token_seconds * SECOND
    request.refresh_row = RefreshTokenRow(digest, grant.grant_id, 1, request.issued_at, min(sliding, grant.expires_at))
    request.response["refresh_token"] = text


def respond(server: "Server", request: Request) -> dict[str, Any]:
    """Let the steps finish the response (ID token and the like)."""
    for step in server.registry.TOKEN_RESPOND:
        step(server, request)
    return request.response


def _require_binding(request: Request) -> None:
    """Never write a bearer token for a client that is registered for bound ones (RFC 9449 5.2, RFC 8705 3.4).

    The extension refuses earlier and with its own words; this holds where it is switched off or a grant forgot it.
    """
    registered = request.client.metadata
    if (registered.get("dpop_bound_access_tokens") and request.jkt is None) or (
        registered.get("tls_client_certificate_bound_access_tokens") and request.x5t is None
    ):
        raise errors.InvalidRequest(errors.BINDING_MISSING)
