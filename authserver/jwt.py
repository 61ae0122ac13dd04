"""Strict reading of JSON Web Tokens (RFC 7515, RFC 7519, RFC 8725): one reader for our own and other parties' tokens.

Everything that is cheap is refused before a signature is looked at: size, alphabet, duplicate members, ``crit``. The
key that the caller names decides which algorithms count, never the token's header.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

MAX_SIZE: Final = 16 * 1024
ASYMMETRIC: Final = frozenset({"RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"})
# Kind of key for each algorithm. Left out: RSA1_5 and RSA-OAEP (RFC 8725 3.2), and all that need a shared secret.
_ENCRYPTING: Final[Mapping[str, type[RSAKey | ECKey]]] = {"RSA-OAEP-256": RSAKey, "ECDH-ES": ECKey}
ENCRYPTION_ALGORITHMS: Final = tuple(_ENCRYPTING)
ENCRYPTION_METHODS: Final = ("A128CBC-HS256", "A256GCM")
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}", re.ASCII)
# Header, encrypted key (none for an agreed key), initialization vector of 96 or 128 bits, ciphertext, tag of 128 bits.
_COMPACT_JWE: Final = re.compile(
    r"[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{16,22}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{22}", re.ASCII
)
_MAX_NESTED: Final = 256  # objects and arrays in one segment, an upper bound of the depth
_LATEST: Final = 2**53
_MAX_KEYS: Final = 40  # a server like this one has eight algorithms, of up to a few generations each
_MAX_MEMBER: Final = 1400  # characters; an RSA modulus of 8192 bits has 1366
# RFC 7517 4.7: base64 with padding, of 8 KiB at the most.
_CERTIFICATE: Final = re.compile(r"(?:[A-Za-z0-9+/]{4}){1,2730}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
_RSA_BITS: Final = 2048
_SECRET: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 6.2.2, 6.3.2, 6.4
# Kind of key: members that it needs, curves that are accepted.
_KINDS: Final = {
    "RSA": (frozenset({"n", "e"}), frozenset({None})),
    "EC": (frozenset({"crv", "x", "y"}), frozenset({"P-256", "P-384"})),
    "OKP": (frozenset({"crv", "x"}), frozenset({"Ed25519"})),
}


class InvalidJWT(ValueError):
    """The token is malformed, badly signed or not what the caller asked for; the message is a fixed sentence."""


class Recipient(NamedTuple):
    """Whom something is encrypted to: a key that is ready for use, and how."""

    key: RSAKey | ECKey
    alg: str
    enc: str


class Parsed(NamedTuple):
    """A token whose signature has not been checked."""

    token: str
    header: dict[str, Any]
    claims: dict[str, Any]


def parse(token: str) -> Parsed:
    """Read a compact JWS without trusting it; raises InvalidJWT."""
    if len(token) > MAX_SIZE or not _COMPACT.fullmatch(token):
        msg = "not a compact JWS"
        raise InvalidJWT(msg)
    head, body, _signature = (_decode(segment) for segment in token.split("."))
    header, claims = parse_object(head), parse_object(body)
    # RFC 7515 4.1.11: no extension is understood here, so none may be critical; b64 and zip change what is signed.
    if "crit" in header or "zip" in header or "b64" in header:
        msg = "the header has a critical or unsupported member"
        raise InvalidJWT(msg)
    # RFC 7515 4.1.9: a type that is none must not pass for one that was left out (RFC 8725 3.11).
    if "typ" in header and not (isinstance(header["typ"], str) and header["typ"]):
        msg = "the type is not a string"
        raise InvalidJWT(msg)
    return Parsed(token, header, claims)


def parse_encrypted(token: str) -> dict[str, Any]:
    """Return the header of a compact JWE (RFC 7516 7.1), well-formed but not decrypted; raises InvalidJWT."""
    if len(token) > MAX_SIZE or not _COMPACT_JWE.fullmatch(token):
        msg = "not a compact JWE"
        raise InvalidJWT(msg)
    head, *_others = [_decode(segment) for segment in token.split(".")]
    header = parse_object(head)
    # RFC 7516 4.1.3: what is compressed may be a thousand times larger than it looks.
    if "crit" in header or "zip" in header:
        msg = "the header has a critical or unsupported member"
        raise InvalidJWT(msg)
    return header


def encrypt(token: str, to: Recipient, *, nested: bool = True) -> str:
    """Return a signed JWT, or claims, inside a JWE in compact form (RFC 7516 3.1, RFC 7519 11.2); raises InvalidJWT."""
    header = {"alg": to.alg, "enc": to.enc}
    if nested:
        header["cty"] = "JWT"  # RFC 7519 5.2
    if to.key.kid is not None:
        header["kid"] = to.key.kid
    try:
        return jwe.encrypt_compact(header, token, to.key, algorithms=[to.alg, to.enc])
    except (JoseError, ValueError):
        msg = "the key does not encrypt"
        raise InvalidJWT(msg) from None


def encryption_key(keys: Iterable[Mapping[str, Any]], alg: str) -> RSAKey | ECKey:
    """Return the key of a set for this algorithm, one for encryption alone before one for everything.

    Raises InvalidJWT when there is none.
    """
    fitting = [key for key in keys if _encrypts(key, alg)]
    for members in sorted(fitting, key=lambda key: "use" not in key):
        try:
            return _ENCRYPTING[alg].import_key(dict(members))
        except (JoseError, ValueError, TypeError):
            continue
    msg = "the key set has no key for the algorithm"
    raise InvalidJWT(msg)


def verify(parsed: Parsed, key: Key, algorithms: frozenset[str]) -> None:
    """Check the signature with this key under one of these algorithms; raises InvalidJWT."""
    algorithm = parsed.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        msg = "the algorithm is not accepted"
        raise InvalidJWT(msg)
    signed, _dot, signature = parsed.token.rpartition(".")
    try:
        good = _verifies(algorithm, key, signed.encode(), _decode(signature))
    except (JoseError, ValueError, TypeError):
        good = False
    if not good:
        msg = "the signature does not verify"
        raise InvalidJWT(msg)


def media_type(parsed: Parsed) -> str | None:
    """Return the header's ``typ`` in lower case without ``application/`` (RFC 7515 4.1.9), or None."""
    typ: str | None = parsed.header.get("typ")
    return None if typ is None else typ.lower().removeprefix("application/")


