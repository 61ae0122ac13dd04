"""Back-Channel Logout (OpenID Connect Back-Channel Logout 1.0).

https://openid.net/specs/openid-connect-backchannel-1_0.html

Whoever ends a session, be it the person, an administrator or a changed password, has every client told that may have
a session of its own because of it. The transaction that ends the session puts down whom to tell (``store.jobs``); the
threads of ``deliveries`` send each of them a logout token, without the browser, until it has arrived.

Plugs into: JOBS, METADATA, CLIENT_METADATA.
"""

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from authserver.clock import SECOND, now
from authserver.courier import Message
from authserver.crypto import new_id
from authserver.deliveries import Unwritten
from authserver.manage import uris
from authserver.manage.client_metadata import flag, url
from authserver.oauth import encryption
from authserver.records import Client, Job
from authserver.settings import Settings
from authserver.store.jobs import LOGOUT

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "backchannel_logout"
KIND: Final = LOGOUT
TYP: Final = "logout+jwt"
EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
CLIENT_METADATA: Final = {"backchannel_logout_uri": url(uris.page), "backchannel_logout_session_required": flag}  # 2.2
_LIFE: Final = 120  # seconds; 2.4 recommends two minutes at the most
_HEADERS: Final = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the support, with ``sid`` in every logout token and ID token (2.1)."""
    del server, settings
    return {"backchannel_logout_supported": True, "backchannel_logout_session_supported": True}


def write(server: "Server", job: Job) -> Message:
    """Return the request that tells a client that a session is over (2.5); raises Unwritten."""
    # The row, which is what the job was written by: a document that cannot be had now would end the telling for good.
    client = server.store.clients.get(job.client_id)
    place = None if client is None else client.metadata.get("backchannel_logout_uri")
    if client is None or client.disabled_at is not None or place is None:
        raise Unwritten("the client is not there any more, or has no address", final=True)
    try:
        token = logout_token(server, client, job)
    except encryption.NoKey:
        raise Unwritten("the client has no key to be encrypted to", final=False) from None
    return Message(client.client_id, place, _HEADERS, urlencode({"logout_token": token}).encode())


def logout_token(server: "Server", client: Client, job: Job) -> str:
    """Return a logout token (2.4), signed and encrypted with what ID tokens of this client are.

    Each attempt has its own ``jti`` and times: a client that has heard one and whose answer was lost takes the next.
    ``sid`` is always there: without it the token would mean every session that the user has, also later ones.
    """
    moment = now() // SECOND
    claims = {
        "iss": server.settings.issuer,
        "sub": server.subjects.of(client, job.sub),
        "aud": client.client_id,
        "iat": moment,
        "exp": moment + _LIFE,
        "jti": new_id(),
        "sid": server.subjects.session_of(client, job.sub, job.sid),
        "events": {EVENT: {}},
    }
    signed = server.keys.sign(client.id_token_signed_response_alg, TYP, claims)
    return encryption.as_registered(server, client, signed, "id_token")
