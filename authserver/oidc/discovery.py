"""OpenID Connect Discovery 1.0: the same document as RFC 8414, at its own address.

https://openid.net/specs/openid-connect-discovery-1_0.html

Plugs into: ENDPOINTS, METADATA.
"""

from typing import TYPE_CHECKING, Any, Final

from authserver.language import LANGUAGES
from authserver.oauth import metadata as rfc8414
from authserver.oauth.request import Answer, Request
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PATH: Final = "/.well-known/openid-configuration"
METHODS: Final = ("GET", "HEAD")


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce what only OpenID asks for (3)."""
    del server
    # Pages fit into a small window, and fingers find their buttons; still one page is all that there is of each.
    return {
        "display_values_supported": ["page"],
        "ui_locales_supported": [LANGUAGES[name].tag for name in settings.languages],
    }


def respond(server: "Server", request: Request) -> Answer:
    """Answer the document (4.2)."""
    return rfc8414.respond(server, request)
