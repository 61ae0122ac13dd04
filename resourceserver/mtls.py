"""Certificates of clients: as a proxy hands them on, their thumbprint, and what a token is bound to.

RFC 8705 section 3 (OAuth 2.0 Mutual-TLS Client Authentication and Certificate-Bound Access Tokens),
https://www.rfc-editor.org/rfc/rfc8705#section-3, and RFC 9440 section 2 (Client-Cert HTTP Header Field),
https://www.rfc-editor.org/rfc/rfc9440#section-2.

The TLS handshake proves that the client has the key of its certificate. Where a proxy ends TLS, the proof is worth as
much as the header that tells of it: it counts from the proxies alone, and only in one spelling. The authorization
server reads certificates with this module, too.
"""

import hmac
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any, Final
from urllib.parse import unquote_to_bytes

X5T: Final = "x5t#S256"
"""The member of `cnf` that names a certificate (RFC 8705 section 3.1)."""
MAX_CERTIFICATE: Final = 8 * 1024
"""Octets of the largest certificate that is read."""

_MAX_VALUE: Final = 3 * MAX_CERTIFICATE
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*", re.ASCII)
# RFC 9440 2.1: a byte sequence of RFC 8941 3.3.5 and nothing else; two fields arrive joined by a comma.
_BYTE_SEQUENCE: Final = re.compile(r":([A-Za-z0-9+/]+={0,2}):", re.ASCII)
# As nginx writes $ssl_client_escaped_cert: what is not unreserved (RFC 3986 2.3) is escaped.
_ESCAPED: Final = re.compile(r"-----BEGIN%20CERTIFICATE-----(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+", re.ASCII)
_PEM: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\n((?:[A-Za-z0-9+/]{1,64}={0,2}\n)+)-----END CERTIFICATE-----\n?"
)


class CertificateError(ValueError):
    """A header that should hold one certificate holds something else."""


class ProxyCertificates:
    """Reads the header in which proxies hand on the client's certificate. Make one at start; safe for many threads.

    - `header`: its name. A name without a dash is best: WSGI cannot tell `Client-Cert` from `Client_Cert`, so with a
      dash every proxy has to drop header names with underscores (nginx does, unless told otherwise).
    - `proxies`: addresses or networks of the proxies; the header of anybody else is not looked at.

    Raises ValueError for a name that is none, or without a proxy.
    """

    def __init__(self, header: str, proxies: Collection[str]) -> None:
        if not _NAME.fullmatch(header) or not proxies or isinstance(proxies, str):
            raise ValueError("the name of a header and the addresses of proxies are needed")
        self._key = "HTTP_" + header.upper().replace("-", "_")
        self._networks = tuple(ip_network(proxy, strict=False) for proxy in proxies)

    def read(self, environ: Mapping[str, Any]) -> bytes | None:
        """Return the certificate (DER) of a WSGI request's client; None without one. Raises CertificateError."""
        value = environ.get(self._key)
        if not value or not self._is_proxy(environ.get("REMOTE_ADDR", "")):
            return None
        return read_certificate(value)

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address.version == network.version and address in network for network in self._networks)


def read_certificate(value: str) -> bytes:
    """Return the certificate (DER) that a header holds, as RFC 9440 or as escaped PEM. Raises CertificateError."""
    if len(value) > _MAX_VALUE:
        raise CertificateError("too long")
    text = _from_pem(value) if value.startswith("-") else _from_byte_sequence(value)
    der = b64decode(text)
    # RFC 4648 3.5: a second spelling of the same bytes is somebody else's.
    if b64encode(der) != text or not _is_sequence(der):
        raise CertificateError("not one certificate")
    return der


def thumbprint(certificate: bytes) -> str:
    """Return the SHA-256 thumbprint of a certificate (DER) as `x5t#S256` has it (RFC 8705 section 3.1)."""
    return urlsafe_b64encode(sha256(certificate).digest()).rstrip(b"=").decode()


def is_bound_to(expected: object, certificate: bytes | None) -> bool:
    """Whether `expected`, the `x5t#S256` of a token, names this certificate (DER)."""
    if certificate is None or not isinstance(expected, str):
        return False
    return hmac.compare_digest(thumbprint(certificate).encode(), expected.encode("utf-8", "surrogatepass"))


def _from_byte_sequence(value: str) -> bytes:
    found = _BYTE_SEQUENCE.fullmatch(value)
    if found is None or len(found[1]) % 4:
        raise CertificateError("not a byte sequence")
    return found[1].encode()


def _from_pem(value: str) -> bytes:
    found = _PEM.fullmatch(unquote_to_bytes(value)) if _ESCAPED.fullmatch(value) else None
    text = found[1].replace(b"\n", b"") if found else b""
    if not text or len(text) % 4 or b"=" in text.rstrip(b"="):
        raise CertificateError("not escaped PEM")
    return text


def _is_sequence(der: bytes) -> bool:
    """Whether this is one ASN.1 SEQUENCE to its last octet (X.690 8.1.3, 10.1), with two or three octets of length."""
    if not 128 <= len(der) <= MAX_CERTIFICATE or der[0] != 0x30:
        return False
    size = der[1] & 0x7F
    return der[1] in {0x81, 0x82} and int.from_bytes(der[2 : 2 + size]) == len(der) - 2 - size
