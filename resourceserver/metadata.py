"""The document in which a protected resource describes itself.

RFC 9728 (OAuth 2.0 Protected Resource Metadata), https://www.rfc-editor.org/rfc/rfc9728
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from resourceserver.fetch import check_url

WELL_KNOWN = "/.well-known/oauth-protected-resource"
_NOTHING: Mapping[str, object] = MappingProxyType({})


def metadata_url(resource: str) -> str:
    """Return where the document of `resource` belongs: the well-known part goes before the path (RFC 9728 section 3.1).

    Raises ValueError when `resource` is not https, or http on loopback, or has a fragment.
    """
    parts = urlsplit(check_url(resource))
    path = parts.path if parts.path != "/" else ""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{path}{query}"


def metadata_document(
    resource: str, issuer: str, scopes: Sequence[str], name: str, binding: Mapping[str, object] = _NOTHING
) -> bytes:
    """Return the document (RFC 9728 section 2) as JSON; `binding` says how tokens are bound to keys."""
    members = {
        "resource": resource,
        "authorization_servers": [issuer],
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
        "resource_name": name,
        **binding,
    }
    return json.dumps(members).encode()
