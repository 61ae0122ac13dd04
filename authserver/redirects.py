"""Where answers go: how redirect URIs are compared, and what their origins are."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from authserver.records import Client


def matches_redirect_uri(registered: str, presented: str, client: "Client") -> bool:
    """Compare two redirect URIs as strings, but for the port of loopback URIs (RFC 8252 7.3, RFC 9700 2.1)."""
    if registered == presented:
        return True
    if not registered.startswith("http://") or not presented.startswith("http://"):
        return False
    host, port, rest = _split_loopback(registered)
    other_host, other_port, other_rest = _split_loopback(presented)
    if host is None or host != other_host or rest != other_rest or other_port is None:
        return False
    # "localhost" is a name that another program may answer: any port only where the registration leaves it open.
    return host != "localhost" or (port == "" and (client.application_type == "native" or client.origin == "document"))


def _split_loopback(uri: str) -> tuple[str | None, str | None, str]:
    """Split a loopback http URI into host, port text ('' without one, None when malformed) and the rest as written."""
    authority, slash, path = uri.removeprefix("http://").partition("/")
    for host in ("127.0.0.1", "[::1]", "localhost"):
        if authority == host:
            return host, "", slash + path
        if authority.startswith(host + ":"):
            port = authority[len(host) + 1 :]
            good = port.isascii() and port.isdigit() and not port.startswith("0") and int(port[:6]) <= 65535
            return host, port if good else None, slash + path
    return None, None, ""


def origin_of(uri: str) -> str:
    """Return scheme, host and port of a URI, as a browser writes an origin; the scheme alone for other schemes."""
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"}:
        return f"{parts.scheme}:"
    own_port = ":80" if parts.scheme == "http" else ":443"
    return f"{parts.scheme}://{parts.netloc}".lower().removesuffix(own_port)
