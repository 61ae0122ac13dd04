"""The one function that makes access and refresh tokens (RFC 6749 5.1), for all grants.

It sees the whole request, so that what the steps have proven (resource, binding, session) is in every token of every
grant; Authlib's own generator sees only client, user and scope.
"""

from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver.clock import SECOND, now
from authserver.crypto import Kind, new_handle, new_id
from authserver.oauth import access_token, errors
from authserver.oauth.request import Request
from authserver.records import Grant, RefreshTokenRow

if TYPE_CHECKING:
    from authserver.oauth.server import Server

UNBOUND_UNTIL: Final = "unbound_until"
"""Beside the keys in a grant's ``cnf``: the generation of its last refresh token that needed none (``dpop``)."""


def prepare(server: "Server", request: Request, *, subject: str, longest: int | None = None) -> dict[str, Any]:
    """Compute the claims, write the access token and start the response; nothing is stored yet.

    The token lives as long as its resource or the settings say, and no longer than ``longest`` seconds or its grant.
    """
    require_binding(request)
    request.issued_at = now()
    seconds = request.target.access_token_seconds if request.target else None
    lifetime = seconds or server.settings.tokens.access_token_seconds
    if longest is not None:
        lifetime = min(lifetime, longest)
    if request.grant is not None:
        # Whoever checks the token without asking here learns of the grant's end from its own.
        lifetime = max(1, min(lifetime, request.grant.expires_at // SECOND - request.issued_at // SECOND))
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


def for_the_user(server: "Server", request: Request) -> dict[str, Any]:
    """Make what a user's grant gives: access token, refresh token for clients registered for it, what the steps add."""
    prepare(server, request, subject=request.user)
    if request.client.check_grant_type("refresh_token"):
        add_refresh_token(server, request)
    return respond(server, request)


def unattended_grant(client_id: str, sub: str, scope: str, resources: str, created_at: int, expires_at: int) -> Grant:
    """Make a grant behind which no sign-in stands: without session, redirect URI and offline access.

    It ends at ``expires_at`` at the latest, and with its token (``open_grant``).
    """
    return Grant(
        grant_id=new_id(),
        client_id=client_id,
        sub=sub,
        sid=None,
        scope=scope,
        resources=resources,
        redirect_uri="",
        nonce=None,
        code_challenge=None,
        claims=None,
        authorization_details=None,
        cnf=None,
        auth_time=0,
        acr="",
        amr="",
        offline=0,
        created_at=created_at,
        expires_at=expires_at,
    )


def open_grant(server: "Server", request: Request) -> bool:
    """Store the grant of an answer that has no older one, for the life of its token; say whether it is in force.

    Whoever was switched off after the look-up and before this had no grant yet that could be revoked.
    """
    grant = request.grant
    if grant is None:
        return False
    server.store.grants.open(grant._replace(expires_at=request.claims["exp"] * SECOND))
    return server.store.grants.get(grant.grant_id) is not None


def respond(server: "Server", request: Request) -> dict[str, Any]:
    """Let the steps finish the response (ID token and the like)."""
    for step in server.registry.TOKEN_RESPOND:
        step(server, request)
    return request.response


def require_binding(request: Request) -> None:
    """Never write a bearer token for a client that is registered for bound ones (RFC 9449 5.2, RFC 8705 3.4).

    Nor a token without the key that a code or a public client's grant is bound to (RFC 9449 5, 10, RFC 8705 4). The
    extension refuses earlier and with its own words; this holds where it is switched off or a grant forgot it.
    """
    grant = request.grant
    # RFC 9449 5: the refresh tokens of a client with credentials are bound to those, whatever its code was bound to.
    if grant is not None and grant.cnf is not None and (request.client.public or request.refresh_token is None):
        bound: dict[str, Any] = orjson.loads(grant.cnf)
        bound.pop(UNBOUND_UNTIL, None)
        if not bound.items() <= request.confirmation.items():
            raise errors.InvalidGrant(errors.KEY_DIFFERS)
    registered = request.client.metadata
    if (registered.get("dpop_bound_access_tokens") and request.jkt is None) or (
        registered.get("tls_client_certificate_bound_access_tokens") and request.x5t is None
    ):
        raise errors.InvalidRequest(errors.BINDING_MISSING)
