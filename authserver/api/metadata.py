"""What the management API says of itself: a protected resource like others, which is there without being added.

RFC 9728 (OAuth 2.0 Protected Resource Metadata), https://www.rfc-editor.org/rfc/rfc9728

Its identifier is the issuer with ``/manage`` behind it (RFC 8707). Reading takes a scope of its own, and what changes
things takes another one, which covers reading.

Plugs into: RESOURCES, ENDPOINTS, METADATA.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from authserver.manage import joining
from authserver.oauth import dpop
from authserver.oauth import metadata as rfc8414
from authserver.oauth.request import Answer, Request
from authserver.records import Resource, Scope
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "management_api"
WELL_KNOWN: Final = joining.WELL_KNOWN
PATH: Final = f"{WELL_KNOWN}/manage"
METHODS: Final = ("GET", "HEAD")
SCOPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "manage:clients": "Add, change and remove clients, and give them secrets",
        "manage:clients:read": "See all clients",
        "manage:resources": "Add, change and remove protected resources",
        "manage:resources:read": "See all protected resources",
        "manage:users": "Add accounts, switch them off and on, set passwords, take second factors away",
        "manage:users:read": "See all accounts",
        "manage:sessions": "End sessions of any account",
        "manage:sessions:read": "See where any account is signed in",
        "manage:grants": "Revoke what any account has granted",
        "manage:grants:read": "See what any account has granted",
        "manage:tokens": "Revoke tokens of any account or client",
        "manage:keys": "Make new signing keys, and drop the ones before",
        "manage:keys:read": "See the states of the signing keys",
        "manage:registration": "Make and withdraw tokens with which clients register themselves",
        "manage:registration:read": "See which of these tokens can still be used",
        "manage:audit:read": "Read the audit trail, and what clients have not been told yet",
    }
)


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the resource (4); those that administrators add are announced by themselves."""
    del server
    return {"protected_resources": [settings.management_resource]}


def resource(settings: Settings) -> Resource:
    """Return the resource that the management API is."""
    scopes = tuple(Scope(name, sentence) for name, sentence in SCOPES.items())
    return Resource(settings.management_resource, "Management API", scopes)


def url(settings: Settings) -> str:
    """Return where the document is (3.1), as challenges name it (5.1)."""
    host = settings.issuer.removesuffix(settings.issuer_path)
    return f"{host}{WELL_KNOWN}{settings.issuer_path}{PATH.removeprefix(WELL_KNOWN)}"


def respond(server: "Server", request: Request) -> Answer:
    """Answer the document (3.2)."""
    return rfc8414.cacheable(request, *rfc8414.dump(_document(server)))


def _document(server: "Server") -> dict[str, Any]:
    """Return the metadata (2)."""
    settings, on = server.settings, server.settings.in_force
    bound = {"dpop_signing_alg_values_supported": dpop.ALGS.split()} if on.dpop else {}
    return {
        "resource": settings.management_resource,
        "authorization_servers": [settings.issuer],
        "scopes_supported": list(SCOPES),
        "bearer_methods_supported": ["header"],
        "resource_name": "Management API",
        "tls_client_certificate_bound_access_tokens": on.mtls,
        **bound,
    }
