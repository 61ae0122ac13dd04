"""An issuer's public keys: fetched, prepared once, and kept.

RFC 7517 (JSON Web Key), https://www.rfc-editor.org/rfc/rfc7517

A key is found by `kid` *and* `alg` together, and is entered only under the algorithms that its own type, curve and
`alg` allow, so a token cannot choose how a key is used (RFC 8725 section 3.1).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from jwt import InvalidKeyError
from jwt.algorithms import Algorithm, get_default_algorithms

from resourceserver.discovery import IssuerMetadata
from resourceserver.errors import UnavailableError
from resourceserver.fetch import Fetcher, FetchError, check_url
from resourceserver.strict_json import parse_object

log = logging.getLogger("resourceserver")

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
MAX_KEYS = 100
MAX_KID = 256
MAX_MODULUS = 1366  # characters of base64url: 8192 bits
SHORTEST_LIFETIME = 60.0
USUAL_LIFETIME = 300.0
LONGEST_LIFETIME = 3600.0

_OF_CURVE = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",), "Ed25519": ("EdDSA", "Ed25519")}
_OF_RSA = ("RS256", "PS256")
# RFC 9864 3: one signature scheme under two names.
_SAME_SCHEME = {"EdDSA": frozenset({"EdDSA", "Ed25519"}), "Ed25519": frozenset({"EdDSA", "Ed25519"})}
_IMPLEMENTED = get_default_algorithms()
_VERIFIERS = {name: _IMPLEMENTED["EdDSA" if name == "Ed25519" else name] for name in ALGORITHMS}


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key, ready for use with one algorithm."""

    kid: str
    alg: str
    algorithm: Algorithm
    key: object

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        """Say whether `signature` over `signing_input` was made by the private half of this key."""
        return self.algorithm.verify(signing_input, self.key, signature)


def read_key_set(document: Mapping[str, object]) -> dict[tuple[str, str], VerificationKey]:
    """Return the usable keys of a JWK Set by kid and algorithm.

    Symmetric and private keys, keys without a kid, keys for encryption, weak and unknown ones are left out, and so is
    what two keys both claim. Raises ValueError when the document is not a JWK Set.
    """
    members = document.get("keys")
    if not isinstance(members, list) or len(members) > MAX_KEYS:
        raise ValueError("not a JWK Set")
    found: dict[tuple[str, str], VerificationKey] = {}
    claimed_twice = set()
    for member in members:
        for key in _prepare(member):
            name = (key.kid, key.alg)
            if name in found:
                claimed_twice.add(name)
            found[name] = key
    for name in claimed_twice:
        log.warning("two published keys claim the same kid and algorithm; neither is used")
        del found[name]
    return found


def _prepare(member: object) -> Iterable[VerificationKey]:
    if not isinstance(member, dict) or "d" in member or "k" in member:
        return
    kid = member.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID or member.get("use", "sig") != "sig":
        return
    operations = member.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return
    names = _algorithms_of(member)
    if not names or len(str(member.get("n", ""))) > MAX_MODULUS:
        return
    try:
        prepared = _VERIFIERS[names[0]].from_jwk(member)
    except (InvalidKeyError, ValueError, TypeError, KeyError):
        log.warning("a published key cannot be read and is left out")
        return
    if _VERIFIERS[names[0]].check_key_length(prepared) is not None:
        log.warning("a published key is too short and is left out")
        return
    for name in names:
        yield VerificationKey(kid, name, _VERIFIERS[name], prepared)


def _algorithms_of(member: Mapping[str, object]) -> tuple[str, ...]:
    kty, curve, stated = member.get("kty"), member.get("crv"), member.get("alg")
    by_type: tuple[str, ...] = ()
    if kty == "RSA":
        by_type = _OF_RSA
    elif isinstance(curve, str) and kty == ("OKP" if curve == "Ed25519" else "EC"):
        by_type = _OF_CURVE.get(curve, ())
    if stated is None:
        return by_type
    if not isinstance(stated, str):
        return ()
    allowed = _SAME_SCHEME.get(stated, frozenset({stated}))
    return tuple(name for name in by_type if name in allowed)


