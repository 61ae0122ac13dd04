"""A client's key set as registered: public keys only, of kinds and sizes that are accepted (RFC 7517, RFC 8725 3.5)."""

import re
from base64 import urlsafe_b64decode
from typing import Any, Final

import orjson

from authserver.manage.errors import InvalidMetadata

_MAX_KEYS: Final = 20
_MAX_TEXT: Final = 16 * 1024
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)  # RFC 7517 4.7
_SECRET: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 6.2.2, 6.3.2, 6.4
_USES: Final = ("sig", "enc")  # RFC 7517 4.2; a tuple, because what is looked for in it need not be hashable
_COORDINATE: Final = {"P-256": 32, "P-384": 48, "P-521": 66}  # octets of a coordinate, RFC 7518 6.2.1
_RSA_BITS: Final = (2048, 8192)


def check_jwks(name: str, value: Any) -> dict[str, Any]:
    """Check a key set; return it with nothing but its keys; raises InvalidMetadata."""
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= _MAX_KEYS or len(repr(keys)) > _MAX_TEXT:
        raise InvalidMetadata(name, f"must be a key set of 1 to {_MAX_KEYS} keys")
    for key in keys:
        problem = _problem(key) if isinstance(key, dict) else "must be a key set of JSON Web Keys"
        if problem:
            raise InvalidMetadata(name, problem)
    kids = [key["kid"] for key in keys if "kid" in key]
    if len(set(kids)) != len(kids) or (len(keys) > 1 and len(kids) != len(keys)):
        raise InvalidMetadata(name, "must name each of several keys by its own kid")
    try:
        orjson.dumps(keys)
    except TypeError:
        # RFC 7493 2.2: a member that nobody needs, with a whole number beyond what can be stored.
        raise InvalidMetadata(name, "has a key with a number that is not accepted") from None
    return {"keys": keys}


def _problem(key: dict[str, Any]) -> str | None:
    if not _SECRET.isdisjoint(key) or key.get("kty") == "oct":
        return "must hold public keys only"
    if not isinstance(key.get("kid", ""), str) or key.get("use", "sig") not in _USES:
        return "has a key with a kid or use that is not valid"
    chain = key.get("x5c", ["AAAA"])
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str) or not _BASE64.fullmatch(chain[0]):
        return "has a key with a certificate that is not valid"
    kind = key.get("kty")
    if kind == "RSA":
        modulus, exponent = _octets(key.get("n")), _octets(key.get("e"))
        low, high = _RSA_BITS
        good = low <= int.from_bytes(modulus).bit_length() <= high and int.from_bytes(exponent) >= 3
        return (
            None
            if good and len(exponent) <= 8 and exponent[-1] & 1
            else "has an RSA key of a size that is not accepted"
        )
    if kind == "EC":
        size = _COORDINATE.get(str(key.get("crv")), -1)
        good = len(_octets(key.get("x"))) == size == len(_octets(key.get("y")))
        return None if good else "has an elliptic-curve key that is not valid"
    if kind == "OKP" and key.get("crv") == "Ed25519":
        return None if len(_octets(key.get("x"))) == 32 else "has an Ed25519 key that is not valid"
    return "has a key of a kind that is not supported"


def _octets(value: Any) -> bytes:
    if not isinstance(value, str) or not _BASE64URL.fullmatch(value) or len(value) % 4 == 1:
        return b"\0"
    return urlsafe_b64decode(value + "=" * (-len(value) % 4))
