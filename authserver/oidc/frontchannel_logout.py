"""Front-Channel Logout (OpenID Connect Front-Channel Logout 1.0).

https://openid.net/specs/openid-connect-frontchannel-1_0.html

The page after a logout in a browser loads an address of every client that was used there, in a frame, so that the
client can forget what that browser holds. Browsers that keep the cookies of framed sites apart make little of it, and a
session that an administrator ends has no page: the back channel reaches clients that this does not.

Plugs into: LOGOUT_FRAMES, METADATA, CLIENT_METADATA; ``web/logout.py`` is the page.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from authserver.manage import uris
from authserver.manage.client_metadata import flag, url
from authserver.oauth.response_modes import query
from authserver.records import Session
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "frontchannel_logout"
CLIENT_METADATA: Final = {"frontchannel_logout_uri": url(uris.page), "frontchannel_logout_session_required": flag}  # 2
MOST: Final = 50  # frames on a page


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the support, with ``iss`` and ``sid`` in every address (3)."""
    del server, settings
    return {"frontchannel_logout_supported": True, "frontchannel_logout_session_supported": True}


def frames(server: "Server", sessions: Iterable[Session]) -> list[str]:
    """Return the addresses that a page has to load when these sessions are over (2, 3)."""
    found: dict[str, None] = {}
    for session in sessions:
        for client_id in server.store.grants.clients_of_session(session.sid):
            # The row and no document of the client's (client_id_metadata): nobody's slow server keeps a person here.
            client = server.store.clients.get(client_id)
            place = None if client is None else client.metadata.get("frontchannel_logout_uri")
            if client is not None and client.disabled_at is None and place is not None:
                sid = server.subjects.session_of(client, session.sub, session.sid)
                told = query(place, {"iss": server.settings.issuer, "sid": sid})
                found[dict(told.headers)["Location"]] = None
    return list(found)[:MOST]
