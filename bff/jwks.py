"""RFC 7517: JSON Web Key (JWK). The provider's published keys, fetched, cached and found by `kid`.

A set is kept for five minutes. An unknown `kid` fetches once more, but not more often than every ten seconds, so a
stranger with invented key ids cannot make us hammer the provider. When a fetch fails the last good set serves an hour.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt

from bff.errors import KeyUnknownError, ProviderUnavailableError, TokenRefusedError
from bff.pause import Pause

_FRESH_SECONDS = 300
_COOLDOWN_SECONDS = 10
_STALE_SECONDS = 3600
_MAX_KEYS = 64
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}


class Keys:
    """The public keys of one provider; safe for many threads."""

    def __init__(
        self,
        fetch: Callable[[], Sequence[object]],
        fresh_seconds: float = _FRESH_SECONDS,
        cooldown_seconds: float = _COOLDOWN_SECONDS,
    ) -> None:
        self._fetch = fetch
        self._fresh_seconds = fresh_seconds
        self._cooldown_seconds = cooldown_seconds
        self._lock = threading.Lock()
        self._pause = Pause()
        self._keys: tuple[Mapping[str, Any], ...] = ()
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")

    def find(self, kid: str, algorithm: str) -> jwt.PyJWK:
        """Give the key of that id for that algorithm; raises TokenRefusedError or ProviderUnavailableError."""
        if time.monotonic() - self._fetched_at > self._fresh_seconds:
            self._refetch()
        found = self._match(kid, algorithm)
        if not found:
            self._refetch()
            found = self._match(kid, algorithm)
        # A provider that is away cannot say which keys it has withdrawn.
        if not self._keys or time.monotonic() - self._fetched_at > self._fresh_seconds + _STALE_SECONDS:
            raise ProviderUnavailableError
        if len(found) != 1:
            raise KeyUnknownError("kid")
        try:
            return jwt.PyJWK(dict(found[0]), algorithm)
        except jwt.PyJWTError:
            raise TokenRefusedError("key") from None

    def _match(self, kid: str, algorithm: str) -> list[Mapping[str, Any]]:
        return [key for key in self._keys if key.get("kid") == kid and _serves(key, algorithm)]

    def _refetch(self) -> None:
        with self._lock:
            if time.monotonic() - self._tried_at < self._cooldown_seconds:
                return
            try:
                fetched = self._pause.ask(self._fetch)
            except ProviderUnavailableError:
                # Without any key the next request may try at once; with old ones the cool-down spares the provider.
                self._tried_at = time.monotonic() if self._keys else float("-inf")
                return
            self._keys = tuple(key for key in fetched[:_MAX_KEYS] if isinstance(key, dict))
            self._fetched_at = self._tried_at = time.monotonic()


def _serves(key: Mapping[str, Any], algorithm: str) -> bool:
    """Decide whether a key may verify an algorithm: type, curve, `use` and `alg` all agree (RFC 8725 section 3.1)."""
    return (
        key.get("kty") == _KEY_TYPES.get(algorithm[:2])
        and key.get("crv") == _CURVES.get(algorithm)
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) in {algorithm, "Ed25519" if algorithm == "EdDSA" else algorithm}
    )
