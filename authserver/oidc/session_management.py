"""Session Management (OpenID Connect Session Management 1.0).

https://openid.net/specs/openid-connect-session-1_0.html

A client's page asks a page of ours, in a frame and without the network, whether those are still signed in who were when
the client got its answer. What both compare is a hash that is kept in a cookie which scripts of ours may read: it says
nothing, and it is another one when somebody signs in or out in this browser. Off unless switched on: browsers that keep
the cookies of framed sites apart show that frame no cookie, and then its answer is ``error``.

Plugs into: AUTHORIZE_ANSWER, METADATA; ``web/session_state.py`` is the frame and its cookie.
"""

import hmac
import secrets
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from authserver.crypto import b64
from authserver.oauth.request import AuthorizationRequest
from authserver.records import Session
from authserver.redirects import origin_of
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "session_management"
PATH: Final = "/check-session"
_SALT: Final = 12


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the frame (3.3)."""
    del server
    return {"check_session_iframe": settings.issuer + PATH}


def add_state(
    server: "Server", request: AuthorizationRequest, sessions: Iterable[Session], parameters: dict[str, str]
) -> None:
    """Add ``session_state`` to a good answer (2): a salted hash of client, origin and state of the browser (3.2)."""
    # A private-use scheme is no origin: such a client has no page that could ask.
    if "openid" not in request.scope.split() or not request.redirect_uri.startswith(("https:", "http:")):
        return
    salt = b64(secrets.token_bytes(_SALT))
    said = " ".join((request.client_id, origin_of(request.redirect_uri), browser_state(server, sessions), salt))
    parameters["session_state"] = f"{sha256(said.encode()).hexdigest()}.{salt}"


def browser_state(server: "Server", sessions: Iterable[Session], browser_id: str = "") -> str:
    """Return the state of a browser with these live sessions; nobody can make it, or tell anything by it (3.2).

    Without sessions it is the browser's own: were it everybody's, any site could read it at home, make a
    ``session_state`` of it, and learn from the frame whether somebody is signed in.
    """
    text = "\0".join(sorted(session.sid for session in sessions)) or f"nobody\0{browser_id}"
    return b64(hmac.digest(server.sealer.derive("session-state"), text.encode(), "sha256")[:16])
