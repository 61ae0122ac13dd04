"""Resource Indicators (RFC 8707).

https://www.rfc-editor.org/rfc/rfc8707

The client says for which API a token is meant; the token is good there and nowhere else. An authorization request may
name several resources, an access token is for one.

Plugs into: AUTHORIZE_CHECK, TOKEN_CHECK.
"""

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from authserver.oauth import errors
from authserver.oauth.request import Request
from authserver.records import Client

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PARAMETERS: Final = frozenset({"resource"})
_MAX: Final = 20


def check(server: "Server", request: Request) -> None:
    """Check the resources that an authorization request names (2.1)."""
    request.resources = _asked(server, request)
    # Nobody's consent gives what is an administrator's to give: a client acts there for itself.
    if not server.own_resources.keys().isdisjoint(request.resources):
        raise errors.InvalidTarget(errors.RESOURCE_REFUSED)


def narrow(server: "Server", request: Request) -> None:
    """Choose the one resource of the access token (2.2), and the part of the scope that it knows."""
    asked = _asked(server, request)
    if len(asked) > 1:
        raise errors.InvalidTarget(errors.RESOURCE_AMBIGUOUS)
    target = asked[0] if asked else None
    if request.grant is not None:
        target = _granted(tuple(request.grant.resources.split()), target, server.settings.audience)
        if target is not None and not asked:
            # What was granted once may have been removed, or taken from the client, since.
            _check(server, request, target)
    request.audience = target or server.settings.audience
    request.target = server.resource(request.audience)
    request.token_scope = request.granted_scope
    if request.target is not None:
        known = request.target.scope_names.union(server.personal_scopes)
        request.token_scope = " ".join(value for value in request.granted_scope.split() if value in known)
        # Authorization details mean something without any scope (RFC 9396 3.1); whether they do here, ``rar`` says.
        if not request.token_scope and request.target.scopes and not request.details:
            raise errors.InvalidScope(errors.SCOPE_USELESS)


def is_allowed(server: "Server", client: Client, identifier: str) -> bool:
    """Say whether there is such a resource, and the client may ask for it."""
    if identifier == server.settings.audience:
        return True
    if identifier in server.own_resources:
        return client.origin == "administrator" and identifier in (client.resources or ())
    resource = server.resource(identifier)
    if resource is None:
        return False
    if client.resources is not None:
        return identifier in client.resources
    # A client that nobody has registered gets to the APIs of which it may have a scope, and no further.
    return client.origin == "administrator" or not client.scopes.isdisjoint(resource.scope_names)


def _granted(granted: tuple[str, ...], asked: str | None, default: str) -> str | None:
    if asked is not None:
        if asked not in granted and (granted or asked != default):
            raise errors.InvalidTarget(errors.RESOURCE_NOT_GRANTED)
        return asked
    if len(granted) > 1:
        raise errors.InvalidTarget(errors.RESOURCE_AMBIGUOUS)
    return granted[0] if granted else None


def _asked(server: "Server", request: Request) -> tuple[str, ...]:
    identifiers = request.payload.lists.get("resource", ())
    if not identifiers:
        return ()
    if len(identifiers) > _MAX:
        raise errors.InvalidTarget(errors.RESOURCE_REFUSED)
    for identifier in identifiers:
        _check(server, request, identifier)
    return tuple(dict.fromkeys(identifiers))


def _check(server: "Server", request: Request, identifier: str) -> None:
    # 2: "an absolute URI [...] MUST NOT include a fragment component"; compared as strings, never repaired.
    try:
        parts = urlsplit(identifier)
    except ValueError:
        raise errors.InvalidTarget(errors.RESOURCE_MALFORMED) from None
    if not parts.scheme or "#" in identifier or not identifier.isascii() or not identifier.isprintable():
        raise errors.InvalidTarget(errors.RESOURCE_MALFORMED)
    if not is_allowed(server, request.client, identifier):
        raise errors.InvalidTarget(errors.RESOURCE_REFUSED)
