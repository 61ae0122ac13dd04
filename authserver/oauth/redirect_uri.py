"""Redirection endpoint (RFC 6749 3.1.2) with exact matching (RFC 9700 2.1) and loopback ports (RFC 8252 7.3).

The client and its redirect URI are proven before anything else is said: until then no answer is a redirect.

Plugs into: AUTHORIZE_CHECK, first.
"""

from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ASK_DEVELOPER, BAD_REDIRECT_URI, UNKNOWN_CLIENT, NotRedirectable
from authserver.oauth.parameters import is_vschar
from authserver.oauth.request import Request
from authserver.records import Client

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PARAMETERS: Final = frozenset({"redirect_uri"})


def check(server: "Server", request: Request) -> None:
    """Prove client and redirect URI; raises NotRedirectable."""
    client = find_client(server, request)
    redirect_uri = request.parameters.get("redirect_uri")
    if redirect_uri is None or not client.check_redirect_uri(redirect_uri):
        raise NotRedirectable("invalid_redirect_uri", BAD_REDIRECT_URI, ASK_DEVELOPER)
    request.client = client
    request.redirect_uri = redirect_uri


def find_client(server: "Server", request: Request) -> Client:
    """Return the client that the request names; raises NotRedirectable."""
    client_id = request.parameters.get("client_id", "")
    client = server.query_client(client_id) if client_id and is_vschar(client_id) else None
    if client is None or client.disabled_at is not None:
        raise NotRedirectable("invalid_client", UNKNOWN_CLIENT, ASK_DEVELOPER)
    return client
