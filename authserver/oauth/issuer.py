"""OAuth 2.0 Authorization Server Issuer Identification (RFC 9207).

https://www.rfc-editor.org/rfc/rfc9207

The authorization response names its issuer, so that a client which talks to several servers cannot be led to send the
code of one to another (mix-up). Errors carry it, too (2): a client to which it was announced refuses a response
without.

Plugs into: AUTHORIZE_RESPOND, METADATA.
"""

from typing import TYPE_CHECKING, Any

from authserver.oauth.request import AuthorizationRequest
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the parameter (3)."""
    del server, settings
    return {"authorization_response_iss_parameter_supported": True}


def add(server: "Server", request: AuthorizationRequest, parameters: dict[str, str]) -> None:
    """Add ``iss`` to the response, success or error (2)."""
    del request
    parameters["iss"] = server.settings.issuer
