"""Guard an HTTP API with access tokens: `Verifier` for any framework, `protect` for Flask.

The library part needs PyJWT, cryptography and httpx2 only; `protect` is there when Flask is installed. The modules
`settings`, `app`, `resources`, `database`, `notes`, `used_proofs`, `almanac` and `cli` are a resource server of its own
that uses the library.
"""

from resourceserver import errors
from resourceserver.access_token import AccessToken
from resourceserver.binding import DPoP, Evidence
from resourceserver.discovery import IssuerMetadata
from resourceserver.dpop import Nonces
from resourceserver.fetch import Fetcher
from resourceserver.introspect import IntrospectionClient
from resourceserver.jwks import KeySource
from resourceserver.mtls import ProxyCertificates
from resourceserver.replays import MemoryReplays, Replays, ReplaysUnavailableError
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
    "Evidence",
    "Fetcher",
    "IntrospectionClient",
    "IssuerMetadata",
    "KeySource",
    "MemoryReplays",
    "Nonces",
    "ProxyCertificates",
    "Replays",
    "ReplaysUnavailableError",
    "Verifier",
    "errors",
    "protect",
]
