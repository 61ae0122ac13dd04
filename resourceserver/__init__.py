"""Guard an HTTP API with access tokens: `Verifier` for any framework, `protect` for Flask, `Guard` for ASGI.

The library part needs PyJWT, cryptography and httpx2, and joserfc where tokens are encrypted; `protect` is there when
Flask is installed. The modules `settings`, `app`, `resources`, `database`, `notes`, `used_proofs`, `almanac` and `cli`
are a resource server of its own that uses the library.
"""

from resourceserver import errors
from resourceserver.access_token import AccessToken
from resourceserver.asgi import Guard
from resourceserver.binding import DPoP, Evidence
from resourceserver.decryption import Decryption
from resourceserver.discovery import IssuerMetadata
from resourceserver.dpop import Nonces
from resourceserver.fetch import Fetcher
from resourceserver.introspect import IntrospectionClient
from resourceserver.jwks import KeySource
from resourceserver.mtls import ProxyCertificates
from resourceserver.replays import MemoryReplays, Replays, ReplaysUnavailableError
from resourceserver.revocations import Revocations
from resourceserver.status_list import StatusLists
from resourceserver.verifier import Verifier

try:
    # Imported at once, not on demand: the module of the same name would otherwise stand in its place.
    from resourceserver.protect import protect
except ModuleNotFoundError as missing:
    if missing.name != "flask":
        raise

__all__ = [
    "AccessToken",
    "DPoP",
    "Decryption",
    "Evidence",
    "Fetcher",
    "Guard",
    "IntrospectionClient",
    "IssuerMetadata",
    "KeySource",
    "MemoryReplays",
    "Nonces",
    "ProxyCertificates",
    "Replays",
    "ReplaysUnavailableError",
    "Revocations",
    "StatusLists",
    "Verifier",
    "errors",
    "protect",
]
