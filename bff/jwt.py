"""RFC 7519: JSON Web Token (JWT), checked as RFC 8725 asks: our list of algorithms, our keys, every claim required."""

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from bff.errors import TokenRefusedError
from bff.jwks import Keys

MAX_BYTES = 16 * 1024
LEEWAY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a JWT must be: who signed it, for whom, how, as which type, with which claims."""

    issuer: str
    audience: str
    algorithms: Collection[str]
    types: Collection[str | None]
    required: Collection[str]


def verify(token: str, keys: Keys, expected: Expectation) -> tuple[Mapping[str, Any], str]:
    """Verify a JWT and give its claims and its algorithm; raises TokenRefusedError that names the failed check."""
    if len(token) > MAX_BYTES or not token.isascii() or token.count(".") != 2:
        raise TokenRefusedError("form")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenRefusedError("header") from None
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in expected.algorithms:
        raise TokenRefusedError("alg")
    # RFC 7515 section 4.1.11: we understand no critical extension, so none may be there.
    if "crit" in header or "b64" in header or "zip" in header:
        raise TokenRefusedError("crit")
    if (kind.lower() if isinstance(kind, str) else kind) not in expected.types:
        raise TokenRefusedError("typ")
    if not isinstance(kid, str) or not kid:
        raise TokenRefusedError("kid")
    return _claims(token, keys.find(kid, algorithm), algorithm, expected), algorithm


def _claims(token: str, key: jwt.PyJWK, algorithm: str, expected: Expectation) -> Mapping[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            audience=expected.audience,
            issuer=expected.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": list(expected.required), "enforce_minimum_key_length": True},
        )
    except jwt.PyJWTError as error:
        raise TokenRefusedError(type(error).__name__) from None
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise TokenRefusedError("claims") from None
    # OpenID Connect Core 1.0 section 3.1.3.7: an audience that we do not know is not trusted.
    if claims["aud"] not in (expected.audience, [expected.audience]):
        raise TokenRefusedError("aud")
    # RFC 7519 section 2: a NumericDate is a JSON number; the library takes text and booleans too.
    if any(type(claims[name]) not in {int, float} for name in ("exp", "iat", "nbf") if name in claims):
        raise TokenRefusedError("time")
    return claims


def same(left: object, right: str) -> bool:
    """Compare a claim with an expected text in constant time; anything but a text is different."""
    return isinstance(left, str) and hmac.compare_digest(left.encode("utf-8", "surrogatepass"), right.encode())
