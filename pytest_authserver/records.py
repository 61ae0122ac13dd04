"""What tests hold in their hands: a registered client, a proof key, an answered request."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from authserver.records import Session


@dataclass(frozen=True)
class RegisteredClient:
    """A client as its developer knows it; ``registration`` is the registration response (RFC 7591 3.2.1)."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    registration: dict[str, Any] = field(repr=False)

    @property
    def basic(self) -> tuple[str, str]:
        """Return the credentials for HTTP Basic."""
        return self.client_id, self.client_secret


@dataclass(frozen=True)
class Pkce:
    """A code verifier and its S256 challenge (RFC 7636)."""

    verifier: str
    challenge: str


@dataclass(frozen=True)
class Allowed:
    """A code, with what its redemption has to repeat, and the session in which the user gave it."""

    code: str
    redirect_uri: str
    pkce: Pkce | None
    session: Session


def new_pkce() -> Pkce:
    """Return a fresh verifier with its challenge."""
    verifier = secrets.token_urlsafe(32)
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return Pkce(verifier, challenge)
