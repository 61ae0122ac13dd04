"""Certificates for one test, over keys that are public knowledge: signing one is cheap, and nothing is kept."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from resourceserver.mtls import thumbprint

CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH


def key(number: int) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key of this number."""
    return ec.derive_private_key(20270000 + number, ec.SECP256R1())


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key."""

    x509: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.x509.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.x509.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return str(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())

    @property
    def escaped(self) -> str:
        """As nginx writes $ssl_client_escaped_cert."""
        return quote(self.pem, safe="")

    @property
    def field(self) -> str:
        """As RFC 9440 2.2 writes Client-Cert."""
        return f":{b64encode(self.der).decode()}:"

    @property
    def x5c(self) -> str:
        return b64encode(self.der).decode()

    @property
    def x5t(self) -> str:
        return thumbprint(self.der)


def issue(
    subject: str | x509.Name,
    private: Any,
    by: Certificate | None = None,
    *,
    names: Sequence[x509.GeneralName] = (),
    days: tuple[float, float] = (-1, 30),
    authority: bool = False,
    purposes: Sequence[x509.ObjectIdentifier] = (CLIENT_AUTH,),
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Certificate:
    """Make a certificate, signed by another one or by itself."""
    name = x509.Name.from_rfc4514_string(subject) if isinstance(subject, str) else subject
    issuer, moment = by or Certificate(None, private), datetime.now(UTC)  # type: ignore[arg-type] # only its key is used
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False),
        *more,
    ]
    if authority:
        extensions.append((x509.BasicConstraints(ca=True, path_length=None), True))
        extensions.append((_signs_certificates(), True))
    elif purposes:
        extensions.append((x509.ExtendedKeyUsage(purposes), False))
    if names:
        extensions.append((x509.SubjectAlternativeName(names), False))
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by.x509.subject if by else name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment + timedelta(days=days[0]))
        .not_valid_after(moment + timedelta(days=days[1]))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Certificate(builder.sign(issuer.key, hashes.SHA256()), private)


def authority(subject: str = "CN=Test authority,O=Example", number: int = 1) -> Certificate:
    """Make an authority."""
    return issue(subject, key(number), authority=True)


def numbered(*values: Any) -> list[Any]:
    """Name parameters by their number: a certificate is another one in each process that collects tests."""
    return [pytest.param(value, id=str(number)) for number, value in enumerate(values)]


def _signs_certificates() -> x509.KeyUsage:
    said = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**said, key_cert_sign=True, crl_sign=True)
