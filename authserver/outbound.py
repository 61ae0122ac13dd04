"""The only HTTP client of the authorization server: what may be fetched from where, how much, how long, and kept how.

URLs come from clients, so each fetch may be an attempt to reach something inside (server-side request forgery). A name
is resolved once, every address that it has is checked, and the connection goes to a checked address: a second look-up,
which could answer otherwise, does not exist. Redirects are not followed, proxies are not taken from the environment,
bodies are not decompressed, and the certificate is always verified.
"""

import logging
import re
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from threading import BoundedSemaphore, Event, Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from authserver.clock import HOUR, MINUTE, SECOND, now
from authserver.guarded import Budget, Guarded, OutboundError, WrongAnswer
from authserver.jwt import InvalidJWT, Parsed, read_key_set
from authserver.records import Client
from authserver.settings import Settings, SettingsError, is_loopback

if TYPE_CHECKING:
    import httpcore2

__all__ = ["Outbound", "OutboundError", "WrongAnswer", "is_public"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
Wanted = Callable[[Mapping[str, Any]], bool]
"""Says of one key of a set whether it is the one that is looked for."""

MAX_BYTES: Final = 64 * 1024
DEADLINE = 5.0  # seconds for everything: name, connection, handshake, headers, body
KEYS_FRESH: Final = 5 * MINUTE
KEYS_USABLE: Final = HOUR  # last good keys serve so long when they cannot be fetched again
COOL_DOWN: Final = MINUTE  # between two fetches of a set that is known
RETRY: Final = 10 * SECOND  # between two fetches of a set that was never seen
PATIENCE: Final = 0.25  # seconds that a request waits when it has other keys to go on with, or no place to wait
KEPT: Final = 1000

_HEADERS: Final = (("Accept-Encoding", "identity"), ("User-Agent", "authserver"))
# The only reader of these URLs, so that no two parsers disagree: no user, no backslash, no fragment, no zone.
_URL: Final = re.compile(
    r"(https?)://([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?((?:[/?][!\"$-\[\]-~]*)?)", re.ASCII
)
_PORTS: Final = {"http": 80, "https": 443}
_UNICAST: Final = ip_network("2000::/3")  # the only IPv6 space that is routed; all embedded IPv4 but 6to4 lies outside
_REFUSED: Final = tuple(
    ip_network(network)
    for network in (
        # is_global calls these global.
        *("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/3", "2002::/16", "3fff::/20"),
        "168.63.129.16/32",  # the platform's own address inside Azure
    )
)


class Outbound:
    """Fetches and sends for this process; safe for many threads."""

    def __init__(self, settings: Settings) -> None:
        self._allow = frozenset(entry.lower() for entry in settings.outbound_allow)
        # Reading the machine's certificates takes time that start-up does not have; a wrong setting is told at once.
        self._context = _trust(str(settings.outbound_ca_file)) if settings.outbound_ca_file else None
        places = max(2, settings.threads // 4)
        self._key_sets = _KeySets(self.fetch, places)
        self.request_objects = BoundedSemaphore(places)
        """The threads that may wait for request objects: whoever knows a client sends people here (RFC 9101 10.4.1)."""
        self.sector_documents = BoundedSemaphore(places)
        """Those that may wait for documents of sectors: whoever may register says where (OpenID Connect Core 8.1)."""

    def client_keys(self, client: Client, parsed: Parsed) -> Mapping[str, Any]:
        """Return the ``client_key_set``, a key with the header's ``kid`` being wanted (OpenID Connect Core 10.1.1)."""
        return self.client_key_set(client, _with_kid_of(parsed))

    def issuer_keys(self, issuer: str, jwks_uri: str, parsed: Parsed) -> Mapping[str, Any]:
        """Return the key set of an issuer that the settings trust, as ``client_keys`` does."""
        return self._key_sets.get(jwks_uri, _with_kid_of(parsed), issuer)

    def client_key_set(self, client: Client, wanted: Wanted) -> Mapping[str, Any]:
        """Return the client's key set from its ``jwks_uri``, fetched again once when no key of it is wanted.

        Raises jwt.InvalidJWT when there is no set to be had.
        """
        if client.jwks_uri is None:
            raise InvalidJWT("the client has no key set")
        return self._key_sets.get(client.jwks_uri, wanted, client.client_id)

    def encryption_keys(self, client: Client) -> Mapping[str, Any]:
        """Return the keys of the client's ``jwks_uri`` that it can be encrypted to; raises jwt.InvalidJWT."""
        if client.jwks_uri is None:
            raise InvalidJWT("the client has no key set")
        return self._key_sets.get(client.jwks_uri, _is_anything, client.client_id, "enc")

    def fetch(self, url: str, max_bytes: int = MAX_BYTES) -> bytes:
        """Return the body of a 200 answer to GET; raises OutboundError."""
        return self.fetch_document(url, max_bytes)[0]

    def fetch_document(self, url: str, max_bytes: int, accept: str = "*/*") -> tuple[bytes, dict[str, str]]:
        """Return body and headers (names in lower case) of a 200 answer to GET; raises OutboundError."""
        return self._exchange(
            "GET", url, (("Accept", accept),), None, max_bytes, lambda response: _read(response, max_bytes)
        )

    def post(self, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> int:
        """Send a POST; return the status of the answer, of which nothing else is looked at; raises OutboundError."""
        sized = (*headers, ("Content-Length", str(len(body))))
        return self._exchange("POST", url, sized, body, MAX_BYTES, lambda response: response.status)

    def _exchange(
        self,
        method: str,
        url: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes | None,
        max_bytes: int,
        read: "Callable[[httpcore2.Response], T]",
    ) -> T:
        """Send one request to an address that was checked; return what ``read`` makes of the answer."""
        import httpcore2  # noqa: PLC0415 - a quarter of a second that most processes never need

        budget = Budget(DEADLINE, max_bytes)
        scheme, host, port, target = _split(url)
        backend = Guarded(self._guard(scheme, host, port), budget)
        parts = httpcore2.URL(scheme=scheme.encode(), host=host.encode(), port=port, target=target.encode())
        place = ("Host", host if port == _PORTS[scheme] else f"{host}:{port}")
        try:
            with (
                httpcore2.ConnectionPool(
                    ssl_context=self._trusted(), network_backend=cast("httpcore2.NetworkBackend", backend)
                ) as pool,
                pool.stream(method, parts, headers=[place, *headers, *_HEADERS], content=body) as response,
            ):
                return read(response)
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise OutboundError(f"not fetched: {type(error).__name__}") from None
        except (httpcore2.UnsupportedProtocol, httpcore2.ConnectionNotAvailable, OSError, ValueError) as error:
            raise OutboundError(f"not fetched: {type(error).__name__}") from None

    def _guard(self, scheme: str, host: str, port: int) -> Callable[[str], bool]:
        """Return what decides on an address of this host; raises OutboundError when no address would do."""
        bare = host.strip("[]").lower()
        listed = not self._allow.isdisjoint({bare, host.lower(), f"{host.lower()}:{port}"})
        if scheme == "https":
            return _is_anything if listed else is_public
        # A name that is not loopback could be answered by anybody on the way.
        if listed and is_loopback(bare):
            return is_loopback
        raise OutboundError("http is for loopback hosts on the allow-list only")

    def _trusted(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = _trust(None)
        return self._context


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the public internet, and leads to itself rather than to another address."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    routed = ip.version == 4 or ip in _UNICAST
    return routed and ip.is_global and not any(ip in network for network in _REFUSED)


def _with_kid_of(parsed: Parsed) -> Wanted:
    kid = parsed.header.get("kid")
    if not (kid is None or isinstance(kid, str)):
        raise InvalidJWT("the key identifier is not a string")
    return lambda key: kid is None or key.get("kid") == kid


def _is_anything(_thing: object) -> bool:
    return True


def _split(url: str) -> tuple[str, str, int, str]:
    found = _URL.fullmatch(url)
    if found is None:
        raise OutboundError("not a URL that is fetched")
    scheme, host, port, target = found.groups()
    number = int(port) if port else _PORTS[scheme]
    if not 0 < number < 65536:
        raise OutboundError("not a URL that is fetched")
    return scheme, host, number, target if target.startswith("/") else f"/{target}"


def _trust(file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if file is not None:
        try:
            context.load_verify_locations(file)
        except (OSError, ValueError) as error:
            raise SettingsError(f"AUTHSERVER_OUTBOUND_CA_FILE cannot be read: {type(error).__name__}") from None
    return context


def _read(response: "httpcore2.Response", max_bytes: int) -> tuple[bytes, dict[str, str]]:
    if response.status != 200:  # a redirect's target is chosen by the other side
        busy = response.status >= 500 or response.status == 429
        raise (OutboundError if busy else WrongAnswer)("the answer is not 200")
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers]
    if any(name == "content-encoding" and value.lower() != "identity" for name, value in headers):
        raise WrongAnswer("the answer is compressed")
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > max_bytes:
            raise WrongAnswer("the answer is too large")
    return bytes(body), dict(headers)


@dataclass(slots=True)
class _KeySet:
    """What is known of one ``jwks_uri``, for one use of its keys."""

    keys: Mapping[str, Any] | None = None
    fetched_at: int = 0
    rests_until: int = 0
    fetching: Event | None = None

    def is_younger(self, age: int) -> bool:
        return self.keys is not None and 0 <= now() - self.fetched_at < age

    def has(self, wanted: Wanted) -> bool:
        return self.keys is not None and any(wanted(key) for key in self.keys["keys"])

    def is_resting(self) -> bool:
        # The upper bound is for a clock that was set back.
        return 0 < self.rests_until - now() <= COOL_DOWN


class _KeySets:
    """The key sets of clients and issuers: one fetch at a time for each, and few threads that wait for slow ones."""

    def __init__(self, fetch: Callable[[str], bytes], places: int) -> None:
        self._fetch = fetch
        self._lock = Lock()
        self._sets: OrderedDict[tuple[str, str], _KeySet] = OrderedDict()
        self._fetches = BoundedSemaphore(places)
        self._waits = BoundedSemaphore(places)

    def get(self, uri: str, wanted: Wanted, owner: str, use: str = "sig") -> Mapping[str, Any]:
        """Return the set's keys for this use, fresh or the last good ones; raises InvalidJWT."""
        done = Event()
        with self._lock:
            kept = self._kept(uri, use)
            if kept.keys is not None and kept.is_younger(KEYS_FRESH) and kept.has(wanted):
                return kept.keys
            running = kept.fetching
            leads = running is None and not kept.is_resting() and self._fetches.acquire(blocking=False)
            if leads:
                kept.fetching = done
        if leads:
            self._refresh(uri, use, kept, done, owner)
        elif running is not None:
            self._wait(running, hurried=kept.is_younger(KEYS_USABLE) and kept.has(wanted))
        with self._lock:
            if kept.keys is not None and kept.is_younger(KEYS_USABLE):
                return kept.keys
        raise InvalidJWT("the client's key set is not to be had")

    def _kept(self, uri: str, use: str) -> _KeySet:
        kept = self._sets.setdefault((uri, use), _KeySet())
        self._sets.move_to_end((uri, use))
        if len(self._sets) > KEPT:
            self._sets.popitem(last=False)
        return kept

    def _refresh(self, uri: str, use: str, kept: _KeySet, done: Event, owner: str) -> None:
        keys: Mapping[str, Any] | None = None
        try:
            keys = read_key_set(self._fetch(uri), use)
        except (OutboundError, InvalidJWT) as error:
            logger.warning("key set not fetched", extra={"owner": owner, "reason": str(error)})
        finally:
            with self._lock:
                self._store(kept, keys)
            self._fetches.release()
            done.set()

    @staticmethod
    def _store(kept: _KeySet, keys: Mapping[str, Any] | None) -> None:
        moment, first = now(), kept.keys is None
        if keys is not None:
            kept.keys, kept.fetched_at = keys, moment
        # A key that a client adds right after its set was first seen is found at once; whatever is asked then waits.
        rest = COOL_DOWN if not first else RETRY if keys is None else 0
        kept.rests_until = moment + rest
        kept.fetching = None

    def _wait(self, running: Event, *, hurried: bool) -> None:
        """Wait for another thread's fetch: to its end in few threads, for a moment in the others."""
        if hurried or not self._waits.acquire(blocking=False):
            running.wait(PATIENCE)
            return
        try:
            running.wait(DEADLINE)
        finally:
            self._waits.release()
