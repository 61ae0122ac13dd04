"""Mutual-TLS client authentication and certificate-bound access tokens (RFC 8705).

https://www.rfc-editor.org/rfc/rfc8705

The TLS handshake has proven that the client holds the key of its certificate; whose word counts for that is decided in
``web/proxy.py``. What the certificate says is checked here, whatever the proxy has checked: one that lets self-signed
certificates through lets every other one through, too. Nothing here asks who revoked a certificate: a client whose key
is lost is disabled, or registered anew.

Plugs into: CLIENT_AUTH, TOKEN_PREPARE, TOKEN_CHECK, USERINFO_CHECK, METADATA, CLIENT_METADATA.
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification

from authserver.clock import SECOND, now
from authserver.manage import subjects
from authserver.manage.client_metadata import flag
from authserver.oauth import client_auth, errors
from authserver.oauth.request import Request
from authserver.records import Client
from authserver.settings import Settings, SettingsError
from resourceserver.mtls import X5T, is_bound_to, thumbprint

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "mtls"
CLIENT_METADATA: Final = {
    "tls_client_auth_subject_dn": subjects.distinguished_name,
    "tls_client_auth_san_dns": subjects.dns_name,
    "tls_client_auth_san_uri": subjects.uri,
    "tls_client_auth_san_ip": subjects.ip,
    "tls_client_auth_san_email": subjects.email,
    "tls_client_certificate_bound_access_tokens": flag,
}
ALIASED: Final = frozenset(
    {
        "token",
        "pushed_authorization_request",
        "device_authorization",
        "introspection",
        "revocation",
        "revocation_events",
        "userinfo",
        "backchannel_authentication",
    }
)
"""Names of the endpoints at which a certificate means something (5)."""

_RSA_BITS: Final = 2048
_CURVES: Final = {"secp256r1": ("P-256", 32), "secp384r1": ("P-384", 48), "secp521r1": ("P-521", 66)}
# What cryptography raises while it reads a certificate that was never meant to be read.
_MALFORMED: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
# RFC 5280 as the Web PKI reads it, but for two extensions that the certificates of machines often lack.
_LEAF: Final = (
    verification.ExtensionPolicy.webpki_defaults_ee()
    .may_be_present(x509.SubjectAlternativeName, verification.Criticality.AGNOSTIC, None)
    .may_be_present(x509.AuthorityKeyIdentifier, verification.Criticality.AGNOSTIC, None)
)
_AUTHORITY: Final = verification.ExtensionPolicy.webpki_defaults_ca()


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce bound tokens (3.3), and where a certificate is asked for (5); raises SettingsError for a bad CA file."""
    _authorities(settings.mtls.ca_file)
    document: dict[str, Any] = {"tls_client_certificate_bound_access_tokens": True}
    base = settings.mtls.base_url
    if base is not None:
        endpoints = {name: path for name, path, *_ in server.registry.ENDPOINTS if name in ALIASED}
        document["mtls_endpoint_aliases"] = {f"{name}_endpoint": base + path for name, path in endpoints.items()}
    return document


def by_authority(server: "Server", request: Request) -> Client | None:
    """Authenticate by a certificate that a known authority has given to the registered subject (2.1)."""
    client = client_auth.known_client(server, request.parameters.get("client_id", ""))
    if client is None or request.certificate is None:
        return None
    try:
        leaf = x509.load_der_x509_certificate(request.certificate)
        _public_members(leaf)  # of a size that is accepted: the verifier looks at authorities only
        good = _is_issued(server, leaf) and subjects.names(leaf, client.metadata)
    except _MALFORMED:
        return None
    return client if good else None


