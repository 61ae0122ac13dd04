"""Status lists: one document of an issuer says of very many JWTs which of them it has taken back.

Token Status List, https://datatracker.ietf.org/doc/html/draft-ietf-oauth-status-list-21 (revision 21)

A JWT names its list and its place in it. The list is fetched when the first such token arrives, and again twice a
second for as long as tokens that name it are seen, so that no token needs a request of its own. A list that is older
than a second is not used, whatever it says of itself. Redirects (8.1) are not followed: a list comes from its issuer.
"""

import logging
import re
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from resourceserver.access_token import AccessToken
from resourceserver.discovery import IssuerMetadata
from resourceserver.errors import InvalidTokenError, UnavailableError
from resourceserver.fetch import Fetcher, FetchError, Reply, check_url
from resourceserver.jwks import KeySource
from resourceserver.jwt import TOLERANCE, check_times, decode, numeric_date, verified_claims
from resourceserver.per_process import PerProcess

log = logging.getLogger("resourceserver")

CLAIM = "status"
MEDIA_TYPE = "application/statuslist+jwt"
VALID = 0  # 7.1
OLDEST = 1.0
REFRESH = 0.4
IDLE = 10.0
PAUSE = 1.0
MOST_LISTS = 256
MAX_DOCUMENT = 4_194_304
MAX_LIST = 2_097_152

_TYPES = frozenset({"statuslist+jwt", MEDIA_TYPE})
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_MODES = frozenset({1, 2, 4, 8})  # 4.1: bits per place


