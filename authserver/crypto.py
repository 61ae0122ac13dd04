"""Digests of bearer secrets, encryption at rest, random identifiers.

Handles are what the server hands out and later takes back: codes, tokens, client secrets, browser cookies. Each is
``prefix + base64url(32 random bytes) + checksum``: scanners and support staff recognise one without asking the server,
and one kind is refused in the place of another before any look-up. Only the digest of a handle is ever stored.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from binascii import b2a_base64
from enum import Enum
from typing import Final
from zlib import crc32

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_BODY: Final = 43  # base64url characters of 32 bytes
_CHECKSUM: Final = 6  # base64url characters of a CRC-32
_NONCE: Final = 12
_KEY_ID: Final = 4


class Kind(Enum):
    """What a handle is; the value is its prefix."""

    CODE = "asc_"
    ACCESS = "asa_"
    REFRESH = "asr_"
    DEVICE = "asd_"
    CIBA = "asq_"
    SECRET = "ass_"
    BROWSER = "asb_"
    KEPT_BROWSER = "asl_"
    INTERACTION = "asi_"
    INITIAL_ACCESS = "asn_"
    REGISTRATION_ACCESS = "asg_"

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.label = b"authserver:" + prefix.encode() + b"\0"
        self.size = len(prefix) + _BODY + _CHECKSUM


def b64(data: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 2)."""
    # What base64.urlsafe_b64encode does, without its three calls on the way: every token is made of this.
    return b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=").decode()


def write_handle(kind: Kind, raw: bytes) -> str:
    """Return the text of the handle whose 32 bytes are ``raw``."""
    text = kind.prefix + b64(raw)
    return text + b64(crc32(text.encode()).to_bytes(4, "big"))


def new_handle(kind: Kind) -> tuple[str, bytes]:
    """Draw a new handle; return its text and its digest."""
    raw = secrets.token_bytes(32)
    return write_handle(kind, raw), digest(kind, raw)


def read_handle(kind: Kind, text: str) -> bytes | None:
    """Return the 32 bytes of a well-formed handle of this kind, or None."""
    if len(text) != kind.size or not text.startswith(kind.prefix) or not text.isascii():
        return None
    try:
        raw = urlsafe_b64decode(text[len(kind.prefix) : -_CHECKSUM] + "=")
    except Base64Error:
        return None
    # Writing it again refuses every second spelling of the same bytes (RFC 4648 3.5) and checks the checksum.
    return raw if len(raw) == 32 and write_handle(kind, raw) == text else None


def digest(kind: Kind, raw: bytes) -> bytes:
    """Return what is stored of a handle: SHA-256 over the kind's label and the 32 random bytes."""
    return hashlib.sha256(kind.label + raw).digest()


def digest_of(kind: Kind, text: str) -> bytes | None:
    """Return the stored digest for a presented handle, or None when it is not a handle of this kind."""
    raw = read_handle(kind, text)
    return None if raw is None else digest(kind, raw)


def same(left: str | bytes, right: str | bytes) -> bool:
    """Compare two secrets in constant time; text of any characters is allowed."""
    return hmac.compare_digest(_bytes(left), _bytes(right))


def new_id(size: int = 16) -> str:
    """Return a random identifier of ``size`` bytes in base64url; without a dash first, which no command would take."""
    while (text := secrets.token_urlsafe(size))[0] == "-":
        continue
    return text


class Sealer:
    """Encryption at rest: AES-256-GCM under keys derived from the deployment's secret keys.

    The first secret key seals, any of them opens. ``purpose`` separates the derived keys; ``context`` (table, column
    and row) is authenticated, so that a sealed value opens in its own row only.
    """

    def __init__(self, secret_key: str, previous: tuple[str, ...] = ()) -> None:
        self._secrets = {_key_id(value): value.encode() for value in (*reversed(previous), secret_key)}
        self.key_id = _key_id(secret_key)
        self._derived: dict[tuple[bytes, str], bytes] = {}

    def derive(self, purpose: str, key_id: bytes | None = None) -> bytes:
        """Return the 32-byte key for one purpose (HKDF-SHA256, RFC 5869)."""
        wanted = (key_id or self.key_id, purpose)
        if wanted not in self._derived:
            kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"authserver:" + purpose.encode())
            self._derived[wanted] = kdf.derive(self._secrets[wanted[0]])
        return self._derived[wanted]

    def seal(self, purpose: str, context: str, plain: bytes) -> bytes:
        """Encrypt ``plain``; the result carries the id of the key that sealed it."""
        nonce = secrets.token_bytes(_NONCE)
        return self.key_id + nonce + AESGCM(self.derive(purpose)).encrypt(nonce, plain, context.encode())

    def open(self, purpose: str, context: str, sealed: bytes) -> bytes:
        """Decrypt a sealed value; raises ValueError when no key opens it in this context."""
        key_id, nonce, body = sealed[:_KEY_ID], sealed[_KEY_ID : _KEY_ID + _NONCE], sealed[_KEY_ID + _NONCE :]
        if key_id not in self._secrets:
            msg = "sealed with a secret key that is not configured"
            raise ValueError(msg)
        try:
            return AESGCM(self.derive(purpose, key_id)).decrypt(nonce, body, context.encode())
        except InvalidTag:
            msg = "sealed value is damaged or belongs to another row"
            raise ValueError(msg) from None

    def is_current(self, sealed: bytes) -> bool:
        """Say whether a value was sealed with the first secret key."""
        return sealed[:_KEY_ID] == self.key_id


def _key_id(secret_key: str) -> bytes:
    return hashlib.sha256(b"authserver:key-id:" + secret_key.encode()).digest()[:_KEY_ID]


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


def client_secret_digest(secret: str) -> bytes:
    """Return what is stored of a client secret: machine-made, 256 bits, so a plain SHA-256 is enough."""
    return hashlib.sha256(b"authserver:client-secret\0" + secret.encode("utf-8", "surrogatepass")).digest()


def encrypted_token_digest(token: str) -> bytes:
    """Return what is stored of an encrypted access token: its text holds a fresh 256-bit key, so SHA-256 is enough."""
    return hashlib.sha256(b"authserver:encrypted-token\0" + token.encode("utf-8", "surrogatepass")).digest()


def seal_client_secret(sealer: Sealer, client_id: str, secret: str) -> bytes:
    """Encrypt a client secret that HMAC needs (client_secret_jwt), bound to its row."""
    return sealer.seal("client-secret", f"clients|secrets|{client_id}", secret.encode())


def open_client_secret(sealer: Sealer, client_id: str, sealed: bytes) -> bytes:
    """Decrypt a client secret; raises ValueError."""
    return sealer.open("client-secret", f"clients|secrets|{client_id}", sealed)
