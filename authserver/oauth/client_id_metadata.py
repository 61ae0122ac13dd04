"""OAuth 2.0 Client ID Metadata Document (draft-ietf-oauth-client-id-metadata-document-02; numbers are its sections).

https://datatracker.ietf.org/doc/html/draft-ietf-oauth-client-id-metadata-document-02

The ``client_id`` is an https URL, and what lies there describes the client: nothing is registered. The exact URL is the
identity; people are shown its host, told that nobody has checked it, and asked in every browser session. What strangers
name is fetched through the guard of ``outbound``, few at a time, and kept in memory only. A row is written when a
person allows such a client something, because grants live by the row of their client. From then on all nodes go by the
row until the document is due again, so that what was allowed is decided by what was shown.

Plugs into: CLIENT_FINDERS, AUTHORIZE_RESOLVE, AUTHORIZE_GRANT, METADATA.
"""

import logging
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from threading import BoundedSemaphore, Event, Lock
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from authserver import jwt
from authserver.clock import DAY, MINUTE, SECOND, now
from authserver.limits import Exceeded
from authserver.manage import clients, uris
from authserver.manage.errors import InvalidMetadata
from authserver.oauth import errors, registration
from authserver.oauth.request import AuthorizationRequest, Request
from authserver.outbound import OutboundError, WrongAnswer
from authserver.records import Client
from authserver.redirects import origin_of
from authserver.settings import Settings
from authserver.store.clients import DOCUMENT_EXPIRES
from authserver.store.errors import Conflict

if TYPE_CHECKING:
    from authserver.oauth.server import Server

logger = logging.getLogger(__name__)

FEATURE: Final = "client_id_metadata"
SCHEME: Final = "https://"
MAX_BYTES: Final = 5 * 1024  # 8.7
SHORTEST: Final = 10 * MINUTE  # 5.2: as long as any code may live, so that a flow ends with what it began with
LONGEST: Final = DAY
USABLE: Final = DAY  # a document that was good serves so long while its place does not answer
RETRY: Final = 30 * SECOND  # between two fetches meanwhile
KEPT: Final = 1000
WAIT: Final = 5.0  # seconds that a request waits for the fetch of another one, where few do
PATIENCE: Final = 0.25  # and where there are more
_FETCHES: Final = 60  # a minute, from one host
_AHEAD: Final = MINUTE  # that the clock of another node may be
_LONGEST_ID: Final = 255  # characters
_METHODS: Final = ("none", "private_key_jwt")  # 4.1
_URL: Final = re.compile(r"https://([a-z0-9.:\[\]-]+)(/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)", re.ASCII)
_NAME: Final = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_JSON: Final = re.compile(r"application/(?:[a-z0-9!#$&^_.+-]+\+)?json", re.ASCII)
_AGE: Final = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,9})\"?(?:$|[,\s])", re.ASCII)


