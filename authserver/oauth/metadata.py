"""Authorization server metadata (RFC 8414), the sum of what each extension says of itself.

https://www.rfc-editor.org/rfc/rfc8414

The same document is served as OpenID Connect Discovery 1.0; it is made once and sent as bytes with a strong ETag.

Plugs into: ENDPOINTS, METADATA.
"""

import hashlib
from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver.oauth.request import Answer, Request
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PATH: Final = "/.well-known/oauth-authorization-server"
JWKS_PATH: Final = "/jwks"
METHODS: Final = ("GET", "HEAD")
MAX_AGE: Final = 300  # seconds a copy of the metadata or of the key set may be kept


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Issuer and key set (2)."""
    del server
    return {"issuer": settings.issuer, "jwks_uri": settings.issuer + JWKS_PATH}


def document(server: "Server") -> dict[str, Any]:
    """Return the whole document."""
    whole: dict[str, Any] = {}
    for part in server.registry.METADATA:
        whole.update(part(server, server.settings))
    return whole


def respond(server: "Server", request: Request) -> Answer:
    """Answer the document (3.2)."""
    return cacheable(request, *server.metadata_document())


def respond_jwks(server: "Server", request: Request) -> Answer:
    """Answer the key set (RFC 7517 5)."""
    public = server.keys.public_set()
    return cacheable(request, public.body, public.etag)


def cacheable(
    request: Request, body: bytes, etag: str, *, media_type: str = "application/json", max_age: int = MAX_AGE
) -> Answer:
    """Answer 304 to whoever has this version already (RFC 9110 13.1.2)."""
    headers = [("Content-Type", media_type), ("Cache-Control", f"public, max-age={max_age}"), ("ETag", etag)]
    # The sender may have several, and a proxy that compresses answers marks the tag as a weak one.
    if etag in request.headers.get("If-None-Match", ""):
        return Answer(304, b"", headers)
    return Answer(200, body, headers)


def dump(whole: dict[str, Any]) -> tuple[bytes, str]:
    """Return the document as bytes, and its strong entity tag."""
    body = orjson.dumps(whole)
    return body, entity_tag(body)


def entity_tag(body: bytes) -> str:
    """Return the strong entity tag of a document (RFC 9110 8.8.3)."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
