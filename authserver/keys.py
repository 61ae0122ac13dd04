"""The key ring: signing keys in memory, the published set, the compact serialization of what we sign.

A key's state follows from its times, so no node promotes anything: it is published from ``publishes_at``, signs from
``signs_at`` until ``retires_at``, and is gone at ``gone_at``. Every process reads the table again each few seconds and
makes key objects only when a row has changed: importing an RSA key costs 30 ms, signing with it 0.3 ms.

Every deployment has keys for two algorithms; the others get their first key at need, and are rotated from then on. Such
a key signs at once, as there is none before it that could sign meanwhile. It is made when a client that asks for its
algorithm is registered, and so published before that client is sent anything; for what is registered elsewhere, when
something has to be signed. Whoever has read the set before does not know the ``kid``, and reads it again (OpenID
Connect Core 10.1.1).

Keys to which clients encrypt lie in the same table and are rotated with the others, but they sign nothing and nothing
is verified with them. They are published until they retire; whoever still has a copy of the set may use them until they
are gone.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from threading import Lock
from time import monotonic
from typing import Any, Final, NamedTuple

import orjson
from cryptography.hazmat.primitives import serialization
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key

from authserver import jwt, signing
from authserver.clock import DAY, HOUR, MINUTE, SECOND, now
from authserver.crypto import Sealer, b64
from authserver.records import Event, SigningKey
from authserver.settings import Settings
from authserver.signing import OF_ED25519, OF_RSA, PrivateKey, Sign
from authserver.store import Store
from authserver.store.errors import StoreError

logger = logging.getLogger(__name__)

ALGORITHMS: Final = ("RS256", "ES256")
AT_NEED: Final = ("PS256", "ES384", "Ed25519", "EdDSA")
SIGNING: Final = ALGORITHMS + AT_NEED
ENCRYPTION: Final = ("RSA-OAEP-256", "ECDH-ES")  # RFC 7518 4.3, 4.6
NEVER: Final = 2**62
BEHIND: Final = MINUTE
"""What the clock of another node may be behind."""


class KeyRingError(Exception):
    """The stored signing keys cannot be used; the message says why and what to do."""


class PublicSet(NamedTuple):
    """The published key set, ready to send."""

    body: bytes
    etag: str


class _Signer(NamedTuple):
    kid: str
    sign: Sign
    signs_at: int
    retires_at: int
    heads: dict[str, bytes]


class _Ring(NamedTuple):
    rows: tuple[SigningKey, ...]
    signers: Mapping[str, tuple[_Signer, ...]]
    verifiers: Mapping[str, tuple[Key, SigningKey]]


class KeyRing:
    """The signing keys of this process."""

    def __init__(self, store: Store, sealer: Sealer, settings: Settings) -> None:
        self._store = store
        self._sealer = sealer
        self._interval = settings.keys.refresh_seconds
        self._hints_live = settings.sessions.longest_seconds * SECOND
        self._listed = SIGNING + tuple(name for name in used(settings) if name in ENCRYPTION)
        self._due = 0.0
        self._lock = Lock()
        self._ring = _Ring((), {}, {})
        self._private: dict[str, Sign] = {}
        self._decrypting: dict[str, RSAKey | ECKey] = {}
        self._published: tuple[tuple[str, ...], PublicSet] = ((), PublicSet(b"", ""))

    def load(self) -> None:
        """Read and open the keys now; raises KeyRingError when one cannot be opened or none can sign."""
        self._due = monotonic() + self._interval
        self._take(self._store.keys.all(), strict=True)
        for algorithm in ALGORITHMS:
            self._require_signer(algorithm)

    def sign(self, algorithm: str, typ: str, claims: Mapping[str, Any]) -> str:
        """Return the compact JWS of the claims under the current key of the algorithm (RFC 7515 3.1)."""
        signer = self._signer(algorithm, self._current()) or self._first_signer(algorithm)
        head = signer.heads.get(typ)
        if head is None:
            head = signer.heads[typ] = b64(orjson.dumps({"alg": algorithm, "kid": signer.kid, "typ": typ})).encode()
        signed = head + b"." + b64(orjson.dumps(claims)).encode()
        return (signed + b"." + b64(signer.sign(signed)).encode()).decode()

    def verify(self, parsed: jwt.Parsed, *, hint: bool = False) -> dict[str, Any]:
        """Check that we signed this token with a key that still counts; return its claims; raises jwt.InvalidJWT.

        A token that is only a ``hint`` may be as old as a session, and so may its key, unless that was compromised.
        """
        kid = parsed.header.get("kid")
        known = self._current().verifiers.get(kid) if isinstance(kid, str) else None
        if known is None or not known[1].publishes_at <= now() < self._end(known[1], hint=hint):
            msg = "not signed by a key of ours"
            raise jwt.InvalidJWT(msg)
        jwt.verify(parsed, known[0], frozenset({known[1].algorithm}))
        return parsed.claims

    def decryption_key(self, kid: str, algorithm: str) -> RSAKey | ECKey:
        """Return the private key that a client has encrypted to; raises jwt.InvalidJWT.

        A key object is made when its key is first asked for: most deployments never see anything encrypted.
        """
        row = next((row for row in self._current().rows if (row.kid, row.algorithm) == (kid, algorithm)), None)
        if row is None or algorithm not in ENCRYPTION or not row.publishes_at <= now() < row.gone_at:
            msg = "not encrypted to a key of ours"
            raise jwt.InvalidJWT(msg)
        key = self._decrypting.get(kid)
        if key is None:
            try:
                key = self._decrypting[kid] = _decryption_key(row, self._sealer)
            except KeyRingError as error:
                logger.error("%s", error)  # noqa: TRY400 - the message says all
                msg = "encrypted to a key that cannot be opened here"
                raise jwt.InvalidJWT(msg) from None
        return key

    def public_set(self) -> PublicSet:
        """Return the published set (RFC 7517 5): every key that is published and not gone, newest signer first."""
        moment = now()
        rows = [row for row in self._current().rows if row.publishes_at <= moment < self._listed_until(row)]
        kids = tuple(row.kid for row in rows)
        if self._published[0] != kids:
            rows.sort(key=lambda row: (self._listed.index(row.algorithm), -row.signs_at))
            body = orjson.dumps({"keys": [orjson.loads(row.public) for row in rows]})
            self._published = kids, PublicSet(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        return self._published[1]

    def _listed_until(self, row: SigningKey) -> int:
        # Whoever copies the set just before a key is gone must not go on encrypting to it.
        end = min(row.retires_at, row.gone_at) if row.algorithm in ENCRYPTION else row.gone_at
        return end if row.algorithm in self._listed else 0

    def _end(self, row: SigningKey, *, hint: bool) -> int:
        # A compromised key is gone before it retires, or with it; what it signed proves nothing, not even as a hint.
        return row.retires_at + self._hints_live if hint and row.gone_at > row.retires_at else row.gone_at

    def _current(self) -> _Ring:
        if monotonic() >= self._due and self._lock.acquire(blocking=False):
            try:
                # The time is set first: when the database is away, the keys in memory go on serving.
                self._due = monotonic() + self._interval
                self._take(self._store.keys.all(), strict=False)
            except StoreError:
                logger.warning("signing keys not read: the store is away")
            except KeyRingError as error:
                logger.error("signing keys not read: %s", error)  # noqa: TRY400 - the message says all
            finally:
                self._lock.release()
        return self._ring

    def _take(self, rows: tuple[SigningKey, ...], *, strict: bool) -> None:
        if rows == self._ring.rows:
            return
        for row in rows:
            if row.kid not in self._private and row.gone_at > now():
                try:
                    if row.algorithm in ENCRYPTION:
                        _open(row, self._sealer)
                    else:
                        self._private[row.kid] = _signing_function(row, self._sealer)
                except KeyRingError as error:
                    # While secret keys are exchanged node by node, another node's key may not open here yet: it is
                    # published and verified with, and the key before it goes on signing.
                    if strict:
                        raise
                    logger.error("%s", error)  # noqa: TRY400 - the message says all
        self._private = {row.kid: self._private[row.kid] for row in rows if row.kid in self._private}
        self._decrypting = {row.kid: self._decrypting[row.kid] for row in rows if row.kid in self._decrypting}
        publics = {row.kid: (_public_key(row), row) for row in rows}
        verifiers = {kid: known for kid, known in publics.items() if known[1].algorithm not in ENCRYPTION}
        self._ring = _Ring(rows, self._signers(rows), verifiers)

    def _signers(self, rows: tuple[SigningKey, ...]) -> dict[str, tuple[_Signer, ...]]:
        signers: dict[str, list[_Signer]] = {}
        for row in sorted(rows, key=lambda row: -row.signs_at):
            if row.kid in self._private:
                # Nothing is signed with a key that nobody could look up.
                first, end = max(row.signs_at, row.publishes_at), min(row.retires_at, row.gone_at)
                signer = _Signer(row.kid, self._private[row.kid], first, end, {})
                signers.setdefault(row.algorithm, []).append(signer)
        return {algorithm: tuple(group) for algorithm, group in signers.items()}

    @staticmethod
    def _signer(algorithm: str, ring: _Ring) -> _Signer | None:
        moment = now()
        for signer in ring.signers.get(algorithm, ()):
            if signer.signs_at <= moment < signer.retires_at:
                return signer
        return None

    def _require_signer(self, algorithm: str) -> _Signer:
        signer = self._signer(algorithm, self._ring)
        if signer is None:
            raise KeyRingError(
                f"no {algorithm} signing key: run 'authserver key rotate --now', or restore the database"
            )
        return signer

    def _first_signer(self, algorithm: str) -> _Signer:
        """Return the signer that this process has not read yet, or that nobody has made yet."""
        if algorithm in AT_NEED:
            with self._lock:
                make_missing(self._store, self._sealer, (algorithm,), actor="keys")
                self._take(self._store.keys.all(), strict=False)
        return self._require_signer(algorithm)


def used(settings: Settings) -> tuple[str, ...]:
    """Return the algorithms that a deployment with these settings has keys for from its start."""
    return ALGORITHMS + (ENCRYPTION if settings.features.jar else ())


def make_key(algorithm: str, sealer: Sealer, *, publishes_at: int, signs_at: int) -> SigningKey:
    """Generate a key; its ``kid`` is the RFC 7638 thumbprint, its private part is sealed to its row."""
    private = signing.make_private(algorithm)
    return seal_key(algorithm, private, sealer, publishes_at=publishes_at, signs_at=signs_at)


def seal_key(
    algorithm: str,
    private: PrivateKey,
    sealer: Sealer,
    *,
    publishes_at: int,
    signs_at: int,
) -> SigningKey:
    """Return the record of a private key (tests bring their own)."""
    der = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public = (RSAKey if algorithm in OF_RSA else OKPKey if algorithm in OF_ED25519 else ECKey).import_key(pem)
    kid = public.thumbprint()
    use = "enc" if algorithm in ENCRYPTION else "sig"
    members = {**public.as_dict(private=False), "kid": kid, "use": use, "alg": algorithm}
    return SigningKey(
        kid=kid,
        algorithm=algorithm,
        sealed=sealer.seal("signing-key", _context(kid), der),
        public=json.dumps(members),
        created_at=now(),
        publishes_at=publishes_at,
        signs_at=signs_at,
        retires_at=NEVER,
        gone_at=NEVER,
    )


def ensure_first_keys(store: Store, sealer: Sealer, settings: Settings) -> bool:
    """Make one key per algorithm when the deployment has none yet; return whether keys were made."""
    if store.keys.all():
        return False
    moment = now()
    keys = tuple(make_key(algorithm, sealer, publishes_at=moment, signs_at=moment) for algorithm in used(settings))
    return store.keys.add_first(keys)


def ensure_encryption_keys(
    store: Store, sealer: Sealer, settings: Settings, *, actor: str = "worker"
) -> tuple[SigningKey, ...]:
    """Make the encryption keys of a deployment that is older than they are; return the new keys.

    One that was lost is made anew, too: unlike a signing key, nothing that was issued depends on it.
    """
    wanted = [algorithm for algorithm in used(settings) if algorithm in ENCRYPTION]
    return make_missing(store, sealer, wanted, actor=actor)


def make_missing(store: Store, sealer: Sealer, algorithms: Iterable[str], *, actor: str) -> tuple[SigningKey, ...]:
    """Make a key for each of these algorithms that has none in force; return the new keys.

    Of several processes that find the same one missing, the store lets one add its key.
    """
    moment, made = now(), []
    # There is none before it to sign meanwhile, so it counts at once also where the clock is behind.
    since = moment - BEHIND
    there = {row.algorithm for row in store.keys.all() if row.retires_at > moment}
    for algorithm in algorithms:
        if algorithm in there:
            continue
        key = make_key(algorithm, sealer, publishes_at=since, signs_at=since)
        event = Event("key.added", actor, facts={"kid": key.kid, "algorithm": algorithm})
        if store.keys.add_missing(key, moment, event):
            made.append(key)
    return tuple(made)


def rotate(
    store: Store,
    sealer: Sealer,
    settings: Settings,
    *,
    soon: bool = False,
    compromised: bool = False,
    actor: str = "worker",
) -> tuple[SigningKey, ...]:
    """Make the next key of each algorithm and give the ones before it their end.

    ``soon`` signs after 10 minutes instead of ``keys.publish_hours``; ``compromised`` signs at once and drops the keys
    before (DECISIONS, Keys and secrets). Returns the new keys.
    """
    moment = now()
    delay = 0 if compromised else 10 * MINUTE if soon else settings.keys.publish_hours * HOUR
    old = [row for row in store.keys.all() if row.gone_at > moment]
    needed = {row.algorithm for row in old if row.retires_at > moment}
    names = used(settings) + tuple(name for name in AT_NEED if name in needed)
    new = tuple(make_key(name, sealer, publishes_at=moment, signs_at=moment + delay) for name in names)
    facts = {"soon": soon, "compromised": compromised}
    for key in new:
        store.keys.add(key, Event("key.added", actor, facts={"kid": key.kid, "algorithm": key.algorithm, **facts}))
    retires_at = moment + delay
    gone_at = moment if compromised else retires_at + _longest_life(store, settings)
    for row in old:
        event = Event("key.retired", actor, facts={"kid": row.kid, "algorithm": row.algorithm, **facts})
        store.keys.set_times(row.kid, min(row.retires_at, retires_at), min(row.gone_at, gone_at), event)
    return new


def rotation_is_due(store: Store, settings: Settings) -> bool:
    """Say whether the newest signing key has signed so long that the next one has to be published."""
    newest = max((row.signs_at for row in store.keys.all() if row.algorithm in ALGORITHMS), default=0)
    return now() >= newest + settings.keys.rotate_days * DAY - settings.keys.publish_hours * HOUR


def reseal(store: Store, sealer: Sealer) -> int:
    """Seal the keys again with the first secret key; return how many were sealed by a former one."""
    count, moment = 0, now()
    for row in store.keys.all():
        # What sealed a key that is gone may be gone too.
        if row.gone_at > moment and not sealer.is_current(row.sealed):
            plain = _open(row, sealer)
            count += store.keys.reseal(row.kid, row.sealed, sealer.seal("signing-key", _context(row.kid), plain))
    return count


def _longest_life(store: Store, settings: Settings) -> int:
    tokens = settings.tokens
    of_resources = (resource.access_token_seconds or 0 for resource in store.resources.all())
    return max(tokens.access_token_seconds, tokens.id_token_seconds, *of_resources) * SECOND + 10 * MINUTE


def _context(kid: str) -> str:
    return f"signing_keys|sealed|{kid}"


def _open(row: SigningKey, sealer: Sealer) -> bytes:
    try:
        return sealer.open("signing-key", _context(row.kid), row.sealed)
    except ValueError as error:
        raise KeyRingError(f"signing key {row.kid} cannot be opened: {error}; check SECRET_KEY") from None


def _signing_function(row: SigningKey, sealer: Sealer) -> Sign:
    private = serialization.load_der_private_key(_open(row, sealer), None)
    sign = signing.signing_function(row.algorithm, private)
    if sign is None:
        raise KeyRingError(f"signing key {row.kid} is not a key for {row.algorithm}")
    return sign


def _decryption_key(row: SigningKey, sealer: Sealer) -> RSAKey | ECKey:
    try:
        return (RSAKey if row.algorithm in OF_RSA else ECKey).import_key(_open(row, sealer))
    except (JoseError, ValueError):
        raise KeyRingError(f"encryption key {row.kid} is not a key for {row.algorithm}") from None


def _public_key(row: SigningKey) -> Key:
    try:
        return import_key(json.loads(row.public))
    except (JoseError, ValueError):
        raise KeyRingError(f"signing key {row.kid} has a damaged public part: restore the database") from None
