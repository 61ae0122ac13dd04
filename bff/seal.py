"""Encryption at rest: AES-256-GCM under keys derived by HKDF (RFC 5869), one key per purpose.

A sealed value is `v1.<key id>.<nonce and ciphertext>`. The associated data names table, column and row, so a value
copied to another row does not open. The first key seals, every key opens; the key id says which one to try.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12


class CannotOpenError(Exception):
    """The value was not sealed by one of our keys for this place."""


def digest(label: str, value: str) -> str:
    """Give the hexadecimal SHA-256 under which a high-entropy bearer value is stored."""
    return hashlib.sha256(f"bff {label}\0{value}".encode()).hexdigest()


class Sealer:
    """Seals with the first secret key and opens with any of them."""

    def __init__(self, secret_key: bytes, previous: Sequence[bytes] = ()) -> None:
        self._keys = {_key_id(key): key for key in (*reversed(previous), secret_key)}
        self._current = _key_id(secret_key)
        self._ciphers: dict[tuple[str, str], AESGCM] = {}

    def seal(self, value: str, *, table: str, column: str, row: str) -> str:
        """Encrypt a text for one place in the database."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = self._cipher(self._current, f"{table}.{column}")
        sealed = cipher.encrypt(nonce, value.encode(), _place(table, column, row))
        return f"v1.{self._current}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, *, table: str, column: str, row: str) -> str:
        """Decrypt a text; raises CannotOpenError for a foreign key, another place or a changed value."""
        version, _, rest = sealed.partition(".")
        key_id, _, body = rest.partition(".")
        if version != "v1" or key_id not in self._keys:
            raise CannotOpenError
        try:
            raw = base64.b64decode(body, altchars=b"-_", validate=True)
            cipher = self._cipher(key_id, f"{table}.{column}")
            return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _place(table, column, row)).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise CannotOpenError from None

    def _cipher(self, key_id: str, purpose: str) -> AESGCM:
        cipher = self._ciphers.get((key_id, purpose))
        if cipher is None:
            info = f"bff seal {purpose}".encode()
            key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._keys[key_id])
            cipher = self._ciphers[key_id, purpose] = AESGCM(key)
        return cipher


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"bff key id\0" + key).hexdigest()[:8]


def _place(table: str, column: str, row: str) -> bytes:
    return f"{table}|{column}|{row}".encode()
