"""Forwarded headers count only from configured proxies (DECISIONS, Faults; RFC 7239 8.1)."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from authserver.settings import Settings


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


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)


def _trusted(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed.version == network.version and parsed in network for network in networks)
