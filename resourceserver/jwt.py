"""Signed tokens in compact form, and JWT access tokens.

RFC 9068 (JSON Web Token Profile for OAuth 2.0 Access Tokens), https://www.rfc-editor.org/rfc/rfc9068, read with
RFC 8725 (JSON Web Token Best Current Practices), https://www.rfc-editor.org/rfc/rfc8725

The compact form is taken apart here and not by the JOSE library, because nothing may be decoded, parsed or looked up
before size, alphabet, algorithm and type are known to be right.
"""

import binascii
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from resourceserver.errors import InvalidTokenError
from resourceserver.jwks import ALGORITHMS, MAX_KID, VerificationKey
from resourceserver.strict_json import parse_object

MAX_TOKEN = 16_384
ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
TOLERANCE = 60
# RFC 8259 6: integers up to here mean the same to every reader.
LATEST_TIME = 2**53 - 1

_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")
_PADDING = (b"", None, b"==", b"=")


@dataclass(frozen=True, slots=True)
class Compact:
    """A JWS in compact form, taken apart and not yet verified."""

    alg: str
    kid: str
    typ: str
    payload: bytes
    signing_input: bytes
    signature: bytes


class Parts(NamedTuple):
    """A JWS in compact form, of whose header nothing is known but that it is an object."""

    header: dict[str, object]
    payload: bytes
    signing_input: bytes
    signature: bytes


def looks_like_jwt(token: str) -> bool:
    """Say whether `token` has the shape of a compact JWS whose header is a JSON object."""
    return token[:1] == "e" and token.count(".") == 2


def parse_compact(token: str, longest: int = MAX_TOKEN) -> Compact:
    """Take a token of the issuer apart: a compact JWS whose header has alg, kid and typ as strings.

    Embedded or linked keys (jwk, jku, x5c, x5u) are never looked at. Raises InvalidTokenError.
    """
    parts = take_apart(token, longest)
    alg, kid, typ = (parts.header.get(name) for name in ("alg", "kid", "typ"))
    if not isinstance(alg, str) or not isinstance(kid, str) or not isinstance(typ, str):
        raise InvalidTokenError("alg, kid or typ is missing")
    if not 0 < len(kid) <= MAX_KID:
        raise InvalidTokenError("kid is empty or too long")
    return Compact(alg, kid, typ.lower(), parts.payload, parts.signing_input, parts.signature)


def take_apart(token: str, longest: int = MAX_TOKEN) -> Parts:
    """Take any compact JWS of at most `longest` characters apart.

    Raises InvalidTokenError unless it is exactly RFC 7515 section 3.1: three unpadded base64url parts of one spelling,
    a header without repeated members, and nothing that must be understood.
    """
    if len(token) > longest:
        raise InvalidTokenError("token too long")
    parts = _COMPACT.fullmatch(token.encode("ascii")) if token.isascii() else None
    if parts is None:
        raise InvalidTokenError("not a compact JWS")
    head, body, signature = parts.groups()
    try:
        header = parse_object(decode(head))
        payload, signature_bytes = decode(body), decode(signature)
    except ValueError:
        raise InvalidTokenError("part of the JWS cannot be decoded") from None
    # RFC 7515 4.1.11: we know no extension, so a token that has one is not for us.
    if "crit" in header or "b64" in header:
        raise InvalidTokenError("critical header")
    return Parts(header, payload, head + b"." + body, signature_bytes)


def decode(part: bytes) -> bytes:
    """Decode what is in the alphabet of base64url.

    Raises ValueError for all but the one canonical spelling (RFC 4648 section 3.5).
    """
    padding = _PADDING[len(part) % 4]
    if padding is None:
        raise ValueError("impossible length")
    spelling = part.translate(_STANDARD_ALPHABET) + padding
    data = binascii.a2b_base64(spelling, strict_mode=True)
    if padding and binascii.b2a_base64(data, newline=False) != spelling:
        raise ValueError("bits left over")
    return data


def verified_claims(
    token: str,
    find_key: Callable[[str, str], VerificationKey | None],
    *,
    types: Collection[str],
    algorithms: Collection[str] = ALGORITHMS,
    longest: int = MAX_TOKEN,
) -> dict[str, object]:
    """Return the payload of a signed token whose signature is good; no claim is checked yet.

    `find_key(kid, alg)` gives the key, `types` the accepted typ values in lower case, `algorithms` the accepted alg
    values, `longest` how many characters the token may have. Raises InvalidTokenError, and whatever `find_key` raises.
    """
    compact = parse_compact(token, longest)
    if compact.alg not in algorithms:
        raise InvalidTokenError("alg not accepted")
    # RFC 8725 3.11: without this, an ID token or a logout token of the same issuer would pass.
    if compact.typ not in types:
        raise InvalidTokenError("typ not accepted")
    key = find_key(compact.kid, compact.alg)
    if key is None:
        raise InvalidTokenError("no such key")
    if not key.verify(compact.signing_input, compact.signature):
        raise InvalidTokenError("bad signature")
    try:
        return parse_object(compact.payload)
    except ValueError:
        raise InvalidTokenError("payload is not a JSON object") from None


def check_access_token(claims: Mapping[str, object], issuer: str, audience: str, now: float, tolerance: int) -> None:
    """Check the claims of RFC 9068 section 2.2 and 4. Raises InvalidTokenError."""
    if claims.get("iss") != issuer:
        raise InvalidTokenError("other issuer")
    check_audience(claims.get("aud"), audience)
    for name in ("sub", "client_id", "jti"):
        if not isinstance(claims.get(name), str):
            raise InvalidTokenError("sub, client_id or jti is missing")
    if "exp" not in claims or "iat" not in claims:
        raise InvalidTokenError("exp or iat is missing")
    check_times(claims, now, tolerance)


def check_audience(value: object, audience: str) -> None:
    """Check that `audience` is, or is in, the aud claim; equality only. Raises InvalidTokenError."""
    members = value if isinstance(value, list) else [value]
    if not all(isinstance(member, str) for member in members):
        raise InvalidTokenError("aud is not a string or an array of strings")
    if audience not in members:
        raise InvalidTokenError("other audience")


def check_times(claims: Mapping[str, object], now: float, tolerance: int) -> None:
    """Check exp, nbf and iat if present, with `tolerance` seconds for the other clock. Raises InvalidTokenError."""
    if "exp" in claims and numeric_date(claims["exp"]) + tolerance <= now:
        raise InvalidTokenError("expired")
    for name in ("nbf", "iat"):
        if name in claims and numeric_date(claims[name]) - tolerance > now:
            raise InvalidTokenError("not valid yet")


def numeric_date(value: object) -> float:
    """Return a NumericDate (RFC 7519 section 2). Raises InvalidTokenError for anything but a sane number of seconds."""
    if type(value) not in (int, float) or not 0 <= value <= LATEST_TIME:  # type: ignore[operator]
        raise InvalidTokenError("time claim is not a number of seconds")
    return value  # type: ignore[return-value]
