"""DPoP proofs: whether the sender of a request holds the key.

RFC 9449 section 4 (OAuth 2.0 Demonstrating Proof of Possession), https://www.rfc-editor.org/rfc/rfc9449#section-4, and
RFC 7638 (JSON Web Key Thumbprint).

The same check serves both sides: an authorization server binds what it issues to the key, a resource server holds a
token to it. Nothing here remembers anything: that a proof comes once only, and that its nonce was ours, is for the
caller to say, with `Proof.digest` and `Nonces`.
"""

import binascii
import hmac
import json
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from jwt import InvalidKeyError
from jwt.algorithms import get_default_algorithms

from resourceserver.errors import InvalidProofError, InvalidTokenError
from resourceserver.jwt import decode, take_apart
from resourceserver.strict_json import parse_object

MAX_PROOF: Final = 8_192
MAX_JTI: Final = 256
PAST: Final = 60
"""Seconds for which a proof is good after it was made."""
AHEAD: Final = 60
"""Seconds that the clock of whoever made it may be ahead."""
NONCE_SECONDS: Final = 60
# What FAPI 2.0 Security Profile 5.4.1 takes; EdDSA is the older name of Ed25519 (RFC 9864 3).
ALGORITHMS: Final = ("ES256", "PS256", "EdDSA", "Ed25519")

_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 6.2.2, 6.3.2, 6.4; RFC 8037 2
_RSA_BITS: Final = range(2048, 8192 + 1)
_EXPONENT_BYTES: Final = 4
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_TARGET: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/@]+)(/.*)?", re.ASCII)
_PORTS: Final = {"http": ":80", "https": ":443"}


class _Kind(NamedTuple):
    """The keys that an algorithm works with."""

    kty: str
    crv: str | None
    sizes: Mapping[str, int]
    """Each member that is a number, with its length in bytes; 0 where that varies."""


_P256: Final = _Kind("EC", "P-256", {"x": 32, "y": 32})
_ED25519: Final = _Kind("OKP", "Ed25519", {"x": 32})
_RSA: Final = _Kind("RSA", None, {"e": 0, "n": 0})
_KIND_OF: Final = {
    "ES256": _P256,
    "ES384": _Kind("EC", "P-384", {"x": 48, "y": 48}),
    "PS256": _RSA,
    "RS256": _RSA,
    "EdDSA": _ED25519,
    "Ed25519": _ED25519,
}
_IMPLEMENTED: Final = get_default_algorithms()
_VERIFIERS: Final = {name: _IMPLEMENTED["EdDSA" if name == "Ed25519" else name] for name in _KIND_OF}


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that was good: the thumbprint of its key, its identifier, when it was made, the nonce it carries."""

    jkt: str
    jti: str
    iat: int
    nonce: str | None

    @property
    def digest(self) -> str:
        """What to remember so that the proof is not taken twice; of one length, whatever the identifier's."""
        return sha256(f"{self.jkt}\0{self.jti}".encode()).hexdigest()

    @property
    def expires_at(self) -> int:
        """From when on nobody takes this proof any more, in POSIX seconds: until then it has to be remembered."""
        return self.iat + PAST + 1


def check(
    sent: str | Sequence[str],
    *,
    method: str,
    url: str,
    now: float,
    access_token: str | None = None,
    algorithms: Collection[str] = ALGORITHMS,
    aliases: Collection[str] = (),
) -> Proof:
    """Check what came in the DPoP header of a request (RFC 9449 section 4.3).

    `sent` is the value of the header, or a list with the value of each such header. `url` is what clients call the
    endpoint, known from configuration and never from the request's Host; `aliases` are other names of it, such as those
    of RFC 8705 section 5. `access_token` is the token that came along: required at a resource, None at a token
    endpoint. `algorithms` may name ES384 and RS256, too. Claims that nobody asks for here are ignored: exp, nbf.
    Raises InvalidProofError.
    """
    text = sent if isinstance(sent, str) else _only(sent)
    if len(text) > MAX_PROOF:
        raise InvalidProofError("proof too long")
    try:
        parts = take_apart(text)
        claims = parse_object(parts.payload)
    except (InvalidTokenError, ValueError):
        raise InvalidProofError("proof is no well-formed JWT") from None
    # 11.5: a JWT that was signed for another purpose is no proof.
    if parts.header.get("typ") != "dpop+jwt":
        raise InvalidProofError("typ is not dpop+jwt")
    alg = parts.header.get("alg")
    if not isinstance(alg, str) or alg not in algorithms or alg not in _KIND_OF:
        raise InvalidProofError("alg missing or not accepted")
    _check_request(claims, method, (url, *aliases))
    if access_token is not None and claims.get("ath") != _base64url(sha256(access_token.encode()).digest()):
        raise InvalidProofError("ath missing or of another token")
    jwk = _public_members(parts.header.get("jwk"), _KIND_OF[alg])
    proof = Proof(_thumbprint(jwk), _identifier(claims), _made_at(claims, now), _nonce(claims))
    # The signature last: it is what costs, and everybody may send proofs.
    if not _VERIFIERS[alg].verify(parts.signing_input, _key(jwk, alg), parts.signature):
        raise InvalidProofError("bad signature")
    return proof


