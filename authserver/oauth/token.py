"""Token endpoint (RFC 6749 3.2).

https://www.rfc-editor.org/rfc/rfc6749#section-3.2

Plugs into: ENDPOINTS, METADATA.
"""

from typing import TYPE_CHECKING, Any, Final

from authserver.manage.client_rules import grants_of
from authserver.oauth import client_auth, errors
from authserver.oauth.request import Answer, Request, json_answer
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PATH: Final = "/token"
METHODS: Final = ("POST",)
PARAMETERS: Final = frozenset({"grant_type"})


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce endpoint and grant types (RFC 8414 2)."""
    redeemed = {grant.GRANT_TYPE for grant in server.registry.GRANTS}
    return {
        "token_endpoint": settings.issuer + PATH,
        "grant_types_supported": sorted(redeemed | grants_of(server.response_types)),
    }


def respond(server: "Server", request: Request) -> Answer:
    """Authenticate the client first, once, for every grant; then let the grant answer (5.1)."""
    client_auth.authenticate(server, request)
    if "grant_type" not in request.parameters:
        raise errors.InvalidRequest(errors.GRANT_TYPE_MISSING)
    grant = server.get_token_grant(request)
    for step in server.registry.TOKEN_PREPARE:
        step(server, request)
    grant.validate_token_request()
    _status, body, _headers = grant.create_token_response()
    return json_answer(200, body, *request.answer_headers)
