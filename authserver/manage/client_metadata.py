"""Client metadata: each member's check, and the checks of members together (RFC 7591 2, OpenID Connect Registration 2).

``MEMBERS`` is the table of what can be registered; extensions bring more. A check returns the value to store, in one
spelling, or raises InvalidMetadata. Sentences are fixed: they name the member, never the value.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

from authserver.keys import SIGNING
from authserver.manage import uris
from authserver.manage.errors import InvalidMetadata
from authserver.manage.jwks import check_jwks
from authserver.manage.profiles import ALL_METHODS, PROFILES, SECRET_METHODS

Check = Callable[[str, Any], Any]

CODE: Final = "authorization_code"
DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"  # RFC 8628 3.4
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # RFC 8693 2.1
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523 2.1
CIBA: Final = "urn:openid:params:grant-type:ciba"  # CIBA 4
IMPLICIT: Final = "implicit"  # no grant of the token endpoint: what the authorization endpoint itself gives
GRANT_TYPES: Final = frozenset({CODE, "refresh_token", "client_credentials", DEVICE, TOKEN_EXCHANGE, JWT_BEARER, CIBA})
DEFAULT_SCOPE: Final = "openid profile email address phone offline_access"
SHARED_SECRET: Final = SECRET_METHODS | {"client_secret_jwt"}
WITH_KEYS: Final = frozenset({"private_key_jwt", "self_signed_tls_client_auth"})
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*", re.ASCII)  # RFC 6749 3.3
# Letters and marks that show nothing (Unicode, Default_Ignorable_Code_Point, and the empty Braille cell).
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
)
_MAX_URIS: Final = 50
_MAX_TEXT: Final = 512
_MAX_SCOPE: Final = 4096


def words(*values: str) -> Check:
    """Return a check for one of these words."""
    return lambda name, value: value if value in values else _refuse(name, "has a value that is not supported")


def flag(name: str, value: Any) -> bool:
    """Check a truth value; "true" in quotes is none."""
    return value if isinstance(value, bool) else _refuse(name, "must be true or false")


def line(name: str, value: Any) -> str:
    """Check a line of text for people."""
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_TEXT or not is_readable(value):
        _refuse(name, f"must be printable text of 1 to {_MAX_TEXT} characters")
    return value


def is_readable(text: str) -> bool:
    """Say whether people see all of a text: no line breaks, nothing invisible, nothing that turns the writing round."""
    return text.isprintable() and not _BLANK.search(text)


def lines(name: str, value: Any) -> list[str]:
    """Check a list of lines."""
    return [line(name, entry) for entry in _list(name, value)]


def url(check: Callable[[object], str | None], error: str = "invalid_client_metadata") -> Check:
    """Return a check for one URL."""

    def one(name: str, value: Any) -> str:
        problem = check(value)
        return _refuse(name, problem, error) if problem else str(value)

    return one


def urls(check: Callable[[object], str | None], error: str = "invalid_client_metadata") -> Check:
    """Return a check for a list of URLs, each once, at most 50."""
    one = url(check, error)
    return lambda name, value: list(dict.fromkeys(one(name, entry) for entry in _list(name, value, error)))


def number(low: int, high: int) -> Check:
    """Return a check for a whole number."""

    def one(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            _refuse(name, f"must be a whole number from {low} to {high}")
        return value

    return one


def some(allowed: frozenset[str]) -> Check:
    """Return a check for a list of words out of ``allowed``."""

    def each(name: str, value: Any) -> list[str]:
        entries = _list(name, value)
        if not allowed.issuperset(entry for entry in entries if isinstance(entry, str)) or not _texts(entries):
            _refuse(name, "has a value that is not supported")
        return list(dict.fromkeys(entries))

    return each


def scope(name: str, value: Any) -> str:
    """Check a scope (RFC 6749 3.3): values separated by single spaces, each once."""
    if not isinstance(value, str) or len(value) > _MAX_SCOPE or not (value == "" or _SCOPE.fullmatch(value)):
        _refuse(name, "must be scope values separated by single spaces (RFC 6749 section 3.3)")
    return " ".join(dict.fromkeys(value.split()))


def id_jag_audiences(name: str, value: Any) -> dict[str, Any]:
    """Check what a client may ask of other authorization servers, by their issuer: as whom, and with what scope."""
    if not isinstance(value, dict) or len(value) > _MAX_URIS:
        _refuse(name, f"must be an object of at most {_MAX_URIS} issuers")
    return {url(uris.identifier)(name, issuer): _id_jag_policy(name, policy) for issuer, policy in value.items()}


def _id_jag_policy(name: str, policy: Any) -> dict[str, Any]:
    if not isinstance(policy, dict) or not {"client_id"} <= policy.keys() <= {"client_id", "scope", "resources"}:
        _refuse(name, "must give each issuer a client_id, and perhaps a scope and resources")
    return {
        "client_id": line(name, policy["client_id"]),
        "scope": scope(name, policy.get("scope", "")),
        "resources": urls(uris.identifier)(name, policy.get("resources", [])),
    }


MEMBERS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "redirect_uris": urls(uris.redirect_uri, "invalid_redirect_uri"),
        "token_endpoint_auth_method": words(*sorted(ALL_METHODS)),
        "token_endpoint_auth_signing_alg": words("RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519", "HS256"),
        "grant_types": some(GRANT_TYPES),
        "response_types": some(frozenset({"code"})),
        "client_name": line,
        "client_uri": url(uris.page),
        "logo_uri": url(uris.page),
        "policy_uri": url(uris.page),
        "tos_uri": url(uris.page),
        "contacts": lines,
        "scope": scope,
        "jwks": check_jwks,
        "jwks_uri": url(uris.page),
        "software_id": line,
        "software_version": line,
        "application_type": words("web", "native"),
        "subject_type": words("public", "pairwise"),
        "id_token_signed_response_alg": words(*SIGNING),
        "default_max_age": number(0, 2**31),
        "require_auth_time": flag,
        "default_acr_values": lines,
        "initiate_login_uri": url(uris.https),
        "post_logout_redirect_uris": urls(uris.post_logout_redirect_uri),
    }
)
"""What any client may register about itself."""

ADMINISTRATOR_MEMBERS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "profile": words(*PROFILES),
        "trusted": flag,
        "resources": urls(uris.identifier),
        "resource_server_for": urls(uris.identifier),
        "introspects_all": flag,
        "auth_method_pinned": flag,
        "web_origins": urls(uris.origin),
        "access_token_format": words("opaque", "jwt"),
        "access_token_signed_response_alg": words("ES256", "RS256"),
        "require_pkce": flag,
        "require_redirect_uri": flag,
        "refresh_rotation": flag,
        "grace_seconds": number(0, 300),
        "id_token_claims": flag,
        "exchange_audiences": urls(uris.identifier),
        "may_impersonate": flag,
        "may_act": line,
        "id_jag_audiences": id_jag_audiences,
    }
)
"""What only an administrator says about a client; self-registration drops these."""


def _list(name: str, value: Any, error: str = "invalid_client_metadata") -> list[Any]:
    if not isinstance(value, list) or len(value) > _MAX_URIS:
        _refuse(name, f"must be a list of at most {_MAX_URIS} entries", error)
    return value


def _texts(entries: list[Any]) -> bool:
    return all(isinstance(entry, str) for entry in entries)


def _refuse(name: str, sentence: str, error: str = "invalid_client_metadata") -> NoReturn:
    raise InvalidMetadata(name, sentence, error)
