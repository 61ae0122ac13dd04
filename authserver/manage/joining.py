"""A new API joins: what it says of itself becomes a resource (OAuth 2.0 Protected Resource Metadata, RFC 9728).

https://www.rfc-editor.org/rfc/rfc9728

An API publishes a document at a place that follows from its identifier. An administrator names the identifier, and the
document is read once, through the guard of ``outbound``: it proposes name, scopes and keys, and decides nothing that
protects somebody else. ``signed_metadata`` is not looked at, as 2.2 allows. What the API demands of tokens
(``dpop_bound_access_tokens_required`` and the like) is between it and its clients, which read the same document.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from authserver import jwt
from authserver.crypto import Sealer
from authserver.extension_sections import PERSONAL_SCOPES
from authserver.manage import clients, resources, uris
from authserver.manage.client_metadata import Check
from authserver.manage.errors import ManageError
from authserver.outbound import Outbound, OutboundError
from authserver.store import Store

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"  # 3.1: before the path of the resource
MAX_BYTES: Final = 16 * 1024


def place(identifier: str) -> str:
    """Return where the document of a resource lies (3.1); raises ManageError when it can have none."""
    problem = uris.identifier(identifier)
    if problem:
        raise ManageError(f"identifier {problem}")
    parts = urlsplit(identifier)
    if parts.scheme not in {"https", "http"} or not parts.netloc:
        raise ManageError("identifier must be an https URL, or it has no metadata document")
    path = "" if parts.path == "/" else parts.path
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{path}{query}"


def fetch(outbound: Outbound, identifier: str, issuer: str) -> dict[str, Any]:
    """Return the document of a resource that belongs to it and takes our tokens (3.2, 3.3); raises ManageError."""
    try:
        body, headers = outbound.fetch_document(place(identifier), MAX_BYTES, "application/json")
        document = jwt.parse_object(body)
    except OutboundError as problem:
        raise ManageError(f"the metadata document is not to be had: {problem}") from None
    except jwt.InvalidJWT:
        raise ManageError("the metadata document is not a JSON object") from None
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ManageError("the metadata document is not application/json")
    # 3.3: "If these values are not identical, the data contained in the response MUST NOT be used."
    if document.get("resource") != identifier:
        raise ManageError("the metadata document is of another resource: identifiers are equal character by character")
    servers = document.get("authorization_servers", [issuer])
    if not isinstance(servers, list) or issuer not in servers:
        raise ManageError("the metadata document does not name this issuer among its authorization servers")
    return document


def members(document: Mapping[str, Any], sentences: Mapping[str, str]) -> dict[str, Any]:
    """Return the members of a resource that its document proposes (2); ``sentences`` are what people read of scopes."""
    names = document.get("scopes_supported", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ManageError("scopes_supported of the metadata document is not a list of strings")
    # The scopes of OpenID Connect are everybody's, and no resource's own.
    own = [name for name in dict.fromkeys(names) if name not in PERSONAL_SCOPES]
    strange = sorted(sentences.keys() - set(own))
    if strange:
        raise ManageError("the metadata document does not name the scope " + ", ".join(strange))
    return {
        "identifier": document["resource"],
        "name": document.get("resource_name", document["resource"]),
        "scopes": {name: sentences.get(name, name) for name in own},
    }


def encryption(outbound: Outbound, document: Mapping[str, Any], alg: str, enc: str) -> dict[str, Any]:
    """Return a resource's ``encryption``, to the key that it publishes (2, ``jwks_uri``); raises ManageError."""
    uri = document.get("jwks_uri")
    if not isinstance(uri, str):
        raise ManageError("the metadata document has no jwks_uri with keys to encrypt to")
    try:
        key = jwt.encryption_key(jwt.read_key_set(outbound.fetch(uri), "enc")["keys"], alg)
    except OutboundError as problem:
        raise ManageError(f"the keys of the resource are not to be had: {problem}") from None
    except jwt.InvalidJWT:
        raise ManageError("the resource publishes no key that can be encrypted to with this alg") from None
    return {"alg": alg, "enc": enc, "jwks": {"keys": [key.as_dict(private=False)]}}


def add_with_client(
    store: Store, sealer: Sealer, given: Mapping[str, Any], *, actor: str, known: Mapping[str, Check]
) -> dict[str, Any]:
    """Add a resource and the client with which its API introspects; the client's secret is shown only now."""
    resource = resources.add(store, given, actor=actor)
    metadata = {
        "client_name": resource.name,
        "grant_types": [],
        clients.SERVES: [resource.identifier],
    }
    client = clients.register(store, sealer, metadata, actor=actor, members=known)
    return {"resource": resources.described(store, resource), "client": client}
