"""Forwarded headers count only from configured proxies (DECISIONS, Faults; RFC 7239 8.1, RFC 9440 4)."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

from authserver.settings import Settings
from resourceserver.mtls import ProxyCertificates

CERTIFICATE: Final = "authserver.certificate"
"""Where the listener of our own (``cli/tls.py``) puts the certificate of a connection, or None, in environ."""


def client_address(environ: dict[str, Any], settings: Settings) -> str:
    """Return the address that the request came from, behind however many trusted proxies."""
    peer: str = environ.get("REMOTE_ADDR", "")
    if not settings.trusted_proxies:
        return peer
    networks = _networks(settings.trusted_proxies)
    hops = [hop.strip() for hop in environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    # From the nearest hop outwards: the first address that is not one of ours is the client.
    while hops and _trusted(peer, networks):
        peer = hops.pop()
    return peer


def client_certificate(environ: dict[str, Any], settings: Settings) -> bytes | None:
    """Return the certificate (DER) whose key the client has proven; raises resourceserver.mtls.CertificateError.

    Only the direct peer counts: what a proxy of a proxy says is for the nearer one to repeat or to leave out.
    """
    if CERTIFICATE in environ:
        proven: bytes | None = environ[CERTIFICATE]
        return proven
    header = settings.mtls.certificate_header
    return _header(header, settings.trusted_proxies).read(environ) if header else None


@lru_cache(maxsize=8)
def _header(name: str, proxies: tuple[str, ...]) -> ProxyCertificates:
    return ProxyCertificates(name, proxies)


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)


def _trusted(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed.version == network.version and parsed in network for network in networks)
