"""The sector of a client: users have one pairwise subject for all clients of it (OpenID Connect Core 1.0, 8.1)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from authserver.manage.errors import InvalidMetadata


def sector_of(metadata: Mapping[str, Any]) -> str:
    """Return the host that the client's metadata leads to; raises InvalidMetadata when that is not exactly one.

    That of the ``sector_identifier_uri``, of the redirect URIs, or, where there are none, of the ``jwks_uri`` (CIBA 4).
    """
    named = metadata.get("sector_identifier_uri")
    places = [named] if named else metadata.get("redirect_uris") or [metadata.get("jwks_uri", "")]
    hosts = {host_of(place) for place in places}
    host = hosts.pop()
    if hosts or not host:
        raise InvalidMetadata(
            "sector_identifier_uri", "is needed for pairwise subjects, as the client's URIs do not name one host"
        )
    return host


def host_of(uri: str) -> str:
    """Return the host of a web address; what stands in the place of one in other URIs is nobody's."""
    parts = urlsplit(uri)
    return (parts.hostname or "") if parts.scheme in {"http", "https"} else ""
