"""The subject that a client's certificate has to name, as the client registers it (RFC 8705 2.1.2).

Each member has a check, which returns the one spelling that is stored, and a comparison with a certificate. Everything
is compared part by part and in full: no wildcard, no common name in the place of a DNS name, no other order of a name's
parts.
"""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from authserver.manage.errors import InvalidMetadata

_MAX_TEXT: Final = 1024
_DNS_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*", re.ASCII)
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", re.ASCII)
_EMAIL: Final = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+", re.ASCII)
# The names of RFC 4514 3, and those that certificates of companies and banks have, as OpenSSL writes them.
_ATTRIBUTES: Final = {
    "CN": NameOID.COMMON_NAME,
    "L": NameOID.LOCALITY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "C": NameOID.COUNTRY_NAME,
    "STREET": NameOID.STREET_ADDRESS,
    "DC": NameOID.DOMAIN_COMPONENT,
    "UID": NameOID.USER_ID,
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "title": NameOID.TITLE,
    "GN": NameOID.GIVEN_NAME,
    "SN": NameOID.SURNAME,
    "postalCode": NameOID.POSTAL_CODE,
    "businessCategory": NameOID.BUSINESS_CATEGORY,
    "organizationIdentifier": NameOID.ORGANIZATION_IDENTIFIER,
    "jurisdictionC": NameOID.JURISDICTION_COUNTRY_NAME,
}
# RFC 4514 2.3: the names of attributes know no case.
_SPELLINGS: Final = {word: oid for name, oid in _ATTRIBUTES.items() for word in (name, name.lower(), name.upper())}


def distinguished_name(name: str, value: Any) -> str:
    """Check a distinguished name as a string (RFC 4514)."""
    sentence = "must be a distinguished name as RFC 4514 writes it, such as CN=client,O=Example,C=NZ"
    text = _text(name, value, sentence)
    try:
        parts = [part.value for part in _read_name(text)]
    except ValueError:
        raise InvalidMetadata(name, sentence) from None
    # A value in hexadecimal (2.4) is BER, which nobody can read and compare; controls are never part of a name.
    if not parts or not all(isinstance(part, str) and part.isprintable() for part in parts):
        raise InvalidMetadata(name, sentence)
    return text


def dns_name(name: str, value: Any) -> str:
    """Check a DNS name; a wildcard is none."""
    sentence = "must be one DNS name, without a wildcard"
    return _matching(_DNS_NAME, name, value, sentence).lower()


def uri(name: str, value: Any) -> str:
    """Check a URI; it is compared as a string (RFC 3986 6.2.1)."""
    return _matching(_URI, name, value, "must be an absolute URI")


def ip(name: str, value: Any) -> str:
    """Check an IP address; addresses are compared as numbers (RFC 5952 8)."""
    sentence = "must be an IPv4 or IPv6 address"
    text = _text(name, value, sentence)
    try:
        return str(ip_address(text if "%" not in text else ""))
    except ValueError:
        raise InvalidMetadata(name, sentence) from None


def email(name: str, value: Any) -> str:
    """Check an e-mail address; it is compared as a string."""
    return _matching(_EMAIL, name, value, "must be an e-mail address")


def names(leaf: x509.Certificate, registered: Mapping[str, Any]) -> bool:
    """Say whether a certificate has the one subject that a client has registered; raises what cryptography raises."""
    members = [member for member in SUBJECTS if member in registered]
    return len(members) == 1 and SUBJECTS[members[0]](leaf, registered[members[0]])


def _has_name(leaf: x509.Certificate, value: str) -> bool:
    return leaf.subject == _read_name(value)


def _has_dns(leaf: x509.Certificate, value: str) -> bool:
    return value in [entry.lower() for entry in _alternatives(leaf).get_values_for_type(x509.DNSName)]


def _has_uri(leaf: x509.Certificate, value: str) -> bool:
    return value in _alternatives(leaf).get_values_for_type(x509.UniformResourceIdentifier)


def _has_ip(leaf: x509.Certificate, value: str) -> bool:
    return ip_address(value) in _alternatives(leaf).get_values_for_type(x509.IPAddress)


def _has_email(leaf: x509.Certificate, value: str) -> bool:
    return value in _alternatives(leaf).get_values_for_type(x509.RFC822Name)


SUBJECTS: Final[Mapping[str, Callable[[x509.Certificate, str], bool]]] = MappingProxyType(
    {
        "tls_client_auth_subject_dn": _has_name,
        "tls_client_auth_san_dns": _has_dns,
        "tls_client_auth_san_uri": _has_uri,
        "tls_client_auth_san_ip": _has_ip,
        "tls_client_auth_san_email": _has_email,
    }
)
"""Member of a client's metadata → its comparison with a certificate; exactly one of them is registered."""


def _alternatives(leaf: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _read_name(text: str) -> x509.Name:
    return x509.Name.from_rfc4514_string(text, _SPELLINGS)


def _matching(pattern: re.Pattern[str], name: str, value: Any, sentence: str) -> str:
    text = _text(name, value, sentence)
    if not pattern.fullmatch(text):
        raise InvalidMetadata(name, sentence)
    return text


def _text(name: str, value: Any, sentence: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
        raise InvalidMetadata(name, sentence)
    return value
