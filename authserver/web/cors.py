"""Cross-origin resource sharing for browser-based clients (DECISIONS, Redirects and cross-origin; Fetch standard).

``*`` on what is public; the caller's own origin on token, revocation and userinfo when some client has registered it.
Never with credentials, never ``null``, never on introspection and pages; also on error answers.
"""

from threading import Lock
from typing import Final

from authserver.clock import SECOND, now
from authserver.oauth.server import Server
from authserver.store.errors import StoreError

Headers = list[tuple[str, str]]

_KEEP: Final = 5 * SECOND
_EXPOSED: Final = ("Access-Control-Expose-Headers", "DPoP-Nonce, WWW-Authenticate")
_ANY: Final[Headers] = [("Access-Control-Allow-Origin", "*")]
_PREFLIGHT: Final[Headers] = [
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP"),
    ("Access-Control-Max-Age", "600"),
]
_NONE: Final[Headers] = []
_VARY: Final[Headers] = [("Vary", "Origin")]


class Origins:
    """The browser origins that clients have registered, a few seconds old at the most."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._kept: tuple[int, frozenset[str]] = (0, frozenset())
        self._reading = Lock()

    def headers(self, endpoint: str, origin: str | None) -> Headers:
        """Return the headers for an answer of this endpoint to a script of this origin."""
        registry = self._server.registry
        if endpoint in registry.CORS_ANY:
            return _ANY
        if endpoint not in registry.CORS_REGISTERED:
            return _NONE
        if origin is None or origin == "null" or origin not in self._registered():
            return _VARY
        return [("Access-Control-Allow-Origin", origin), *_VARY, _EXPOSED]

    def preflight(self, endpoint: str, origin: str | None) -> Headers:
        """Return the headers for a preflight request."""
        allowed = self.headers(endpoint, origin)
        return [*allowed, *_PREFLIGHT] if any(name == "Access-Control-Allow-Origin" for name, _ in allowed) else allowed

    def _registered(self) -> frozenset[str]:
        # One thread reads them all; the others go on with what there is, and only the first ones of a process wait.
        if not self._is_fresh() and self._reading.acquire(blocking=self._kept[0] == 0):
            try:
                if not self._is_fresh():
                    self._kept = (now(), self._read())
            finally:
                self._reading.release()
        return self._kept[1]

    def _is_fresh(self) -> bool:
        return 0 <= now() - self._kept[0] < _KEEP

    def _read(self) -> frozenset[str]:
        try:
            clients = self._server.store.clients.all()
        except StoreError:
            return self._kept[1]
        return frozenset().union(*(client.origins for client in clients if client.disabled_at is None))
