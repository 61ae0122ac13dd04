"""Token introspection (RFC 7662).

https://www.rfc-editor.org/rfc/rfc7662

A resource server asks whether a token is good and what it says. The claims were computed at issue; whether it lives is
asked anew each time, in one statement. Who may not see a token learns nothing: ``{"active": false}`` (2.2, 4).

Plugs into: ENDPOINTS, METADATA; runs INTROSPECTION_RESPOND.
"""

from typing import TYPE_CHECKING, Any, Final

from authserver.clock import SECOND, now
from authserver.crypto import Kind, digest_of
from authserver.oauth import access_token, client_auth, errors
from authserver.oauth.request import JSON, NO_STORE, Answer, Request, json_answer
from authserver.records import Client, RefreshState
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PATH: Final = "/introspect"
METHODS: Final = ("POST",)
_INACTIVE: Final = b'{"active":false}'
_HEADERS: Final = [JSON, NO_STORE, ("Pragma", "no-cache")]


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the endpoint (RFC 8414 2)."""
    del server
    return {"introspection_endpoint": settings.issuer + PATH}


def respond(server: "Server", request: Request) -> Answer:
    """Answer an introspection request (2)."""
    client_auth.authenticate(server, request, "introspection")
    token = request.parameters.get("token")
    if token is None:
        raise errors.InvalidRequest(errors.TOKEN_MISSING)
    look_up = _refresh_token if token.startswith(Kind.REFRESH.prefix) else _access_token
    answer = look_up(server, request.client, token)
    for step in server.registry.INTROSPECTION_RESPOND:
        answer = step(server, request, answer)
    return answer


def may_see(server: "Server", client: Client, owner: str, audience: str) -> bool:
    """Say whether the token is this caller's business: its own, or meant for a resource that it serves (4)."""
    return client.introspects_all or is_meant_for(server, client, owner, audience)


def is_meant_for(server: "Server", client: Client, owner: str, audience: str) -> bool:
    """Say whether the token was given to this client, or is meant for a resource that it serves."""
    if client.client_id == owner or audience in client.resource_server_for:
        return True
    return bool(client.resource_server_for) and audience == server.settings.audience


def _access_token(server: "Server", client: Client, token: str) -> Answer:
    live = access_token.find(server, token)
    if live is None or not may_see(server, client, live.client_id, live.audience):
        return Answer(200, _INACTIVE, _HEADERS)
    # The stored claims are a JSON object already: no decoding, no encoding.
    return Answer(200, b'{"active":true,' + live.claims[1:].encode(), _HEADERS)


def _refresh_token(server: "Server", client: Client, token: str) -> Answer:
    digest = digest_of(Kind.REFRESH, token)
    state = server.store.tokens.find_refresh(digest) if digest else None
    # RFC 9700 2.2: a refresh token is between its client and this server; nobody else may learn of it.
    if state is None or state.grant.client_id != client.client_id:
        return Answer(200, _INACTIVE, _HEADERS)
    if not state.alive or state.rotated_at is not None or state.expires_at <= now():
        return Answer(200, _INACTIVE, _HEADERS)
    return json_answer(200, _refresh_claims(server, state))


def _refresh_claims(server: "Server", state: RefreshState) -> dict[str, Any]:
    return {
        "active": True,
        "iss": server.settings.issuer,
        "sub": state.grant.sub,
        "client_id": state.grant.client_id,
        "scope": state.grant.scope,
        "iat": state.issued_at // SECOND,
        "exp": state.expires_at // SECOND,
    }
