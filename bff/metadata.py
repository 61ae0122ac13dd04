"""OpenID Connect Discovery 1.0 and RFC 8414 section 3.3: what the provider says about itself, believed only in part.

The issuer must be the configured one, byte for byte, and every endpoint must live at the issuer's origin or at one
that the settings name: a forged document cannot send codes, secrets or tokens elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bff.errors import ProviderMismatchError
from bff.settings import BffSettings, checked_url, origin_of

_REQUIRED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_OPTIONAL = (
    "revocation_endpoint",
    "end_session_endpoint",
    "userinfo_endpoint",
    "pushed_authorization_request_endpoint",
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """The checked part of the provider's metadata."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    revocation_endpoint: str | None
    end_session_endpoint: str | None
    userinfo_endpoint: str | None
    pushed_authorization_request_endpoint: str | None
    requires_pushed_requests: bool
    iss_in_responses: bool


def check(document: Mapping[str, Any], settings: BffSettings) -> Metadata:
    """Check a metadata document; raises ProviderMismatchError."""
    if document.get("issuer") != settings.issuer:
        raise ProviderMismatchError("issuer")
    origins = {origin_of(settings.issuer), *(origin_of(origin) for origin in settings.provider_origins)}
    urls = {name: _endpoint(document.get(name), origins, name) for name in _REQUIRED}
    more = {name: _endpoint(document[name], origins, name) for name in _OPTIONAL if document.get(name) is not None}
    # RFC 7636 with "plain" is no protection: a provider that lists methods must list S256.
    for name, value, default in (
        ("code_challenge_methods_supported", "S256", ["S256"]),
        ("response_types_supported", "code", ["code"]),
        ("token_endpoint_auth_methods_supported", "client_secret_basic", ["client_secret_basic"]),
    ):
        supported = document.get(name, default)
        if not isinstance(supported, list) or value not in supported:
            raise ProviderMismatchError(name)
    return Metadata(
        **urls,
        revocation_endpoint=more.get("revocation_endpoint"),
        end_session_endpoint=more.get("end_session_endpoint"),
        userinfo_endpoint=more.get("userinfo_endpoint"),
        pushed_authorization_request_endpoint=more.get("pushed_authorization_request_endpoint"),
        requires_pushed_requests=document.get("require_pushed_authorization_requests") is True,
        iss_in_responses=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(value: object, origins: set[str], name: str) -> str:
    if not isinstance(value, str):
        raise ProviderMismatchError(name)
    try:
        checked_url(value)
        known = origin_of(value) in origins
    except ValueError:
        raise ProviderMismatchError(name) from None
    if not known or not urlsplit(value).path.startswith("/"):
        raise ProviderMismatchError(name)
    return value
