"""Step-up authentication at the authorization server (RFC 9470): ``acr_values``, and what is still missing for it.

https://www.rfc-editor.org/rfc/rfc9470#section-5

An API that finds a sign-in too weak names what it wants; the client comes back with it as ``acr_values`` and
``max_age`` (RFC 9470 4), and both are honoured as OpenID Connect Core 3.1.2.1 says. ``acr_values`` is a wish, in order
of preference: the user is asked for a second factor that the account has, and offered to set one up where it has none.
What the tokens then say is what happened (RFC 9470 6), never what was wished for.

Plugs into: AUTHORIZE_CHECK, METADATA, ``oidc/interaction.py``.
"""

from typing import TYPE_CHECKING, Any, Final

from authserver.identity import login, second_factor
from authserver.oauth.request import AuthorizationRequest, Request
from authserver.records import Session
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

ACRS: Final = (login.ACR_PASSWORD, second_factor.ACR)  # each is met by the ones behind it


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the classes of authentication (OpenID Connect Discovery 1.0, 3; RFC 9470 7)."""
    del server, settings
    return {"acr_values_supported": list(ACRS)}


def acr_values(server: "Server", request: Request) -> None:
    """Read the wished classes of authentication, or take the client's own; what cannot be done is passed over.

    OpenID Connect Core 3.1.2.1, ``acr_values``; Registration 2, ``default_acr_values``.
    """
    del server
    named = request.parameters.get("acr_values")
    wished = request.client.metadata.get("default_acr_values", ()) if named is None else named.split()
    request.acr_values = tuple(dict.fromkeys(value for value in wished if value in ACRS))


def missing(server: "Server", request: AuthorizationRequest, session: Session) -> str | None:
    """Say what is still to be done for the best of the wished classes: ``second_factor``, ``offer``, or None.

    Asks the store only where something better than the session is wished for.
    """
    for wished in request.acr_values:
        if wished in {session.acr, login.ACR_PASSWORD}:
            return None
        if second_factor.is_enrolled(server, session.sub):
            return "second_factor"
    return "offer" if request.acr_values else None


def told(request: AuthorizationRequest, session: Session) -> str | None:
    """Return the class of authentication to tell, or None where an essential one is not met (Core 5.5.1.1).

    Who has shown a second factor has shown a password, too: the weaker class is met, and told where it was demanded.
    """
    demanded = request.essential_acrs
    if not demanded or session.acr in demanded:
        return session.acr
    met = ACRS[: ACRS.index(session.acr)] if session.acr in ACRS else ()
    return next((value for value in reversed(met) if value in demanded), None)
