"""The only HTTP client of the authorization server: what may be fetched from where, how much, how long, and kept how.

URLs come from clients, so each fetch may be an attempt to reach something inside (server-side request forgery). A name
is resolved once, every address that it has is checked, and the connection goes to a checked address: a second look-up,
which could answer otherwise, does not exist. Redirects are not followed, proxies are not taken from the environment,
bodies are not decompressed, and the certificate is always verified.
"""

import logging
import re
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Final, cast

from authserver.clock import HOUR, MINUTE, SECOND, now
from authserver.jwt import InvalidJWT, Parsed, read_key_set
from authserver.records import Client
from authserver.settings import Settings, SettingsError, is_loopback

if TYPE_CHECKING:
    import httpcore2

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 64 * 1024
DEADLINE = 5.0  # seconds for everything: name, connection, handshake, headers, body
KEYS_FRESH: Final = 5 * MINUTE
KEYS_USABLE: Final = HOUR  # last good keys serve so long when they cannot be fetched again
COOL_DOWN: Final = MINUTE  # between two fetches of a set that is known
RETRY: Final = 10 * SECOND  # between two fetches of a set that was never seen
PATIENCE: Final = 0.25  # seconds that a request waits when it has other keys to go on with, or no place to wait
KEPT: Final = 1000

_HEADERS: Final = (("Accept", "*/*"), ("Accept-Encoding", "identity"), ("User-Agent", "authserver"))
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
_look_ups: Final = BoundedSemaphore(32)


class OutboundError(Exception):
    """Something was not fetched; the message is a fixed phrase that says why."""


