"""Logos of clients: ``logo_uri`` (RFC 7591 2, OpenID Connect Registration 1.0 2), fetched and served by this server.

https://www.rfc-editor.org/rfc/rfc7591#section-2

A page that shows a client's logo must not make the browser ask a stranger's host: that host would learn who signs in
where and when, and could show each of them another picture. So this server fetches the picture through the guard of
``outbound``, looks at what it is, keeps it for a day, and serves it itself. Only a page that shows the client can name
its logo: the address is authenticated, so nobody makes the server fetch something else, or for an unknown client.

Plugs into: ENDPOINTS, TAKE_QUERY; ``web/client.py``.
"""

import hashlib
import hmac
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import BoundedSemaphore, Event, Lock
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from authserver import pictures, tagged
from authserver.clock import DAY, HOUR, MINUTE, SECOND, now
from authserver.crypto import b64, same
from authserver.limits import Exceeded, Limits
from authserver.oauth.metadata import cacheable, entity_tag
from authserver.oauth.request import NO_STORE, Answer, Request
from authserver.outbound import DEADLINE, MAX_BYTES, Outbound, OutboundError, WrongAnswer
from authserver.records import Client

if TYPE_CHECKING:
    from authserver.oauth.server import Server

logger = logging.getLogger(__name__)

FEATURE: Final = "client_logos"
PATH: Final = "/clients/logo"
METHODS: Final = ("GET", "HEAD")
MEMBER: Final = "logo_uri"
FRESH: Final = DAY
RETRY: Final = 10 * MINUTE  # after what was no picture, or not to be had
KEPT: Final = 100  # pictures, of 64 KiB at the most
_PER_HOST: Final = 60  # fetches a minute
_PER_CLIENT: Final = 60  # fetches an hour
# Whatever the bytes are to some browser: no script, no plug-in, no window of this origin, no page of another site.
_HEADERS: Final = (
    ("Content-Security-Policy", "default-src 'none'; sandbox"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


def address(server: "Server", client: Client, language: str) -> str | None:
    """Return where a page finds the logo of a client; None where it has none, or logos are switched off."""
    uri = tagged.in_language(client.metadata, MEMBER, language)
    if not isinstance(uri, str) or not server.settings.features.client_logos:
        return None
    query = urlencode({"client_id": client.client_id, "logo": _name(server, client.client_id, _digest(uri))})
    return f"{server.base_path}{PATH}?{query}"


def respond(server: "Server", request: Request) -> Answer:
    """Answer the picture that a page has named."""
    uri = _uri(server, request.parameters)
    picture = server.logos.find(request.parameters["client_id"], uri) if uri is not None else None
    if picture is None:
        return Answer(404, b"", [NO_STORE])
    max_age = FRESH // SECOND
    answer = cacheable(request, picture.body, picture.etag, media_type=picture.media_type, max_age=max_age)
    return answer._replace(headers=[*answer.headers, *_HEADERS])


class Picture(NamedTuple):
    """A picture that browsers may be given."""

    body: bytes
    media_type: str
    etag: str


@dataclass(slots=True)
class _Logo:
    """What is known of one address."""

    picture: Picture | None = None
    looked_at: int | None = None
    fetching: Event | None = None

    def is_known(self) -> bool:
        # A clock that was set back makes nothing last longer.
        age = None if self.looked_at is None else now() - self.looked_at
        return age is not None and 0 <= age < (RETRY if self.picture is None else FRESH)


class Logos:
    """The logos of this process: each fetched once for all who wait, few at a time, in bounded memory."""

    def __init__(self, outbound: Outbound, limits: Limits, threads: int) -> None:
        self._outbound = outbound
        self._limits = limits
        self._lock = Lock()
        self._kept: OrderedDict[str, _Logo] = OrderedDict()
        places = max(2, threads // 8)
        self._fetches, self._waits = BoundedSemaphore(places), BoundedSemaphore(places)

    def find(self, client_id: str, uri: str) -> Picture | None:
        """Return the picture at an address that a client has registered; None where there is none to be had now."""
        done = Event()
        with self._lock:
            logo = self._kept.get(uri) or _Logo()
            if logo.is_known():
                self._kept.move_to_end(uri)
                return logo.picture
            running = logo.fetching
            leads = running is None and self._begin(client_id, uri)
            if leads:
                logo.fetching = done
                self._keep(uri, logo)
        if leads:
            self._refresh(client_id, uri, logo, done)
        elif running is not None:
            self._wait(running)
        with self._lock:
            return logo.picture if logo.is_known() else None

    def _keep(self, uri: str, logo: _Logo) -> None:
        # Only what is fetched takes a place from another: what is merely asked for pushes nothing out.
        self._kept[uri] = logo
        self._kept.move_to_end(uri)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _begin(self, client_id: str, uri: str) -> bool:
        """Take a place for one more fetch, unless it is one too many.

        Whoever may register a client says where, not how often. What finds no place is not counted: the slow hosts of
        others use up nobody's share.
        """
        if not self._fetches.acquire(blocking=False):
            return False
        try:
            self._limits.count_here("logos-of-client", client_id, HOUR, _PER_CLIENT)
            self._limits.count_here("logos-of-host", _host(uri), MINUTE, _PER_HOST)
        except Exceeded:
            self._fetches.release()
            return False
        return True

    def _refresh(self, client_id: str, uri: str, logo: _Logo, done: Event) -> None:
        picture = None
        try:
            picture = self._fetch(uri)
        except OutboundError as problem:
            logger.warning("logo of a client not shown", extra={"client_id": client_id, "reason": str(problem)})
        finally:
            with self._lock:
                logo.picture, logo.looked_at, logo.fetching = picture, now(), None
            self._fetches.release()
            done.set()

    def _fetch(self, uri: str) -> Picture:
        body, _ = self._outbound.fetch_document(uri, MAX_BYTES, ", ".join(pictures.MEDIA_TYPES))
        # The bytes decide: a header says what its sender likes.
        media_type = pictures.media_type(body)
        if media_type is None:
            raise WrongAnswer("not a picture that is shown")
        return Picture(body, media_type, entity_tag(body))

    def _wait(self, running: Event) -> None:
        """Wait for the fetch of another thread, in few threads; the page of the others does without the picture."""
        if self._waits.acquire(blocking=False):
            try:
                running.wait(DEADLINE)
            finally:
                self._waits.release()


def _uri(server: "Server", given: Mapping[str, str]) -> str | None:
    """Return the address of a logo that a page of ours has named, as long as the client is there and has it."""
    client_id, name = given.get("client_id", ""), given.get("logo", "")
    digest = name[:_DIGEST]
    if not same(name, _name(server, client_id, digest)):
        return None
    client = server.query_client(client_id)
    if client is None or client.disabled_at is not None:
        return None
    uris = (uri for member, uri in client.metadata.items() if tagged.untagged(member) == MEMBER)
    return next((uri for uri in uris if _digest(uri) == digest), None)


def _host(uri: str) -> str:
    # One host has many spellings, and any port is the same machine's.
    return (urlsplit(uri).hostname or "").rstrip(".")


_DIGEST: Final = 22  # characters, of 16 bytes


def _digest(uri: str) -> str:
    return b64(hashlib.sha256(uri.encode()).digest()[:16])


def _name(server: "Server", client_id: str, digest: str) -> str:
    """Return what only this server can call a logo."""
    proof = hmac.digest(server.sealer.derive("logo"), f"{client_id}\0{digest}".encode(), "sha256")
    return digest + b64(proof[:16])
