"""Cross-origin resource sharing for browser-based clients (DECISIONS, Redirects and cross-origin; Fetch standard).

``*`` on what is public; the caller's own origin on token, revocation and userinfo when some client has registered it.
Never with credentials, never ``null``, never on introspection and pages; also on error answers.
"""

from threading import Lock
from time import perf_counter_ns
from typing import Final

from authserver.clock import SECOND, now
from authserver.oauth.server import Server
from authserver.store.errors import StoreError

Headers = list[tuple[str, str]]

_KEEP: Final = 5 * SECOND
_REST: Final = 20  # times as long as reading took, before an unknown origin makes it be done again
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
        registry = server.registry
        # A registration that is not open to anybody is none of a stranger's script's business.
        closed = frozenset() if server.settings.registration.is_open else frozenset({"registration"})
        self._any: frozenset[str] = registry.CORS_ANY - closed
        self._kept: tuple[int, frozenset[str]] = (0, frozenset())
        self._pause = 0
        self._reading = Lock()

    def headers(self, endpoint: str, origin: str | None) -> Headers:
        """Return the headers for an answer of this endpoint to a script of this origin."""
        if endpoint in self._any:
            return _ANY
        if endpoint not in self._server.registry.CORS_REGISTERED:
            return _NONE
        if origin is None or origin == "null" or not self._knows(origin):
            return _VARY
        return [("Access-Control-Allow-Origin", origin), *_VARY, _EXPOSED]

    def preflight(self, endpoint: str, origin: str | None) -> Headers:
        """Return the headers for a preflight request."""
        allowed = self.headers(endpoint, origin)
        return [*allowed, *_PREFLIGHT] if any(name == "Access-Control-Allow-Origin" for name, _ in allowed) else allowed

    def _knows(self, origin: str) -> bool:
        # A client that has registered itself, or was allowed something for the first time, goes on at once.
        return origin in self._registered(_KEEP) or origin in self._registered(self._pause)

    def _registered(self, age: int) -> frozenset[str]:
        # One thread reads them all; the others go on with what there is, and only the first ones of a process wait.
        if not self._is_younger(age) and self._reading.acquire(blocking=self._kept[0] == 0):
            try:
                if not self._is_younger(age):
                    started = perf_counter_ns()
                    self._kept = (now(), self._read())
                    self._pause = min(_KEEP, _REST * (perf_counter_ns() - started) // 1000)
            finally:
                self._reading.release()
        return self._kept[1]

    def _is_younger(self, age: int) -> bool:
        return 0 <= now() - self._kept[0] < age

    def _read(self) -> frozenset[str]:
        try:
            clients = self._server.store.clients.all()
        except StoreError:
            return self._kept[1]
        return frozenset().union(*(client.origins for client in clients if client.disabled_at is None))
