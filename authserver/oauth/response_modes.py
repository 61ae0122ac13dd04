"""Response modes: query, fragment (OAuth 2.0 Multiple Response Types 2.1) and form_post (OAuth 2.0 Form Post).

https://openid.net/specs/oauth-v2-form-post-response-mode-1_0.html

Successes and errors go out by the same functions. A client may be registered for some modes only, with the metadata
member of FAPI 2.0 Message Signing.

Plugs into: AUTHORIZE_CHECK (early: later errors already use the mode), RESPONSE_MODES, METADATA, CLIENT_METADATA.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from authserver.manage.client_metadata import some
from authserver.oauth.errors import RESPONSE_MODE, InvalidRequest
from authserver.oauth.request import NO_STORE, Answer, FormPost, Request
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PARAMETERS: Final = frozenset({"response_mode"})
PLAIN: Final = frozenset({"query", "fragment", "form_post"})
CLIENT_METADATA: Final = {"response_modes": some(PLAIN | {"jwt"} | {f"{mode}.jwt" for mode in PLAIN})}


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Response modes, for discovery."""
    del settings
    return {"response_modes_supported": sorted(server.response_modes)}


def check(server: "Server", request: Request) -> None:
    """Take the response mode that was asked for, if the client may use it; ``query`` is the default for a code."""
    mode = request.parameters.get("response_mode", "query")
    registered = request.client.metadata.get("response_modes")
    if mode in server.response_modes and (registered is None or mode in registered):
        request.response_mode = mode
        return
    # FAPI 2.0 Message Signing 5.4.1 requires the signed response, of errors, too: this one goes out in a mode that the
    # client is registered for.
    request.response_mode = next((known for known in registered or () if known in server.response_modes), "query")
    raise InvalidRequest(RESPONSE_MODE)


def query(redirect_uri: str, parameters: Mapping[str, str]) -> Answer:
    """Answer in the query of the redirect URI, whose own query is kept (RFC 6749 3.1.2)."""
    return _see_other(redirect_uri + ("&" if "?" in redirect_uri else "?") + _encode(parameters))


def fragment(redirect_uri: str, parameters: Mapping[str, str]) -> Answer:
    """Answer in the fragment of the redirect URI."""
    return _see_other(f"{redirect_uri}#{_encode(parameters)}")


def form_post(redirect_uri: str, parameters: Mapping[str, str]) -> FormPost:
    """Answer by a form that the browser posts (Form Post Response Mode 2)."""
    return FormPost(redirect_uri, tuple(parameters.items()))


def _encode(parameters: Mapping[str, str]) -> str:
    return urlencode(parameters, quote_via=quote, safe="")


def _see_other(location: str) -> Answer:
    # RFC 9700 4.12: 303, so that no browser posts a password on to the client.
    return Answer(303, b"", [("Location", location), NO_STORE])