class Outbound:
    """Fetches for this process; safe for many threads."""

    def __init__(self, settings: Settings) -> None:
        self._allow = frozenset(entry.lower() for entry in settings.outbound_allow)
        # Reading the machine's certificates takes time that start-up does not have; a wrong setting is told at once.
        self._context = _trust(str(settings.outbound_ca_file)) if settings.outbound_ca_file else None
        self._key_sets = _KeySets(self.fetch, max(2, settings.threads // 4))

    def client_keys(self, client: Client, parsed: Parsed) -> Mapping[str, Any]:
        """Return the client's key set from its ``jwks_uri``, fetched again once when it lacks the header's ``kid``.

        Raises jwt.InvalidJWT when there is no set to be had (OpenID Connect Core 10.1.1).
        """
        kid = parsed.header.get("kid")
        if client.jwks_uri is None or not (kid is None or isinstance(kid, str)):
            raise InvalidJWT("the client has no key set, or the key identifier is not a string")
        return self._key_sets.get(client.jwks_uri, kid, client.client_id)

    def encryption_keys(self, client: Client) -> Mapping[str, Any]:
        """Return the keys of the client's ``jwks_uri`` that it can be encrypted to; raises jwt.InvalidJWT."""
        if client.jwks_uri is None:
            raise InvalidJWT("the client has no key set")
        return self._key_sets.get(client.jwks_uri, None, client.client_id, "enc")

    def fetch(self, url: str, max_bytes: int = MAX_BYTES) -> bytes:
        """Return the body of a 200 answer to GET; raises OutboundError."""
        import httpcore2  # noqa: PLC0415 - a quarter of a second that most processes never need

        budget = _Budget(DEADLINE, max_bytes)
        scheme, host, port, target = _split(url)
        backend = _Guarded(self._guard(scheme, host, port), budget)
        parts = httpcore2.URL(scheme=scheme.encode(), host=host.encode(), port=port, target=target.encode())
        headers = [("Host", host if port == _PORTS[scheme] else f"{host}:{port}"), *_HEADERS]
        try:
            with (
                httpcore2.ConnectionPool(
                    ssl_context=self._trusted(), network_backend=cast("httpcore2.NetworkBackend", backend)
                ) as pool,
                pool.stream("GET", parts, headers=headers) as response,
            ):
                return _read(response, max_bytes)
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


def _is_anything(_address: str) -> bool:
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


def _read(response: "httpcore2.Response", max_bytes: int) -> bytes:
    if response.status != 200:  # a redirect's target is chosen by the other side
        raise OutboundError("the answer is not 200")
    if any(name.lower() == b"content-encoding" and value.lower() != b"identity" for name, value in response.headers):
        raise OutboundError("the answer is compressed")
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > max_bytes:
            raise OutboundError("the answer is too large")
    return bytes(body)


class _Budget:
    """Time and bytes of one fetch: limits for each read would never end a peer that sends one byte a second."""

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._end = time.monotonic() + seconds
        self._bytes = 2 * max_bytes + 64 * 1024  # with the headers, and with the framing of chunks

    def seconds(self) -> float:
        """Return the seconds that are left; raises OutboundError when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise OutboundError("the answer took too long")
        return left

    def spend(self, size: int) -> None:
        """Count bytes off the wire; raises OutboundError when there were too many."""
        self._bytes -= size
        if self._bytes < 0:
            raise OutboundError("the answer is too large")


# These two have the shape of httpcore2's NetworkStream and NetworkBackend without being subclasses: a subclass would
# import the library when the server starts.


class _Stream:
    """A connection under a budget, in place of the timeouts that the library hands down."""

    def __init__(self, inner: "httpcore2.NetworkStream", budget: _Budget) -> None:
        self._inner = inner
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        data = self._inner.read(max_bytes, self._budget.seconds())
        self._budget.spend(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._inner.write(buffer, self._budget.seconds())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        del timeout
        # The library hands over the host as in the URL; a certificate names an IPv6 address without brackets.
        name = server_hostname.strip("[]") if server_hostname else None
        return _Stream(self._inner.start_tls(ssl_context, name, self._budget.seconds()), self._budget)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Guarded:
    """Resolves once, checks every address, connects to what it has checked."""

    def __init__(self, allowed: Callable[[str], bool], budget: _Budget) -> None:
        self._allowed = allowed
        self._budget = budget

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> _Stream:
        import httpcore2  # noqa: PLC0415 - see fetch

        del timeout, local_address, socket_options
        addresses = _resolve(host.strip("[]"), port, self._budget.seconds())
        # One bad address refuses the name: which one is used would be the other side's choice (DNS rebinding).
        if not addresses or not all(self._allowed(address) for address in addresses):
            raise OutboundError("the address is not allowed, or there is none")
        backend = httpcore2.SyncBackend()
        for place, address in enumerate(addresses, 1):
            share = self._budget.seconds() / (len(addresses) - place + 1)
            try:
                return _Stream(backend.connect_tcp(address, port, share), self._budget)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        raise OutboundError("no connection")


def _resolve(host: str, port: int, seconds: float) -> list[str]:
    """Return the addresses of a host, without repeats; raises OutboundError when that takes too long.

    The system's resolver knows no time limit, so it runs in a thread that may be left behind; there are few of them.
    """
    if not _look_ups.acquire(blocking=False):
        raise OutboundError("too many names are being resolved")
    answer: SimpleQueue[list[str]] = SimpleQueue()
    try:
        Thread(target=_look_up, args=(host, port, answer), name="resolver", daemon=True).start()
    except RuntimeError:
        _look_ups.release()
        raise OutboundError("no thread for the resolver") from None
    try:
        return answer.get(timeout=seconds)
    except Empty:
        raise OutboundError("the name was not resolved in time") from None


def _look_up(host: str, port: int, answer: SimpleQueue[list[str]]) -> None:
    found: list[str] = []
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, ValueError):
        pass
    finally:
        _look_ups.release()
        answer.put(list(dict.fromkeys(found)))


@dataclass(slots=True)
class _KeySet:
    """What is known of one ``jwks_uri``, for one use of its keys."""

    keys: Mapping[str, Any] | None = None
    kids: frozenset[str] = frozenset()
    fetched_at: int = 0
    rests_until: int = 0
    fetching: Event | None = None

    def is_younger(self, age: int) -> bool:
        return self.keys is not None and 0 <= now() - self.fetched_at < age

    def has(self, kid: str | None) -> bool:
        return kid is None or kid in self.kids

    def is_resting(self) -> bool:
        # The upper bound is for a clock that was set back.
        return 0 < self.rests_until - now() <= COOL_DOWN


class _KeySets:
    """The key sets of clients: one fetch at a time for each, and few threads that wait for slow ones."""

    def __init__(self, fetch: Callable[[str], bytes], places: int) -> None:
        self._fetch = fetch
        self._lock = Lock()
        self._sets: OrderedDict[tuple[str, str], _KeySet] = OrderedDict()
        self._fetches = BoundedSemaphore(places)
        self._waits = BoundedSemaphore(places)

    def get(self, uri: str, kid: str | None, client_id: str, use: str = "sig") -> Mapping[str, Any]:
        """Return the set's keys for this use, fresh or the last good ones; raises InvalidJWT."""
        done = Event()
        with self._lock:
            kept = self._kept(uri, use)
            if kept.keys is not None and kept.is_younger(KEYS_FRESH) and kept.has(kid):
                return kept.keys
            running = kept.fetching
            leads = running is None and not kept.is_resting() and self._fetches.acquire(blocking=False)
            if leads:
                kept.fetching = done
        if leads:
            self._refresh(uri, use, kept, done, client_id)
        elif running is not None:
            self._wait(running, hurried=kept.is_younger(KEYS_USABLE) and kept.has(kid))
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

    def _refresh(self, uri: str, use: str, kept: _KeySet, done: Event, client_id: str) -> None:
        keys: Mapping[str, Any] | None = None
        try:
            keys = read_key_set(self._fetch(uri), use)
        except (OutboundError, InvalidJWT) as error:
            logger.warning("key set of a client not fetched", extra={"client_id": client_id, "reason": str(error)})
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
            kept.kids = frozenset(key["kid"] for key in keys["keys"] if "kid" in key)
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
