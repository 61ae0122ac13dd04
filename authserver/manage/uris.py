"""URIs that a client or resource registers: what may be a redirect URI, an origin, a page, an identifier.

Each function returns None when the value is good, else the end of a sentence that begins with the member's name.
"""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

_LONGEST: Final = 2048
_CHARACTERS: Final = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+", re.ASCII)  # RFC 3986 2
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
_HOST: Final = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
# Schemes that a browser runs, opens or draws by itself; some have a dot in names derived from them.
_DANGEROUS: Final = frozenset(
    {"javascript", "data", "vbscript", "file", "about", "blob", "ftp", "ws", "wss", "view-source"}
)
# What our answer adds to the query; a value of the client's own would stand beside it (RFC 6749 4.1.2, RFC 9207 2).
_OURS: Final = frozenset(
    {"code", "state", "iss", "error", "error_description", "error_uri", "response", "id_token", "access_token"}
    | {"token_type", "expires_in", "scope", "session_state"}
)
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def redirect_uri(value: object) -> str | None:
    """Check a redirect URI (RFC 6749 3.1.2, RFC 8252 7, RFC 9700 2.1)."""
    parts = _split(value)
    if isinstance(parts, str):
        return parts
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if not _OURS.isdisjoint(names):
        return "must not have a query parameter of the authorization response"
    return _destination(parts)


def post_logout_redirect_uri(value: object) -> str | None:
    """Check a post-logout redirect URI (OpenID Connect RP-Initiated Logout 3.1)."""
    parts = _split(value)
    return parts if isinstance(parts, str) else _destination(parts)


def page(value: object) -> str | None:
    """Check the URL of a page or document of the client: https, or http on loopback."""
    parts = _split(value)
    if isinstance(parts, str):
        return parts
    return _web(parts) if parts.scheme in {"http", "https"} else "must be an https URL"


def https(value: object) -> str | None:
    """Check a URL that must be https, whatever the host (jwks_uri, initiate_login_uri)."""
    return page(value) if str(value).startswith("https://") else "must be an https URL"


def origin(value: object) -> str | None:
    """Check a browser origin, as a browser writes it: scheme, host and port, lower case, nothing more."""
    parts = _split(value)
    if isinstance(parts, str):
        return parts
    if parts.scheme not in {"http", "https"} or parts.path or parts.query or parts.netloc != parts.netloc.lower():
        return "must be an origin: scheme, host and port in lower case, without a path"
    if parts.port == {"http": 80, "https": 443}[parts.scheme]:
        return "must leave out the scheme's own port, as browsers do"
    return _web(parts)


def identifier(value: object) -> str | None:
    """Check a resource identifier: an absolute URI without a fragment (RFC 8707 2), compared as a string."""
    parts = _split(value)
    if isinstance(parts, str):
        return parts
    if parts.scheme in _DANGEROUS or not (parts.netloc or parts.path):
        return "must be an absolute URI"
    return None


def _split(value: object) -> SplitResult | str:
    if not isinstance(value, str) or not value:
        return "must be text"
    if len(value) > _LONGEST:
        return f"must not be longer than {_LONGEST} characters"
    if not _CHARACTERS.fullmatch(value):
        return "must have only the characters of RFC 3986"
    if "#" in value:
        return "must not have a fragment"
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return "must be an absolute URI"
    if not _SCHEME.fullmatch(parts.scheme):
        return "must be an absolute URI"
    if "@" in parts.netloc:
        return "must not have user information"
    return parts


def _destination(parts: SplitResult) -> str | None:
    if parts.scheme in _DANGEROUS:
        return "must not have a scheme that browsers run or open"
    if parts.scheme in {"http", "https"}:
        return _web(parts)
    # RFC 8252 7.1: a private-use scheme is a domain name of the app's maker in reverse, so it has a dot.
    if "." not in parts.scheme:
        return "must have https, http on loopback, or a private-use scheme with a dot in it"
    return "must not have a wildcard" if "*" in parts.netloc + parts.path else None


def _web(parts: SplitResult) -> str | None:
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or port == 0 or parts.netloc.endswith(":"):
        return "must name a host"
    if "*" in parts.netloc + parts.path:
        return "must not have a wildcard"
    if host in LOOPBACK:
        return None
    if parts.scheme != "https":
        return "must be https unless it is on loopback"
    try:
        return None if ip_address(host).is_global else "must not name a private address"
    except ValueError:
        # The last label of a name is not a number: 127.1 and 0x7f000001 are addresses to a browser (WHATWG URL 3.5).
        last = host.rstrip(".").rpartition(".")[2]
        good = _HOST.fullmatch(host) and len(host) <= 253 and not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last)
        return None if good else "must name a host"
