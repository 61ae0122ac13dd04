"""RP-Initiated Logout (OpenID Connect RP-Initiated Logout 1.0).

https://openid.net/specs/openid-connect-rpinitiated-1_0.html

A valid ``id_token_hint`` of the session in this browser ends it at once and returns to a registered URI; all else
asks the person first (2, 6). Nothing is returned to without a hint: who sent the browser is then not proven.

Plugs into: METADATA; ``web/logout.py`` is its page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from authserver import jwt
from authserver.language import N_
from authserver.oauth.response_modes import query
from authserver.oidc.authentication_request import read_id_token
from authserver.records import Client, Session
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PATH: Final = "/logout"
PARAMETERS: Final = frozenset(
    {"id_token_hint", "post_logout_redirect_uri", "logout_hint", "client_id", "state", "ui_locales"}
)
_DIFFERENT: Final = N_("The application named itself differently from the sign-in that it wants to end.")
_NOT_REGISTERED: Final = N_("The application asked to return to an address that it has not registered.")


class InvalidLogout(ValueError):
    """The logout request names a return address that is not proven; the message is a fixed sentence for people."""


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A checked logout request: whom it is about and where it may return to."""

    client: Client | None
    sessions: tuple[Session, ...]
    needs_confirmation: bool
    location: str | None


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the endpoint (2.1)."""
    del server
    return {"end_session_endpoint": settings.issuer + PATH}


def check(
    server: "Server", parameters: Mapping[str, str], sessions: tuple[Session, ...], idle: tuple[Session, ...] = ()
) -> LogoutRequest:
    """Check a logout request (2, 3) against the sessions of this browser; raises InvalidLogout.

    ``idle`` are those that were not used for too long: who signs out of one of them means that it is to be forgotten.
    """
    claims = _hint(server, parameters)
    client = _client(server, parameters, claims)
    location = _location(parameters, client, proven=claims is not None)
    if claims is None:
        return LogoutRequest(client, sessions, needs_confirmation=bool(sessions), location=None)
    sub = claims["sub"] if client is None else server.subjects.find(client, claims["sub"])
    here = (*sessions, *idle)
    meant = tuple(session for session in here if session.sid == claims.get("sid") or session.sub == sub)
    if sessions and not meant:
        # The hint is about somebody else: the person at this browser decides, and is not sent on.
        return LogoutRequest(client, sessions, needs_confirmation=True, location=None)
    return LogoutRequest(client, meant, needs_confirmation=False, location=location)


def _hint(server: "Server", parameters: Mapping[str, str]) -> dict[str, Any] | None:
    hint = parameters.get("id_token_hint")
    if hint is None:
        return None
    try:
        return read_id_token(server, hint)
    except jwt.InvalidJWT:
        # 2: a hint that cannot be verified is no reason not to sign out; it proves nothing, so the person is asked.
        return None


def _client(server: "Server", parameters: Mapping[str, str], claims: dict[str, Any] | None) -> Client | None:
    named = parameters.get("client_id")
    # 2: "the OP MUST verify that the Client Identifier matches the one used when issuing the ID Token".
    if claims is not None and named is not None and named != claims["aud"]:
        raise InvalidLogout(_DIFFERENT)
    if claims is not None:
        client = server.query_client(claims["aud"])
    elif named and named.isascii() and named.isprintable():
        # Said by anybody, and good for a name on the page: nothing is fetched for it (client_id_metadata).
        client = server.store.clients.get(named)
    else:
        client = None
    return client if client is not None and client.disabled_at is None else None


def _location(parameters: Mapping[str, str], client: Client | None, *, proven: bool) -> str | None:
    uri = parameters.get("post_logout_redirect_uri")
    if uri is None:
        return None
    if not proven:
        return None
    if client is None or uri not in client.post_logout_redirect_uris:
        raise InvalidLogout(_NOT_REGISTERED)
    state = parameters.get("state")
    return dict(query(uri, {"state": state}).headers)["Location"] if state is not None else uri
