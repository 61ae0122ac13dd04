"""Recovery codes: ten ways in for somebody whose telephone is gone, each of them good for once.

120 random bits each, so that a plain SHA-256 is enough to store them by (OWASP ASVS 6.5.2 asks for 112). The digest is
the key of the code's row, and using a code is deleting that row: of two attempts at once one finds it.
"""

import hashlib
import secrets
from base64 import b32decode, b32encode
from typing import Final

from authserver.crypto import b64

KIND: Final = "recovery"
COUNT: Final = 10
MAX_TYPED: Final = 64
_BYTES: Final = 15  # 24 characters of base32, without padding
_SIZE: Final = 24
_GROUP: Final = 4
# What base32 does not have is taken for the letter that it looks like (RFC 4648 6).
_READING: Final = str.maketrans({"0": "O", "1": "I", "8": "B", "-": None, " ": None})


def draw() -> tuple[str, ...]:
    """Draw the codes of one person, as they are shown."""
    return tuple(_write(secrets.token_bytes(_BYTES)) for _ in range(COUNT))


def row_of(sub: str, typed: str) -> str | None:
    """Return the id of the row in which this code of this person would be, or None when it cannot be a code."""
    if len(typed) > MAX_TYPED or not typed.isascii():
        return None
    text = typed.upper().translate(_READING)
    if len(text) != _SIZE:
        return None
    try:
        raw = b32decode(text)
    except ValueError:
        return None
    return b64(hashlib.sha256(b"authserver:recovery-code\0" + raw + sub.encode()).digest())


def _write(raw: bytes) -> str:
    text = b32encode(raw).decode().lower()
    return "-".join(text[at : at + _GROUP] for at in range(0, _SIZE, _GROUP))
