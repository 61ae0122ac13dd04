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
_PAGES = ("jwks_uri", "resource_documentation", "resource_policy_uri", "resource_tos_uri")
_LISTS = ("authorization_details_types_supported", "resource_signing_alg_values_supported")


def metadata_url(resource: str) -> str:
    """Return where the document of `resource` belongs: the well-known part goes before the path (RFC 9728 section 3.1).

    Raises ValueError when `resource` is not https, or http on loopback, or has a fragment.
    """
    parts = urlsplit(check_url(resource))
    path = parts.path if parts.path != "/" else ""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{path}{query}"


def metadata_document(
    resource: str,
    issuer: str,
    scopes: Sequence[str],
    name: str,
    binding: Mapping[str, object] = _NOTHING,
    more: Mapping[str, object] = _NOTHING,
) -> bytes:
    """Return the document (RFC 9728 section 2) as JSON.

    `binding` says how tokens are bound to keys. `more` holds what else there is to say: `jwks_uri` (with the keys to
    which tokens are encrypted), `resource_documentation`, `resource_policy_uri`, `resource_tos_uri`,
    `authorization_details_types_supported`, `resource_signing_alg_values_supported`, and names of pages and of the
    resource in other languages (`resource_name#de`). Raises ValueError for any other member and for an unusable URL.
    """
    for member, value in more.items():
        _check(member, value)
    members = {
        "resource": resource,
        "authorization_servers": [issuer],
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
        "resource_name": name,
        **more,
        **binding,
    }
    # RFC 9728 3.2: a list without entries is left out.
    return json.dumps({member: value for member, value in members.items() if value != []}).encode()


def _check(member: str, value: object) -> None:
    bare, mark, language = member.partition("#")  # RFC 9728 2.1
    if bare in _PAGES and isinstance(value, str) and not (mark and bare == "jwks_uri"):
        check_url(value)
    elif member in _LISTS:
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise ValueError(f"{member} is a list of strings")
        if "none" in value:
            raise ValueError("a signed answer is not signed with none")
    elif not (bare == "resource_name" and language and isinstance(value, str)):
        raise ValueError(f"{member} is no member of the metadata, or not of this kind")