class Nonces:
    """Nonces that a server demands in proofs (RFC 9449 sections 8 and 9): nothing is stored.

    A nonce says by `key`, which only the server's own processes know, in which minute it was given out. It is good for
    the rest of that minute and the whole next one; one of the minute to come is good as well, because the clocks of
    two processes may differ. Two servers need two keys: a nonce counts only where it came from.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("the key of nonces has 32 bytes or more")
        self._key = key

    def current(self, now: float) -> str:
        """Return the nonce to give out."""
        return self._of(int(now) // NONCE_SECONDS)

    def accepts(self, nonce: str | None, now: float) -> bool:
        """Say whether a proof with this nonce was made recently."""
        if nonce is None or not nonce.isascii():
            return False
        minute = int(now) // NONCE_SECONDS
        return any(hmac.compare_digest(nonce, self._of(minute + step)) for step in (0, -1, 1))

    def _of(self, minute: int) -> str:
        return _base64url(hmac.digest(self._key, minute.to_bytes(8, signed=True), "sha256"))


def _only(sent: Sequence[str]) -> str:
    # 4.3 step 1. Where a server joins repeated headers, the comma makes the value no JWT.
    if len(sent) != 1:
        raise InvalidProofError("no DPoP header, or several")
    return sent[0]


def _check_request(claims: Mapping[str, object], method: str, urls: Collection[str]) -> None:
    if claims.get("htm") != method:
        raise InvalidProofError("htm missing or of another method")
    htu = claims.get("htu")
    target = _target(htu) if isinstance(htu, str) else None
    if target is None or target not in map(_target, urls):
        raise InvalidProofError("htu missing or of another URL")


def _target(url: str) -> tuple[str, str, str] | None:
    """Return scheme, authority and path of an absolute URL as they are compared, or None when it is none.

    4.3 and RFC 3986 6.2.2.1, 6.2.3: scheme and host in small letters, no default port, an empty path is "/". The path
    itself is compared as it is written: what two spellings of a path mean is for a router to say.
    """
    if not _PRINTABLE.fullmatch(url):
        return None
    parts = _TARGET.fullmatch(url.partition("#")[0].partition("?")[0])
    if parts is None:
        return None
    scheme, authority = parts[1].lower(), parts[2].lower()
    return scheme, authority.removesuffix(_PORTS.get(scheme, ":")).removesuffix(":"), parts[3] or "/"


def _identifier(claims: Mapping[str, object]) -> str:
    jti = claims.get("jti")
    # 11.1: proofs with unnecessarily large identifiers should be rejected.
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        raise InvalidProofError("jti missing, empty or too long")
    return jti


def _made_at(claims: Mapping[str, object], now: float) -> int:
    iat = claims.get("iat")
    if isinstance(iat, bool) or not isinstance(iat, int | float):
        raise InvalidProofError("iat missing or no time")
    made_at = int(iat)
    if not -AHEAD <= int(now) - made_at <= PAST:
        raise InvalidProofError("made too long ago, or in the future")
    return made_at


def _nonce(claims: Mapping[str, object]) -> str | None:
    nonce = claims.get("nonce")
    if nonce is not None and not isinstance(nonce, str):
        raise InvalidProofError("nonce is not a string")
    return nonce


def _public_members(jwk: object, kind: _Kind) -> dict[str, str]:
    """Return the members that make up the public key (RFC 7638 section 3.2), each in its only spelling."""
    if not isinstance(jwk, dict):
        raise InvalidProofError("jwk missing")
    if not _PRIVATE.isdisjoint(jwk):
        raise InvalidProofError("jwk is not public")
    named = {"kty": kind.kty} | ({"crv": kind.crv} if kind.crv else {})
    if any(jwk.get(name) != value for name, value in named.items()):
        raise InvalidProofError("jwk does not fit alg")
    numbers = {name: _number(jwk.get(name), size) for name, size in kind.sizes.items()}
    if kind is _RSA and int.from_bytes(numbers["n"]).bit_length() not in _RSA_BITS:
        raise InvalidProofError("RSA key too short or too long")
    if kind is _RSA and len(numbers["e"]) > _EXPONENT_BYTES:
        raise InvalidProofError("RSA exponent too long")
    return named | {name: jwk[name] for name in numbers}


def _number(written: object, size: int) -> bytes:
    """Decode a member of a key: whole coordinates (RFC 7518 6.2.1.2), integers without leading zeros (6.3.1.1)."""
    number = b""
    if isinstance(written, str) and _BASE64URL.fullmatch(written):
        with suppress(ValueError):
            number = decode(written.encode())
    if not number or (len(number) != size if size else number[0] == 0):
        raise InvalidProofError("jwk has a malformed member")
    return number


def _thumbprint(jwk: Mapping[str, str]) -> str:
    written = json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    return _base64url(sha256(written.encode("ascii")).digest())


def _key(jwk: dict[str, str], alg: str) -> object:
    try:
        return _VERIFIERS[alg].from_jwk(jwk)
    except (InvalidKeyError, ValueError):
        # A point that is not on its curve, an even exponent.
        raise InvalidProofError("jwk is no key") from None


def _base64url(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).translate(bytes.maketrans(b"+/", b"-_")).rstrip(b"=").decode()
