"""Where an issuer keeps its keys and its introspection endpoint.

RFC 8414 (OAuth 2.0 Authorization Server Metadata), https://www.rfc-editor.org/rfc/rfc8414, and OpenID Connect
Discovery 1.0, https://openid.net/specs/openid-connect-discovery-1_0.html
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from resourceserver.errors import UnavailableError
from resourceserver.fetch import Fetcher, FetchError, check_url
from resourceserver.strict_json import parse_object

log = logging.getLogger("resourceserver")

LIFETIME = 3600.0
PAUSE_AFTER_FAILURE = 2.0


class IssuerMetadata:
    """The metadata document of one issuer: fetched when first needed, kept for an hour, or until it is back.

    `issuer` is the issuer's identifier, compared character by character. Raises ValueError when it is no issuer URL.
    """

    def __init__(self, issuer: str, fetcher: Fetcher, *, clock: Callable[[], float] = time.time) -> None:
        if "?" in check_url(issuer):
            raise ValueError("an issuer has no query (RFC 8414 section 2)")
        self.issuer = issuer
        self._loopback_http = issuer.startswith("http:")
        self._fetcher = fetcher
        self._clock = clock
        self._lock = threading.Lock()
        self._document: Mapping[str, object] = {}
        self._fetched_at = self._failed_at = float("-inf")

    def url(self, member: str) -> str:
        """Return the URL under `member`, such as jwks_uri.

        Raises UnavailableError when the document cannot be had or does not hold such a URL.
        """
        value = self._current().get(member)
        if not isinstance(value, str):
            raise UnavailableError(f"issuer metadata lacks {member}")
        try:
            return check_url(value, loopback_http=self._loopback_http)
        except ValueError:
            raise UnavailableError(f"issuer metadata has an unusable {member}") from None

    def announces(self, member: str) -> bool:
        """Say whether the document has `member`. Raises UnavailableError when the document cannot be had."""
        return member in self._current()

    def _current(self) -> Mapping[str, object]:
        if 0 <= self._clock() - self._fetched_at < LIFETIME:
            return self._document
        # With a document at hand nobody waits: one thread fetches, the others go on.
        if self._lock.acquire(blocking=not self._document):
            try:
                self._refresh()
            finally:
                self._lock.release()
        if not self._document:
            raise UnavailableError("issuer metadata cannot be fetched")
        return self._document

    def _refresh(self) -> None:
        now = self._clock()
        if 0 <= now - self._fetched_at < LIFETIME or 0 <= now - self._failed_at < PAUSE_AFTER_FAILURE:
            return
        try:
            for url in _locations(self.issuer):
                document = self._fetch(url)
                if document is not None:
                    self._document, self._fetched_at = document, now
                    return
        except FetchError:
            # Who does not answer at one place will not at the other, and somebody is waiting.
            pass
        self._failed_at = self._clock()
        log.warning("metadata of issuer %s cannot be fetched", self.issuer)

    def _fetch(self, url: str) -> Mapping[str, object] | None:
        reply = self._fetcher.get(url)
        if reply.status != 200 or reply.media_type != "application/json":
            return None
        try:
            document = parse_object(reply.body)
        except ValueError:
            return None
        # RFC 8414 3.3: a document that names another issuer must not be used.
        return document if document.get("issuer") == self.issuer else None


def _locations(issuer: str) -> tuple[str, ...]:
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    root = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{root}/.well-known/oauth-authorization-server{path}",
        f"{root}{path}/.well-known/openid-configuration",
    )
