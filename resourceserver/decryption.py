"""Encrypted access tokens: a JWT that was signed by the issuer and then encrypted to this resource.

RFC 9068 section 4 (JWT access tokens), https://www.rfc-editor.org/rfc/rfc9068#section-4, RFC 7516 (JSON Web
Encryption), https://www.rfc-editor.org/rfc/rfc7516, RFC 7519 section 11.2 (sign, then encrypt)

Anybody can encrypt to a public key, so nothing is proven by it: what comes out is checked like a token that came in.
The compact form is taken apart here, because nothing may be computed before size, alphabet and algorithms are known to
be right. The decryption itself is joserfc's, because PyJWT has none; it is imported where keys are given, not before.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from resourceserver.errors import InvalidTokenError
from resourceserver.jwt import MAX_TOKEN, decode, looks_like_jwt
from resourceserver.strict_json import parse_object

if TYPE_CHECKING:
    from joserfc.jwe import JWERegistry
    from joserfc.jwk import ECKey, RSAKey

# Left out: RSA1_5 and RSA-OAEP (RFC 8725 3.2), and all that need a shared secret.
ALGORITHMS = ("RSA-OAEP-256", "ECDH-ES")
METHODS = ("A128CBC-HS256", "A256GCM")
MAX_KEYS = 10
MAX_KID = 256
MAX_FILE = 65_536

_NO_KEY_SET = f"not a JWK Set of 1 to {MAX_KEYS} private keys"
_TYPE_OF = {"RSA-OAEP-256": "RSA", "ECDH-ES": "EC"}
_CURVES = {"P-256": 43, "P-384": 64}  # characters of a coordinate
_RSA_BITS = (2048, 8192)
_PUBLIC = ("kty", "n", "e", "crv", "x", "y")
# Header, encrypted key (none for an agreed key), initialization vector of 96 or 128 bits, ciphertext, tag of 128 bits.
_COMPACT = re.compile(
    rb"([A-Za-z0-9_-]{2,})\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]{16,22})\.([A-Za-z0-9_-]{2,})\.([A-Za-z0-9_-]{22})"
)


class _Key(NamedTuple):
    alg: str
    kid: str | None
    curve: str  # none for RSA
    key: "RSAKey | ECKey"


class Decryption:
    """Opens the access tokens that are encrypted to one resource.

    - `keys`: the resource's private keys, a JWK Set; each with a `kid` where there are several.
    - `required`: refuse a JWT access token that is not encrypted (RFC 9068 section 4). Opaque tokens tell nothing and
      are taken as before.
    - `algorithms`, `methods`: accepted `alg` and `enc` values.

    Raises ValueError for unusable arguments. Safe for many threads.
    """

    def __init__(
        self,
        keys: Mapping[str, object],
        *,
        required: bool = True,
        algorithms: Collection[str] = ALGORITHMS,
        methods: Collection[str] = METHODS,
    ) -> None:
        if not algorithms or not methods or not set(algorithms) <= set(ALGORITHMS) or not set(methods) <= set(METHODS):
            raise ValueError("unknown algorithm or method")
        self.required = required
        self._keys = _read_keys(keys, algorithms)
        self._registries = {(alg, enc): _registry(alg, enc) for alg in algorithms for enc in methods}

    @classmethod
    def from_file(cls, path: Path, *, required: bool = True) -> "Decryption":
        """Read the private keys from a file that holds a JWK Set; raises ValueError or OSError."""
        with path.open("rb") as file:
            text = file.read(MAX_FILE)
        try:
            keys = parse_object(text)
        except ValueError:
            raise ValueError(_NO_KEY_SET) from None
        return cls(keys, required=required)

    def public_set(self) -> dict[str, object]:
        """Return the public keys, for the document that the resource's metadata names as `jwks_uri` (RFC 9728 2)."""
        return {"keys": [_published(key) for key in self._keys]}

    def inner(self, token: str) -> str:
        """Return the signed JWT inside an encrypted token; any other token as it is.

        Raises InvalidTokenError, also for a signed JWT that ought to be encrypted.
        """
        if not looks_encrypted(token):
            if self.required and looks_like_jwt(token):
                raise InvalidTokenError("token is not encrypted")
            return token
        inside = self._open(token, _header_of(token))
        # RFC 7519 11.2: signed, then encrypted. Nothing else is looked for inside, and not twice.
        if not looks_like_jwt(inside):
            raise InvalidTokenError("no signed JWT inside")
        return inside

    def _open(self, token: str, header: dict[str, object]) -> str:
        from joserfc.errors import JoseError  # noqa: PLC0415 - most resource servers never need the library
        from joserfc.jwe import decrypt_compact  # noqa: PLC0415

        registry = self._registries.get((_text(header, "alg"), _text(header, "enc")))
        if registry is None:
            raise InvalidTokenError("alg or enc not accepted")
        key = self._key(header)
        if key.curve:
            _check_ephemeral_key(header.get("epk"), key.curve)
        try:
            return (decrypt_compact(token, key.key, registry=registry).plaintext or b"").decode("ascii")
        except (JoseError, ValueError, TypeError):
            # One word for whatever went wrong: an answer that tells more is an oracle (RFC 7516 11.5).
            raise InvalidTokenError("token cannot be decrypted") from None

    def _key(self, header: Mapping[str, object]) -> "_Key":
        """Return the key that the header names, for its algorithm; the only one for it need not be named."""
        alg, kid = _text(header, "alg"), header.get("kid")
        fitting = [key for key in self._keys if key.alg == alg and kid in (key.kid, None)]
        if len(fitting) != 1:
            raise InvalidTokenError("not encrypted to a key of this resource")
        return fitting[0]


