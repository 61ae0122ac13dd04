"""Who may come in: a client that acts for itself, with a live token for this API and the scope of what it asks.

The token is one of ours like any other (RFC 6750, RFC 9449 7, RFC 8705 3). A person's is refused, whatever its scope:
there is no account here that is an administrator, so a consent would make everybody one. What an administrator has
taken from the client counts within a second, whatever its tokens still say.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from authserver.api import metadata
from authserver.api.errors import ANOTHER_AUDIENCE, CLIENT_UNFIT, NOT_A_CLIENTS, SCOPE_NEEDED, TOKEN_NEEDED
from authserver.oauth import bearer
from authserver.oauth.errors import InsufficientScope, InvalidToken, OAuth2Error, TokenWanted
from authserver.oauth.request import Answer, Request, json_answer
from authserver.records import LiveToken

if TYPE_CHECKING:
    from authserver.oauth.server import Server

_READ: Final = ":read"


class Caller(NamedTuple):
    """The client that asks, and what it may do."""

    client_id: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """Who the audit trail names."""
        return f"api:{self.client_id}"

    def may(self, scope: str) -> bool:
        """Say whether the caller has a scope; one that changes covers the reading."""
        return scope in self.scopes or scope.removesuffix(_READ) in self.scopes


def admit(server: "Server", request: Request, scope: str) -> Caller:
    """Return the caller, who has this scope."""
    scheme, text = bearer.presented(request.headers.get("Authorization", ""))
    if text is None:
        raise TokenWanted(TOKEN_NEEDED)
    caller = _caller(server, bearer.proven(server, request, scheme, text))
    if not caller.may(scope):
        raise InsufficientScope(SCOPE_NEEDED)
    return caller


def challenge(server: "Server", request: Request, error: OAuth2Error, scope: str) -> Answer:
    """Answer 401 or 403 with what the client needs (RFC 6750 3, RFC 9728 5.1)."""
    wanted = {"scope": scope, "resource_metadata": metadata.url(server.settings)}
    if isinstance(error, TokenWanted):
        # RFC 6750 3.1: a request without any authentication is told no error code.
        told = "".join(f', {name}="{value}"' for name, value in wanted.items())
        return json_answer(401, {}, ("WWW-Authenticate", f'Bearer realm="authserver"{told}'))
    scheme, _ = bearer.presented(request.headers.get("Authorization", ""))
    return bearer.challenge(error, scheme, bearer.algs_of(server, request, scheme), **wanted)


def _caller(server: "Server", token: LiveToken) -> Caller:
    if token.audience != server.settings.management_resource:
        raise InvalidToken(ANOTHER_AUDIENCE)
    if token.grant_id is not None or token.sub != token.client_id:
        raise InsufficientScope(NOT_A_CLIENTS)
    client = server.query_client(token.client_id)
    if client is None or client.origin != "administrator" or token.audience not in (client.resources or ()):
        raise InvalidToken(CLIENT_UNFIT)
    return Caller(client.client_id, client.scopes.intersection(token.scope.split()) & metadata.SCOPES.keys())
