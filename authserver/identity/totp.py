"""One-time passwords by time: TOTP (RFC 6238), as authenticator apps make them.

https://www.rfc-editor.org/rfc/rfc6238

SHA-1, six digits, thirty seconds: what every app understands; some show wrong codes for anything else. This is
arithmetic alone: who may try how often, and that a code counts once, is ``second_factor``'s.
"""

import hmac
import re
import secrets
from base64 import b32encode
from typing import Final
from urllib.parse import quote, urlencode

from authserver.clock import SECOND
from authserver.crypto import same

KIND: Final = "totp"
PERIOD: Final = 30 * SECOND
DIGITS: Final = 6
# RFC 6238 5.2: one step for the way and the clock of the telephone, and no more.
DRIFT: Final = 1
_SECRET: Final = 20  # bytes: the length of the hash (RFC 4226 4, R6; RFC 6238 5.1)
_CODE: Final = re.compile(r"[0-9]{6}")


def new_secret() -> bytes:
    """Draw the secret that server and app share."""
    return secrets.token_bytes(_SECRET)


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a time step (RFC 6238 4.2, RFC 4226 5.3)."""
    tag = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = tag[-1] & 0x0F
    number = int.from_bytes(tag[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def read_code(text: str) -> str | None:
    """Return the digits of a code as it was typed, spaces between them allowed; None for anything else."""
    digits = text.replace(" ", "")
    return digits if _CODE.fullmatch(digits) else None


def step_of(secret: bytes, code: str, moment: int) -> int | None:
    """Return the time step whose code this is at ``moment`` (microseconds), or None."""
    now = moment // PERIOD
    # All of them are compared: the time must not tell which one it was.
    found = [step for step in range(now - DRIFT, now + DRIFT + 1) if same(code_at(secret, step), code)]
    return found[0] if found else None


def end_of(step: int) -> int:
    """Return when the code of a step is taken nowhere any more, however the clocks of the nodes differ by a minute."""
    return (step + DRIFT + 3) * PERIOD


def uri(secret: bytes, host: str, username: str) -> str:
    """Return what an app reads from the QR code (the "otpauth" scheme of Google Authenticator's wiki)."""
    parameters = {
        "secret": _base32(secret),
        "issuer": host,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": PERIOD // SECOND,
    }
    return f"otpauth://totp/{quote(host, safe='')}:{quote(username, safe='')}?{urlencode(parameters, quote_via=quote)}"


def spelled(secret: bytes) -> str:
    """Return the secret for typing in: base32 in groups of four."""
    text = _base32(secret)
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _base32(secret: bytes) -> str:
    return b32encode(secret).decode().rstrip("=")