def looks_encrypted(token: str) -> bool:
    """Say whether `token` has the shape of a compact JWE whose header is a JSON object (RFC 7516 section 9)."""
    return token[:1] == "e" and token.count(".") == 4


def _header_of(token: str) -> dict[str, object]:
    if len(token) > MAX_TOKEN:
        raise InvalidTokenError("token too long")
    parts = _COMPACT.fullmatch(token.encode("ascii")) if token.isascii() else None
    if parts is None:
        raise InvalidTokenError("not a compact JWE")
    try:
        head, *_rest = [decode(part) for part in parts.groups()]
        header = parse_object(head)
    except ValueError:
        raise InvalidTokenError("part of the JWE cannot be decoded") from None
    # RFC 7516 4.1.13: no extension is known here. 4.1.3: what is compressed may be a thousand times what it looks.
    if "crit" in header or "zip" in header:
        raise InvalidTokenError("critical or compressed")
    # RFC 7519 5.2: a nested JWT says so.
    if _text(header, "cty").lower().removeprefix("application/") != "jwt":
        raise InvalidTokenError("cty not accepted")
    return header


def _text(header: Mapping[str, object], name: str) -> str:
    value = header.get(name)
    if not isinstance(value, str):
        raise InvalidTokenError("alg, enc or cty is missing")
    return value


def _check_ephemeral_key(epk: object, curve: str) -> None:
    """Check the sender's half of the agreement (RFC 7518 4.6.1.1): a point of our curve, and nothing private."""
    if not isinstance(epk, dict) or epk.get("kty") != "EC" or epk.get("crv") != curve or "d" in epk:
        raise InvalidTokenError("ephemeral key not accepted")
    if not all(isinstance(epk.get(name), str) and len(epk[name]) == _CURVES[curve] for name in ("x", "y")):
        raise InvalidTokenError("ephemeral key not accepted")


def _read_keys(document: Mapping[str, object], algorithms: Collection[str]) -> tuple[_Key, ...]:
    members = document.get("keys")
    if not isinstance(members, list) or not 0 < len(members) <= MAX_KEYS:
        raise ValueError(_NO_KEY_SET)
    keys = tuple(_read_key(member, algorithms) for member in members)
    kids = {key.kid for key in keys}
    if len(keys) > 1 and (len(kids) < len(keys) or None in kids):
        raise ValueError("each of several keys needs a kid of its own")
    return keys


def _read_key(member: Any, algorithms: Collection[str]) -> _Key:
    if not isinstance(member, dict) or "d" not in member or member.get("use", "enc") != "enc":
        raise ValueError("not a private key for decryption")
    # A key serves one algorithm, which follows from the key and never from a token (RFC 8725 3.1).
    fitting = [alg for alg in algorithms if _TYPE_OF[alg] == member.get("kty") and member.get("alg", alg) == alg]
    kid, curve = member.get("kid"), member.get("crv") if member.get("kty") == "EC" else ""
    if not fitting or curve not in ("", *_CURVES):
        raise ValueError("a key of a kind that is not accepted")
    if member["kty"] == "RSA" and not _RSA_BITS[0] <= _bits(member.get("n")) <= _RSA_BITS[1]:
        raise ValueError("an RSA key of a size that is not accepted")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID):
        raise ValueError("a kid is text of 1 to 256 characters")
    return _Key(fitting[0], kid, curve, _prepared(member))


def _prepared(member: dict[str, Any]) -> "RSAKey | ECKey":
    from joserfc.errors import JoseError  # noqa: PLC0415 - most resource servers never need the library
    from joserfc.jwk import ECKey, RSAKey  # noqa: PLC0415

    try:
        return (RSAKey if member["kty"] == "RSA" else ECKey).import_key(member)
    except (JoseError, ValueError, TypeError, KeyError):
        raise ValueError("a key cannot be read") from None


def _bits(modulus: object) -> int:
    try:
        return int.from_bytes(decode(modulus.encode())).bit_length() if isinstance(modulus, str) else 0
    except ValueError:
        return 0


def _registry(alg: str, enc: str) -> "JWERegistry":
    from joserfc.jwe import JWERegistry  # noqa: PLC0415 - most resource servers never need the library

    # RFC 7515 4: members that nobody knows are ignored.
    return JWERegistry(algorithms=[alg, enc], strict_check_header=False)


def _published(key: _Key) -> dict[str, object]:
    public = {name: value for name, value in key.key.as_dict(private=False).items() if name in _PUBLIC}
    return {**public, "use": "enc", "alg": key.alg, **({} if key.kid is None else {"kid": key.kid})}