def seconds(claims: dict[str, Any], name: str) -> int | None:
    """Return a NumericDate in whole seconds, None when absent; raises InvalidJWT for any other thing (RFC 7519 2)."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        msg = "a time claim is not a number of seconds"
        raise InvalidJWT(msg)
    return int(value)


def text(claims: dict[str, Any], name: str) -> str:
    """Return a claim that has to be a non-empty string; raises InvalidJWT."""
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        msg = "a claim is missing or not a string"
        raise InvalidJWT(msg)
    return value


def audiences(claims: dict[str, Any]) -> tuple[str, ...]:
    """Return the ``aud`` claim as strings; raises InvalidJWT for any other shape (RFC 7519 4.1.3)."""
    value = claims.get("aud")
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(one, str) for one in values):
        msg = "the audience is not a string or a list of strings"
        raise InvalidJWT(msg)
    return tuple(values)


def read_key_set(body: bytes, use: str = "sig") -> dict[str, Any]:
    """Return the public keys of a fetched key set for signatures, or for ``enc``; raises InvalidJWT.

    Only the members that count are kept. Keys of kinds and sizes that are not accepted are left out, as others in the
    set may serve (RFC 7517 5).
    """
    keys = parse_object(body).get("keys")
    if not isinstance(keys, list) or len(keys) > _MAX_KEYS:
        msg = "not a key set, or one of too many keys"
        raise InvalidJWT(msg)
    usable = [public for public in (_public_part(key, use) for key in keys) if public is not None]
    if not usable:
        msg = "the key set has no usable key"
        raise InvalidJWT(msg)
    return {"keys": usable}


def parse_json(raw: bytes) -> Any:
    """Read JSON text of a stranger; None for everything that two readers might understand in two ways (RFC 8259 4)."""
    try:
        # Decoded here, because the parser would take UTF-16 and UTF-32 too (RFC 7519 3).
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
        if b"\\u" in raw:
            # Half a surrogate pair is no character (RFC 8259 8.2): whoever hashes or stores it later would stumble.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _encrypts(key: Mapping[str, Any], alg: str) -> bool:
    # RFC 7517 4.2, 4.4: a key says what it is for; one that says nothing may be used.
    kind = _ENCRYPTING[alg].key_type
    return key.get("kty") == kind and key.get("use", "enc") == "enc" and key.get("alg", alg) == alg


def _public_part(key: Any, use: str) -> dict[str, Any] | None:
    kind = key.get("kty") if isinstance(key, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS or not _SECRET.isdisjoint(key) or key.get("use", use) != use:
        return None
    needed, curves = _KINDS[kind]
    members: dict[str, Any] = {name: key[name] for name in ("kty", "kid", "alg", "use", *needed) if name in key}
    if not all(isinstance(value, str) and 0 < len(value) <= _MAX_MEMBER for value in members.values()):
        return None
    good = members.keys() >= needed and members.get("crv") in curves
    if "x5c" in key:
        # RFC 8705 2.2.2: the certificate that goes with the key; without it, the key would stand for any other one.
        chain = key["x5c"]
        good = good and isinstance(chain, list) and bool(chain) and _is_certificate(chain[0])
        members["x5c"] = chain[:1] if good else []
    return members if good and (kind != "RSA" or _bits(members["n"]) >= _RSA_BITS) else None


def _is_certificate(text: Any) -> bool:
    return isinstance(text, str) and _CERTIFICATE.fullmatch(text) is not None


def _bits(number: str) -> int:
    try:
        return int.from_bytes(urlsafe_b64decode(number + "=" * (-len(number) % 4))).bit_length()
    except ValueError:
        return 0


def _verifies(algorithm: str, key: Key, signed: bytes, signature: bytes) -> bool:
    # The algorithms themselves, without joserfc's reader in front: it would read the token again, by other limits.
    model = jws.JWSRegistry.algorithms[algorithm]
    model.check_key(key)
    # RFC 9864 3.1: EdDSA says neither curve; here it is the older name of Ed25519.
    if algorithm == "EdDSA" and not (isinstance(key, OKPKey) and key.curve_name == "Ed25519"):
        return False
    return model.verify(signed, signature, key)


def _decode(segment: str) -> bytes:
    """Decode base64url; a second spelling of the same bytes is refused as malformed (RFC 4648 3.5)."""
    try:
        raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raw = b""
    if urlsafe_b64encode(raw).rstrip(b"=") != segment.encode():
        msg = "a segment is not base64url"
        raise InvalidJWT(msg)
    return raw


def parse_object(raw: bytes) -> dict[str, Any]:
    """Read one JSON object as strictly as those of a token; raises InvalidJWT."""
    # The braces bound the depth, so that the parser never recurses far.
    value = parse_json(raw) if raw.count(b"{") + raw.count(b"[") <= _MAX_NESTED else None
    if not isinstance(value, dict):
        msg = "not a JSON object"
        raise InvalidJWT(msg)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse duplicate members: parsers disagree on which one counts (RFC 7519 4)."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError
    return value


def _refuse(_constant: str) -> Any:
    raise ValueError