class Unusable(ValueError):
    """The document does not describe a client; the message is a fixed phrase."""


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce that such identifiers are taken (6)."""
    del server, settings
    return {"client_id_metadata_document_supported": True}


def resolve(server: "Server", request: Request) -> None:
    """Say plainly that it is the document of the client that cannot be had (5.1); raises NotRedirectable."""
    client_id = request.parameters.get("client_id", "")
    if client_id.startswith(SCHEME) and server.query_client(client_id) is None:
        raise errors.NotRedirectable("invalid_client", errors.DOCUMENT_UNUSABLE, errors.ASK_DEVELOPER)


def keep(server: "Server", request: AuthorizationRequest) -> None:
    """Store the client whose user is about to give it a code; raises NotRedirectable when it is gone."""
    if not request.client_id.startswith(SCHEME):
        return
    client = server.query_client(request.client_id)
    if client is None:
        raise errors.NotRedirectable("invalid_client", errors.DOCUMENT_UNUSABLE, errors.ASK_DEVELOPER)
    if client.origin == "document" and client.created_at == 0:
        _store(server, client)


def host_of(client_id: str, allowed: frozenset[str] = frozenset()) -> str | None:
    """Return the host of an identifier that may be one (3), or None.

    Beyond the draft: no query, no path of the root alone, no empty segment, and a host that a person can read, which is
    a public name in ASCII without a port. ``allowed`` are the hosts that the settings let be fetched whatever they are.
    """
    found = _URL.fullmatch(client_id)
    if found is None or len(client_id) > _LONGEST_ID:
        return None
    authority, path = found.groups()
    decoded = unquote(path)
    segments = decoded.split("/")[1:]
    if not {".", ".."}.isdisjoint(segments) or "" in segments[:-1] or segments == [""]:
        return None
    if "\\" in decoded or not decoded.isprintable() or "%2f" in path.lower():
        return None
    host = authority.rpartition(":")[0] if re.search(r":[0-9]+\Z", authority) else authority
    if not allowed.isdisjoint({host.strip("[]"), authority}):
        return authority
    readable = _NAME.fullmatch(authority) and not any(label.startswith("xn--") for label in authority.split("."))
    return authority if readable else None


def read(server: "Server", client_id: str, body: bytes, headers: Mapping[str, str], moment: int) -> Client:
    """Return the client that a document describes (4), by the policy of clients that register themselves.

    Raises Unusable.
    """
    if not _JSON.fullmatch(headers.get("content-type", "").partition(";")[0].strip().lower()):
        raise Unusable("not JSON")
    try:
        document = jwt.parse_object(body)
        # 4: equal by "simple string comparison".
        if document.get("client_id") != client_id:
            raise Unusable("of another client_id")
        method = document.setdefault("token_endpoint_auth_method", "none")
        # 4.1: there is "no way to establish a shared secret".
        if method not in _METHODS or not {"client_secret", "client_secret_expires_at"}.isdisjoint(document):
            raise Unusable("authenticates by a secret")
        given = registration.narrowed(server, document)
        _check_places(client_id, given)
        known = registration.members(server)
        # The sector is the host of the document, so that nothing more is fetched.
        del given["client_id"], known[registration.STATEMENT], known["sector_identifier_uri"]
        profile = server.settings.registration.profile
        client = clients.described(client_id, given, profile=profile, members=known, moment=moment)
        registration.approve(server, client)
    except jwt.InvalidJWT:
        raise Unusable("not an object") from None
    except (InvalidMetadata, errors.OAuth2Error) as problem:
        raise Unusable(problem.description or "refused") from None
    if not client.check_grant_type("authorization_code"):
        raise Unusable("without the code grant")
    expires = {DOCUMENT_EXPIRES: (moment + lifetime(headers, moment)) // SECOND}
    return replace(client, metadata={**client.metadata, **expires})


def lifetime(headers: Mapping[str, str], moment: int) -> int:
    """Return how long a document counts (5.2, RFC 9111 4.2.1), within our own bounds."""
    control = headers.get("cache-control", "").lower()
    found = _AGE.search(control)
    if "no-store" in control or "no-cache" in control:
        wanted = 0
    elif found is not None:
        age = headers.get("age", "0")
        wanted = (int(found[1]) - (int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0)) * SECOND
    else:
        wanted = _until(headers["expires"], moment) if "expires" in headers else SHORTEST
    return min(max(wanted, SHORTEST), LONGEST)


@dataclass(slots=True)
class _Document:
    """What is known of one document."""

    client: Client | None = None
    rests_until: int = 0
    fetching: Event | None = None


class Documents:
    """The clients behind the URLs: one fetch at a time for each, few at once, and bounded memory for strangers."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._allowed = frozenset(entry.lower() for entry in server.settings.outbound_allow)
        self._lock = Lock()
        self._kept: OrderedDict[str, _Document] = OrderedDict()
        places = max(2, server.settings.threads // 8)
        self._fetches, self._waits = BoundedSemaphore(places), BoundedSemaphore(places)

    def find(self, client_id: str, row: Client | None) -> Client | None:
        """Return the client of a document; ``row`` is what was stored when a person last allowed it something."""
        host = host_of(client_id, self._allowed)
        if host is None or (row is not None and row.disabled_at is not None):
            return row if host is not None else None
        if row is not None and _is_fresh(row):
            return row
        done = Event()
        with self._lock:
            kept = self._entry(client_id)
            known = row or kept.client
            if known is not None and _is_fresh(known):
                return known
            usable = known if known is not None and now() - known.updated_at < USABLE else None
            running = kept.fetching
            rests = usable is not None and 0 < kept.rests_until - now() <= RETRY
            leads = running is None and not rests and self._may_fetch(host) and self._fetches.acquire(blocking=False)
            if leads:
                kept.fetching = done
        if leads:
            return self._refresh(client_id, kept, done, row, usable)
        if running is not None and usable is None:
            self._wait(running)
            with self._lock:
                return kept.client if kept.client is not None and _is_fresh(kept.client) else None
        return usable

    def _entry(self, client_id: str) -> _Document:
        kept = self._kept.setdefault(client_id, _Document())
        self._kept.move_to_end(client_id)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return kept

    def _may_fetch(self, host: str) -> bool:
        """Say whether one more fetch from this host is not too many: strangers choose where, not how often (8.6)."""
        try:
            self._server.limits.count_here("client-documents", host, MINUTE, _FETCHES)
        except Exceeded:
            return False
        return True

    def _refresh(
        self, client_id: str, kept: _Document, done: Event, row: Client | None, usable: Client | None
    ) -> Client | None:
        """Fetch the document; an error is remembered by nobody (5.2), but what was good before may serve meanwhile."""
        found, rests_until, moment = None, 0, now()
        try:
            body, headers = self._server.outbound.fetch_document(client_id, MAX_BYTES, "application/json")
            found = read(self._server, client_id, body, headers, moment)
        except (OutboundError, Unusable) as problem:
            logger.warning("document of a client not used", extra={"client_id": client_id, "reason": str(problem)})
            if isinstance(problem, Unusable | WrongAnswer):
                usable = None  # its owner has taken it away, or broken it
            elif usable is not None:
                rests_until = moment + RETRY
        finally:
            with self._lock:
                # A row, where there is one, goes before what is kept here.
                kept.client, kept.fetching, kept.rests_until = found or (None if row else usable), None, rests_until
            self._fetches.release()
            done.set()
        if found is None or row is None:
            return found or usable
        _store(self._server, found)
        return replace(found, created_at=row.created_at)

    def _wait(self, running: Event) -> None:
        """Wait for the fetch of another thread: to its end in few threads, for a moment in the others."""
        if not self._waits.acquire(blocking=False):
            running.wait(PATIENCE)
            return
        try:
            running.wait(WAIT)
        finally:
            self._waits.release()


def _is_fresh(client: Client) -> bool:
    # A clock that was set back makes nothing last longer.
    expires_at: int = client.metadata.get(DOCUMENT_EXPIRES, 0) * SECOND
    return client.updated_at - _AHEAD <= now() < expires_at


def _store(server: "Server", client: Client) -> None:
    try:
        server.store.clients.keep_document(client)
    except Conflict:
        # Another thread or node was faster with the same document.
        logger.debug("document of a client stored by another", extra={"client_id": client.client_id})


def _check_places(client_id: str, given: Mapping[str, Any]) -> None:
    """Check that answers stay with the site that the person was shown (8.1), or on the person's own device."""
    home = origin_of(client_id)
    for name in ("redirect_uris", "post_logout_redirect_uris"):
        places = given.get(name) or []
        if not isinstance(places, list):
            continue
        for place in places:
            if uris.page(place) is not None or not (origin_of(place) == home or _is_loopback(place)):
                raise Unusable("a redirect URI is neither on the host of the client_id nor on loopback")


def _is_loopback(uri: str) -> bool:
    return urlsplit(uri).hostname in uris.LOOPBACK


def _until(date: str, moment: int) -> int:
    try:
        return int(parsedate_to_datetime(date).timestamp()) * SECOND - moment
    except (ValueError, OverflowError, TypeError):
        return 0