class KeySource:
    """The published keys of one issuer, for many threads.

    Keys are fetched when first needed and again when their max-age (60 s to 1 h) is over, by one thread while the
    others go on with the keys at hand. An unknown kid causes one more fetch, at most once per `cool_down` seconds
    however many unknown kids arrive. When the issuer is away the last keys are used for `stale_seconds` more.
    `issuer` is the issuer's identifier, or its IssuerMetadata to share; `jwks_uri` spares the discovery.
    """

    def __init__(
        self,
        issuer: str | IssuerMetadata,
        fetcher: Fetcher | None = None,
        *,
        jwks_uri: str = "",
        cool_down: float = 60.0,
        stale_seconds: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetcher = fetcher or Fetcher()
        self._metadata = issuer if isinstance(issuer, IssuerMetadata) else IssuerMetadata(issuer, self._fetcher)
        self._jwks_uri = check_url(jwks_uri) if jwks_uri else ""
        self._cool_down = cool_down
        self._stale_seconds = stale_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[tuple[str, str], VerificationKey] = {}
        self._generation = 0
        self._good_until = self._retry_at = self._next_search = float("-inf")
        self._fetched_at = float("-inf")
        self._failed = False

    def find(self, kid: str, alg: str) -> VerificationKey | None:
        """Return the key that the issuer publishes under `kid` for `alg`, or None when there is none.

        Raises UnavailableError when that cannot be told because the issuer does not answer.
        """
        seen = self._ensure()
        key = self._keys.get((kid, alg))
        if key is None and self._search_again(seen):
            key = self._keys.get((kid, alg))
        return key

    def _ensure(self) -> int:
        """Have keys that may be used now; return the generation that was there before this call fetched any."""
        now, before = self._clock(), self._generation
        if self._fetched_at <= now < self._good_until:
            return before
        usable = before > 0 and self._fetched_at <= now < self._good_until + self._stale_seconds
        # With usable keys at hand nobody waits: one thread fetches, the others go on.
        if self._lock.acquire(blocking=not usable):
            try:
                if self._generation == before and now >= self._retry_at:
                    self._fetch(now)
                usable = usable or self._generation > before
            finally:
                self._lock.release()
        if not usable:
            raise UnavailableError("keys of the issuer cannot be fetched")
        return before

    def _search_again(self, seen: int) -> bool:
        """Fetch because of an unknown kid; say whether the keys are newer than those of generation `seen`."""
        if self._generation > seen:
            return True
        with self._lock:
            now = self._clock()
            if self._generation == seen and now >= self._next_search:
                self._next_search = now + self._cool_down
                self._fetch(now)
        if self._failed:
            # The kid may be a brand-new key: nobody can say that the token is bad.
            raise UnavailableError("unknown kid while the issuer is away")
        return self._generation > seen

    def _fetch(self, now: float) -> None:
        try:
            self._keys, max_age = self._download()
        except (FetchError, UnavailableError, ValueError):
            self._failed = True
            self._retry_at = self._clock() + (10.0 if self._generation else 2.0)
            log.warning("keys of issuer %s cannot be fetched", self._metadata.issuer)
            return
        stated = USUAL_LIFETIME if max_age is None else float(max_age)
        self._fetched_at = now
        self._good_until = now + min(max(stated, SHORTEST_LIFETIME), LONGEST_LIFETIME)
        self._failed = False
        self._generation += 1

    def _download(self) -> tuple[dict[tuple[str, str], VerificationKey], int | None]:
        reply = self._fetcher.get(self._jwks_uri or self._metadata.url("jwks_uri"))
        if reply.status != 200:
            raise FetchError("unexpected status")
        keys = read_key_set(parse_object(reply.body))
        if not keys:
            # More likely a fault of the issuer than its wish: the last good keys stay for their bounded time.
            raise ValueError("no usable key")
        return keys, reply.max_age
