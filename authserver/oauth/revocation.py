"""Token revocation (RFC 7009).

https://www.rfc-editor.org/rfc/rfc7009

A refresh token ends its grant, and with it everything issued from it (2.1); an access token ends alone. Unknown tokens
are answered like revoked ones (2.2). The hint is only a hint: handles say themselves what they are.

Plugs into: ENDPOINTS, METADATA.
"""

from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver.clock import now
from authserver.crypto import Kind, digest_of
from authserver.oauth import access_token, client_auth, errors
from authserver.oauth.request import Answer, Request, json_answer
from authserver.records import Event
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PATH: Final = "/revoke"
METHODS: Final = ("POST",)


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the endpoint (RFC 8414 2)."""
    del server
    return {"revocation_endpoint": settings.issuer + PATH}


def respond(server: "Server", request: Request) -> Answer:
    """Answer a revocation request (2)."""
    client_auth.authenticate(server, request, "revocation")
    token = request.parameters.get("token")
    if token is None:
        raise errors.InvalidRequest(errors.TOKEN_MISSING)
    if token.startswith(Kind.REFRESH.prefix):
        _revoke_refresh(server, request, token)
    elif token.startswith(Kind.ACCESS.prefix):
        _revoke_opaque(server, request, token)
    else:
        _revoke_jwt(server, request, token)
    return json_answer(200, {})


def _revoke_refresh(server: "Server", request: Request, token: str) -> None:
    digest = digest_of(Kind.REFRESH, token)
    state = server.store.tokens.find_refresh(digest) if digest else None
    if state is None:
        return
    _check_owner(request, state.grant.client_id)
    event = Event("grant.revoked", request.client.client_id, request.client.client_id, state.grant.sub)
    server.store.grants.revoke(state.grant.grant_id, "revoked by the client", event)


def _revoke_opaque(server: "Server", request: Request, token: str) -> None:
    digest = digest_of(Kind.ACCESS, token)
    if digest is None or server.store.tokens.revoke(digest, request.client.client_id):
        return
    live = server.store.tokens.find(digest)
    if live is not None:
        _check_owner(request, live.client_id)


def _revoke_jwt(server: "Server", request: Request, token: str) -> None:
    live = access_token.read(server, token)
    if live is None or live.expires_at <= now():
        return
    _check_owner(request, live.client_id)
    server.store.tokens.revoke_jti(orjson.loads(live.claims)["jti"], live.expires_at)


def _check_owner(request: Request, client_id: str) -> None:
    # 2.1: "verifies whether the token was issued to the client making the revocation request".
    if client_id != request.client.client_id:
        raise errors.InvalidGrant(errors.TOKEN_FOREIGN)
