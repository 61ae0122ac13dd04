"""Access token scope (RFC 6749 3.3).

Unknown values are ignored, a known value that the client may not have is refused, and without any the client's default
is taken. What is granted is stated in the page, the code, the token, introspection and the response alike.

Plugs into: AUTHORIZE_CHECK, METADATA; the client credentials and refresh token grants call it themselves.
"""

import re
from typing import TYPE_CHECKING, Any, Final

from authserver.oauth import errors
from authserver.oauth.request import Request
from authserver.records import Client
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PARAMETERS: Final = frozenset({"scope"})
_WELL_FORMED: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*", re.ASCII)
_MAX_SIZE: Final = 4096


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Scopes of people and of the registered resources (RFC 8414 2), but for those of resources of our own."""
    del settings
    own = frozenset[str]().union(*(resource.scope_names for resource in server.own_resources.values()))
    return {"scopes_supported": [*server.personal_scopes, *sorted(server.resource_scopes() - own)]}


def check(server: "Server", request: Request) -> None:
    """Decide which scope an authorization request is about."""
    # RFC 9396 3: who asks by authorization details alone has not asked for the default scope, too.
    alone = request.scope is None and request.asked_details
    request.granted_scope = "" if alone else requested(server, request.client, request.scope)


def requested(server: "Server", client: Client, scope: str | None) -> str:
    """Return the scope to grant, in the order asked for; raises InvalidScope."""
    personal = server.personal_scopes
    known = client.scopes.union(server.resource_scopes(), personal)
    if scope is None:
        values = [value for value in (*personal, *sorted(client.scopes.difference(personal))) if value in client.scopes]
    else:
        values = [value for value in split(scope) if value in known]
        if not client.scopes.issuperset(values):
            raise errors.InvalidScope(errors.SCOPE_REFUSED)
    if not values:
        raise errors.InvalidScope(errors.SCOPE_NONE)
    return " ".join(values)


def requested_by_itself(server: "Server", client: Client, scope: str | None) -> str:
    """Return the scope to grant to a client that acts for itself (RFC 6749 4.4)."""
    if scope is not None and not set(server.personal_scopes).isdisjoint(split(scope)):
        raise errors.InvalidScope(errors.SCOPE_PERSONAL)
    if scope is None:
        scope = " ".join(sorted(client.scopes.difference(server.personal_scopes)))
    return requested(server, client, scope or None) if scope else _none()


def of_today(client: Client, granted: str) -> str:
    """Return what is left of a grant's scope: the client may have been deprived of some of it since."""
    return " ".join([value for value in granted.split() if value in client.scopes])


def still_allowed(client: Client, granted: str) -> str:
    """Return what is left of a grant's scope; raises InvalidGrant when offline access was taken from the client."""
    if "offline_access" in granted.split() and "offline_access" not in client.scopes:
        raise errors.InvalidGrant(errors.REFRESH_INVALID)
    return of_today(client, granted)


def narrowed(granted: str, scope: str | None) -> str:
    """Return the part of a grant's scope that a refresh asks for (RFC 6749 6); raises InvalidScope."""
    if scope is None:
        return granted
    values = split(scope)
    if not set(granted.split()).issuperset(values):
        raise errors.InvalidScope(errors.SCOPE_WIDER)
    return " ".join(values)


def split(scope: str) -> list[str]:
    """Return the values of a scope parameter, each once; raises InvalidScope."""
    if len(scope) > _MAX_SIZE or not _WELL_FORMED.fullmatch(scope):
        raise errors.InvalidScope(errors.SCOPE_MALFORMED)
    return list(dict.fromkeys(scope.split(" ")))


def _none() -> str:
    raise errors.InvalidScope(errors.SCOPE_NONE)