def by_registration(server: "Server", request: Request) -> Client | None:
    """Authenticate by a certificate that the client has registered itself, or shows behind its ``jwks_uri`` (2.2)."""
    client = client_auth.known_client(server, request.parameters.get("client_id", ""))
    der = request.certificate
    if client is None or der is None:
        return None
    try:
        leaf = x509.load_der_x509_certificate(der)
        members = _public_members(leaf)
        if not leaf.not_valid_before_utc <= _moment() <= leaf.not_valid_after_utc:
            return None

        def registered(key: Mapping[str, Any]) -> bool:
            return _is_registered(key, der, members)

        keys = client.jwks if client.jwks is not None else server.outbound.client_key_set(client, registered)
        return client if any(registered(key) for key in keys["keys"]) else None
    except _MALFORMED:
        return None


def certificate(server: "Server", request: Request) -> None:
    """Bind what is issued to the certificate, for a client that is registered for that (3, 3.4)."""
    del server
    if not request.client.metadata.get("tls_client_certificate_bound_access_tokens"):
        return
    if request.certificate is None:
        raise errors.InvalidRequest(errors.CERTIFICATE_MISSING)
    request.x5t = thumbprint(request.certificate)


def binding(server: "Server", request: Request) -> None:
    """Hold a public client's refresh token to its certificate (4, 7.1).

    A confidential client proves itself anew each time, by whatever certificate it then has (6.3, 7.1).
    """
    del server
    grant = request.grant
    if grant is None or grant.cnf is None or (request.refresh_token is not None and not request.client.public):
        return
    expected = orjson.loads(grant.cnf).get(X5T)
    if expected is None:
        return
    if not is_bound_to(expected, request.certificate):
        raise errors.InvalidGrant(errors.CERTIFICATE_DIFFERS)
    request.x5t = expected


def shown(server: "Server", request: Request, token: str) -> None:
    """Say which certificate comes with an access token (3)."""
    del server, token
    if request.certificate is not None:
        request.x5t = thumbprint(request.certificate)


def _is_issued(server: "Server", leaf: x509.Certificate) -> bool:
    """Check the chain, validity and purpose of a certificate (2.1, 7.4; RFC 5280 6.1).

    The issuer itself stands in the CA file: the chain that a client sends does not get this far.
    """
    authorities = _authorities(server.settings.mtls.ca_file)
    if authorities is None:
        return False
    policy = verification.PolicyBuilder().store(authorities).time(_moment())
    policy = policy.extension_policies(ca_policy=_AUTHORITY, ee_policy=_LEAF)
    try:
        policy.build_client_verifier().verify(leaf, [])
    except verification.VerificationError:
        return False
    return True


@lru_cache(maxsize=4)
def _authorities(file: Path | None) -> verification.Store | None:
    if file is None:
        return None
    try:
        return verification.Store(x509.load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise SettingsError(f"AUTHSERVER_MTLS__CA_FILE cannot be read: {type(error).__name__}") from None


def _is_registered(key: Mapping[str, Any], der: bytes, members: Mapping[str, str]) -> bool:
    """Compare a key of the client's set with the certificate and its key (2.2.2)."""
    if key.get("use") == "enc":
        return False
    if "x5c" in key:
        return b64decode(key["x5c"][0], validate=True) == der
    return members.items() <= key.items()


def _public_members(leaf: x509.Certificate) -> dict[str, str]:
    """Return the certificate's key as a JWK (RFC 7518 6); raises ValueError for a kind or size that is not accepted."""
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_BITS:
        numbers = key.public_numbers()
        modulus, exponent = ((size.bit_length() + 7) // 8 for size in (numbers.n, numbers.e))
        return {"kty": "RSA", "n": _text(numbers.n, modulus), "e": _text(numbers.e, exponent)}
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        curve, size = _CURVES[key.curve.name]
        point = key.public_numbers()
        return {"kty": "EC", "crv": curve, "x": _text(point.x, size), "y": _text(point.y, size)}
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = int.from_bytes(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
        return {"kty": "OKP", "crv": "Ed25519", "x": _text(raw, 32)}
    msg = "the key of the certificate is not accepted"
    raise ValueError(msg)


def _text(number: int, size: int) -> str:
    return urlsafe_b64encode(number.to_bytes(size)).rstrip(b"=").decode()


def _moment() -> datetime:
    return datetime.fromtimestamp(now() / SECOND, UTC)