@dataclass(frozen=True, slots=True)
class StatusList:
    """A list that was checked: as many values as fit, of `bits` bits each; when it ends, and how long it is fresh."""

    bits: int
    values: bytes
    expires_at: float
    fresh_for: float

    def value(self, place: int) -> int | None:
        """Return the status at a place (4.1), or None beyond the end."""
        number, position = divmod(place, 8 // self.bits)
        if number >= len(self.values):
            return None
        return self.values[number] >> position * self.bits & (1 << self.bits) - 1


def read_status_list(claims: Mapping[str, object], issuer: str, uri: str, now: float) -> StatusList:
    """Return the list in a status list token whose signature was good (8.3).

    Raises ValueError or InvalidTokenError when it is not the one of `issuer` at `uri`, not of this time, or malformed.
    """
    if claims.get("sub") != uri or claims.get("iss", issuer) != issuer:
        raise ValueError("another list")
    numeric_date(claims.get("iat"))
    check_times(claims, now, TOLERANCE)
    fresh_for = numeric_date(claims["ttl"]) if "ttl" in claims else OLDEST
    listed = claims.get("status_list")
    if not isinstance(listed, Mapping) or not fresh_for:
        raise ValueError("no list")
    bits, lst = listed.get("bits"), listed.get("lst")
    if type(bits) is not int or bits not in _MODES or not isinstance(lst, str) or not _BASE64URL.fullmatch(lst):
        raise ValueError("malformed list")
    expires_at = numeric_date(claims["exp"]) + TOLERANCE if "exp" in claims else float("inf")
    return StatusList(bits, _unpacked(decode(lst.encode())), expires_at, min(fresh_for, OLDEST))


def _unpacked(data: bytes) -> bytes:
    # A few bytes of it may stand for gigabytes.
    unpacking = zlib.decompressobj()
    try:
        values = unpacking.decompress(data, MAX_LIST + 1)
    except zlib.error:
        raise ValueError("not compressed with zlib") from None
    if len(values) > MAX_LIST or not unpacking.eof or unpacking.unused_data:
        raise ValueError("list too long, cut off, or followed by something")
    return values


class StatusLists:
    """The status lists of one issuer, for many threads. Share one between all verifiers of an issuer.

    `issuer` is the issuer's identifier, or its IssuerMetadata to share; `keys` are the issuer's. While tokens are seen,
    one background thread per process fetches the lists that they name again.
    """

    def __init__(
        self,
        issuer: str | IssuerMetadata,
        fetcher: Fetcher | None = None,
        *,
        keys: KeySource | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetcher = fetcher or Fetcher(max_bytes=MAX_DOCUMENT)
        metadata = issuer if isinstance(issuer, IssuerMetadata) else IssuerMetadata(issuer, self._fetcher)
        self.issuer = metadata.issuer
        self._origin = _origin(metadata.issuer)
        self._keys = keys or KeySource(metadata, self._fetcher, clock=clock)
        self._clock = clock
        self._closed = threading.Event()
        self._lists = PerProcess(_Lists)

    def is_valid(self, token: AccessToken) -> bool:
        """Say whether a list that is fresh at this moment calls `token` valid; asks nobody."""
        try:
            uri, place = _reference(token)
        except InvalidTokenError:
            return False
        kept = self._lists.get().by_uri.get(uri)
        return kept is not None and self._value(kept, place) == VALID

    def check(self, token: AccessToken) -> None:
        """Check the status of a token that has one (8.3). Raises InvalidTokenError or UnavailableError."""
        uri, place = _reference(token)
        kept = self._kept(uri)
        value = self._value(kept, place)
        if value is None:
            self._keep_refreshing()
            with kept.lock:
                current = self._fresh(kept) or self._fetch_unless_it_failed(kept)
            value = current.value(place)
        if value != VALID:
            raise InvalidTokenError("revoked")

    def close(self) -> None:
        """Stop fetching. From then on a list is asked for when it is needed."""
        self._closed.set()

    def _value(self, kept: "_Kept", place: int) -> int | None:
        current = self._fresh(kept)
        return None if current is None else current.value(place)

    def _fresh(self, kept: "_Kept") -> StatusList | None:
        kept.used = now = time.monotonic()
        current, asked = kept.known
        if current is None or now - asked >= current.fresh_for or self._clock() >= current.expires_at:
            return None
        return current

    def _kept(self, uri: str) -> "_Kept":
        lists = self._lists.get()
        kept = lists.by_uri.get(uri)
        if kept is not None:
            return kept
        self._check_uri(uri)
        with lists.lock:
            kept = lists.by_uri.setdefault(uri, _Kept(uri))
            if len(lists.by_uri) > MOST_LISTS:
                del lists.by_uri[min(lists.by_uri, key=lambda each: lists.by_uri[each].used)]
        return kept

    def _keep_refreshing(self) -> None:
        lists = self._lists.get()
        with lists.lock:
            if self._closed.is_set() or (lists.refresher is not None and lists.refresher.is_alive()):
                return
            lists.refresher = threading.Thread(
                target=self._refresh, args=(lists,), daemon=True, name="refresh-status-lists"
            )
            # Out of threads, a list is asked for when it is needed.
            with suppress(RuntimeError):
                lists.refresher.start()

    def _check_uri(self, uri: str) -> None:
        try:
            check_url(uri, loopback_http=self._origin[0] == "http")
            foreign = _origin(uri) != self._origin
        except ValueError:
            foreign = True
        if foreign:
            raise InvalidTokenError("status list elsewhere")

    def _refresh(self, lists: "_Lists") -> None:
        """Fetch the lists that are in use again and again, until there are none."""
        while not self._closed.wait(REFRESH):
            in_use = lists.in_use()
            if not in_use:
                return
            for kept in in_use:
                with kept.lock:
                    self._fetch_quietly(kept)

    def _fetch_quietly(self, kept: "_Kept") -> None:
        try:
            self._fetch(kept)
        except UnavailableError as failure:
            if not kept.failed_at:
                log.warning("status list of %s cannot be fetched: %s", self.issuer, failure.reason)
            kept.failed_at = time.monotonic()
        else:
            kept.failed_at = 0.0

    def _fetch_unless_it_failed(self, kept: "_Kept") -> StatusList:
        # A dead issuer must not hold every thread for the length of a timeout.
        if not kept.failed_at or time.monotonic() - kept.failed_at >= PAUSE:
            self._fetch_quietly(kept)
        current = self._fresh(kept)
        if current is None:
            raise UnavailableError("status list cannot be had", retry_after=1)
        return current

    def _fetch(self, kept: "_Kept") -> None:
        asked = time.monotonic()
        known = kept.known[0]
        # Whatever stands in between must not answer for the issuer (RFC 9111 5.2.1.4).
        headers = [("Cache-Control", "no-cache")]
        if known is not None and kept.etag and self._clock() < known.expires_at:
            headers.append(("If-None-Match", kept.etag))
        try:
            reply = self._fetcher.get(kept.uri, headers, accept=MEDIA_TYPE)
        except FetchError as failure:
            raise UnavailableError(f"status list: {failure}") from None
        # A cache that answers all the same says for how long it has had that (RFC 9111 5.1).
        if reply.age >= OLDEST:
            raise UnavailableError("status list: out of a cache")
        if reply.status == 304 and known is not None and len(headers) > 1:
            kept.known = known, asked
        else:
            kept.known = self._read(kept.uri, reply), asked
            # It goes back in a header, which not everything fits into.
            kept.etag = reply.etag if reply.etag.isascii() and reply.etag.isprintable() else ""

    def _read(self, uri: str, reply: Reply) -> StatusList:
        if reply.status != 200 or reply.media_type != MEDIA_TYPE:
            raise UnavailableError("status list: unexpected status or media type")
        try:
            text = reply.body.decode("ascii")
            claims = verified_claims(text, self._keys.find, types=_TYPES, longest=MAX_DOCUMENT)
            return read_status_list(claims, self.issuer, uri, self._clock())
        except InvalidTokenError as refusal:
            raise UnavailableError(f"status list: {refusal.reason}") from None
        except ValueError:
            raise UnavailableError("status list: malformed") from None


class _Kept:
    """One list: what is known and the moment (monotonic) when it was asked for."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.lock = threading.Lock()
        self.known: tuple[StatusList | None, float] = (None, float("-inf"))
        self.etag = ""
        self.used = time.monotonic()
        self.failed_at = 0.0


class _Lists:
    """The lists that one process keeps."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.by_uri: dict[str, _Kept] = {}
        self.refresher: threading.Thread | None = None

    def in_use(self) -> list[_Kept]:
        """Return the lists that were used a moment ago, and forget the others."""
        since = time.monotonic() - IDLE
        with self.lock:
            for uri in [uri for uri, kept in self.by_uri.items() if kept.used < since]:
                del self.by_uri[uri]
            return list(self.by_uri.values())


def _reference(token: AccessToken) -> tuple[str, int]:
    """Return the list that a token names and its place there (6.2). Raises InvalidTokenError."""
    status = token.claims.get(CLAIM)
    # Another mechanism may say that the token is dead, and nobody here would hear it.
    if not isinstance(status, Mapping) or status.keys() != {"status_list"}:
        raise InvalidTokenError("unknown status mechanism")
    reference = status["status_list"]
    if not isinstance(reference, Mapping):
        raise InvalidTokenError("malformed status")
    uri, place = reference.get("uri"), reference.get("idx")
    if not isinstance(uri, str) or type(place) is not int or place < 0:
        raise InvalidTokenError("malformed status")
    return uri, place


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
