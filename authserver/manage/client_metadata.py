"""Client metadata: each member's check, and the checks of members together (RFC 7591 2, OpenID Connect Registration 2).

``MEMBERS`` is the table of what can be registered; extensions bring more. A check returns the value to store, in one
spelling, or raises InvalidMetadata. Sentences are fixed: they name the member, never the value.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

from authserver.keys import SIGNING
from authserver.manage import uris
from authserver.manage.errors import InvalidMetadata
from authserver.manage.jwks import check_jwks
from authserver.manage.profiles import ALL_METHODS, PROFILES, SECRET_METHODS
from authserver.manage.sectors import host_of, sector_of
from authserver.records import origin_of

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


def check_together(metadata: Mapping[str, Any], profile: str) -> None:
    """Refuse members that contradict each other or the profile."""
    method, grants = metadata["token_endpoint_auth_method"], metadata["grant_types"]
    responses, public = metadata["response_types"], method == "none"
    algorithm = metadata.get("token_endpoint_auth_signing_alg")
    keys = ("jwks" in metadata) + ("jwks_uri" in metadata)
    rules = (
        # RFC 7591 2.1: one rule, both ways.
        (_contradict(grants, responses), "grant_types", "and response_types contradict each other"),
        ("refresh_token" in grants and len(grants) == 1, "grant_types", "has refresh_token alone"),
        (
            public and "client_credentials" in grants,
            "token_endpoint_auth_method",
            "none cannot have client_credentials",
        ),
        (
            public and not {TOKEN_EXCHANGE, JWT_BEARER}.isdisjoint(grants),
            "token_endpoint_auth_method",
            "none cannot have the grants of token exchange and of assertions",
        ),
        (public and not metadata["require_pkce"], "require_pkce", "cannot be false for a public client"),
        (public and bool(metadata.get("resource_server_for")), "resource_server_for", "needs a confidential client"),
        (public and metadata.get("introspects_all") is True, "introspects_all", "needs a confidential client"),
        (method not in PROFILES[profile].methods, "token_endpoint_auth_method", "is not possible in this profile"),
        (keys > 1, "jwks", "and jwks_uri exclude each other"),
        (method in WITH_KEYS and not keys, "jwks", f"or jwks_uri is needed for {method}"),
        (
            algorithm is not None and not _fits(algorithm, method, profile),
            "token_endpoint_auth_signing_alg",
            "does not fit the client's method and profile",
        ),
        (
            profile == "fapi2_message_signing" and not _is_signed(metadata.get("response_modes", ())),
            "response_modes",
            "can only be signed ones in this profile",
        ),
        *_logout_rules(metadata),
        *_subject_rules(metadata, method),
        *_front_channel_rules(metadata, profile),
        *_encryption_rules(metadata, has_keys=keys > 0),
        *_request_object_rules(metadata, profile, has_keys=keys > 0),
        *_backchannel_rules(metadata, profile, has_keys=keys > 0),
        *(_fapi2_rules(metadata) if profile.startswith("fapi2") else ()),
    )
    for wrong, member, sentence in rules:
        if wrong:
            raise InvalidMetadata(member, sentence)
    if metadata.get("subject_type") == "pairwise":
        sector_of(metadata)
    if responses and not metadata.get("redirect_uris"):
        raise InvalidMetadata("redirect_uris", "must name at least one redirect URI", "invalid_redirect_uri")


def grants_of(response_types: Iterable[str]) -> frozenset[str]:
    """Return the grant types that go with response types (OpenID Connect Registration 2)."""
    named = frozenset().union(*(kind.split() for kind in response_types))
    return frozenset({CODE} if "code" in named else ()) | frozenset({IMPLICIT} if named - {"code"} else ())


def _contradict(grants: Iterable[str], responses: Iterable[str]) -> bool:
    """Say whether grant types and response types contradict each other (RFC 7591 2.1).

    Many a client names the grant type ``implicit`` beside the code's and never asks for what it gives.
    """
    needed, given = grants_of(responses), {CODE, IMPLICIT}.intersection(grants)
    return not needed <= given or bool(given - needed - {IMPLICIT}) or (bool(given) and not needed)


def _front_channel_rules(metadata: Mapping[str, Any], profile: str) -> tuple[tuple[bool, str, str], ...]:
    """Return the rules of clients to which the authorization endpoint gives more than a code."""
    kinds, uris_of_client = metadata["response_types"], metadata.get("redirect_uris", ())
    front = IMPLICIT in grants_of(kinds)
    bound = metadata.get("dpop_bound_access_tokens") or metadata.get("tls_client_certificate_bound_access_tokens")
    return (
        (front and not PROFILES[profile].front_channel, "response_types", "can only be code in this profile"),
        # What is given there cannot be bound to a key (RFC 9449 5).
        (
            bool(bound) and any("token" in kind.split() for kind in kinds),
            "response_types",
            "cannot have token for a client of bound tokens",
        ),
        # OpenID Connect Registration 2, application_type
        (
            front
            and metadata.get("application_type") == "web"
            and not all(uri.startswith("https://") and host_of(uri) not in uris.LOOPBACK for uri in uris_of_client),
            "redirect_uris",
            "of a web client with these response_types must be https and not on this machine",
        ),
    )


def _logout_rules(metadata: Mapping[str, Any]) -> tuple[tuple[bool, str, str], ...]:
    """Return the rule of what is loaded in a frame: only a site that people are sent to (Front-Channel Logout 2)."""
    framed, redirects = metadata.get("frontchannel_logout_uri"), metadata.get("redirect_uris", ())
    elsewhere = framed is not None and origin_of(framed) not in {origin_of(uri) for uri in redirects}
    return ((elsewhere, "frontchannel_logout_uri", "must have scheme, host and port of a redirect URI"),)


def _subject_rules(metadata: Mapping[str, Any], method: str) -> tuple[tuple[bool, str, str], ...]:
    """Return the rules of the subject that a certificate has to name (RFC 8705 2.1.2)."""
    subjects = [name for name in metadata if name.startswith("tls_client_auth_")]
    wanted = method == "tls_client_auth"
    return (
        (wanted and not subjects, "tls_client_auth_subject_dn", "or another member with the subject is needed"),
        (len(subjects) > 1, subjects[0] if subjects else "", "and other members with the subject exclude each other"),
        (bool(subjects) and not wanted, subjects[0] if subjects else "", "needs the method tls_client_auth"),
    )


def _encryption_rules(metadata: Mapping[str, Any], *, has_keys: bool) -> tuple[tuple[bool, str, str], ...]:
    """Return the rules of answers that are encrypted (Registration 2, JARM 3, RFC 9701 6): how, and to which key."""
    methods = [name for name in metadata if name.endswith("_encrypted_response_enc")]
    alone = [name for name in methods if f"{name[:-4]}_alg" not in metadata]
    encrypted = [name for name in metadata if name.endswith("_encrypted_response_alg")]
    return (
        (bool(alone), alone[0] if alone else "", "needs the member of the same name that ends in alg"),
        (bool(encrypted) and not has_keys, "jwks", "or jwks_uri is needed for encrypted answers"),
    )


def _request_object_rules(
    metadata: Mapping[str, Any], profile: str, *, has_keys: bool
) -> tuple[tuple[bool, str, str], ...]:
    """Return the rules of signed requests (RFC 9101 10.5, OpenID Connect Registration 2)."""
    algorithm = metadata.get("request_object_signing_alg")
    return (
        (
            algorithm is not None and algorithm not in PROFILES[profile].algorithms,
            "request_object_signing_alg",
            "is not possible in this profile",
        ),
        (
            "request_object_encryption_enc" in metadata and "request_object_encryption_alg" not in metadata,
            "request_object_encryption_enc",
            "needs request_object_encryption_alg",
        ),
        (
            metadata.get("require_signed_request_object") is True and not has_keys,
            "jwks",
            "or jwks_uri is needed for signed requests",
        ),
    )


def _backchannel_rules(
    metadata: Mapping[str, Any], profile: str, *, has_keys: bool
) -> tuple[tuple[bool, str, str], ...]:
    """Return the rules of requests that reach a user behind the scenes (CIBA 4)."""
    asks, mode = CIBA in metadata["grant_types"], metadata.get("backchannel_token_delivery_mode")
    algorithm = metadata.get("backchannel_authentication_request_signing_alg")
    signs = algorithm is not None or (asks and profile.startswith("fapi2"))
    return (
        (
            asks and metadata["token_endpoint_auth_method"] == "none",
            "token_endpoint_auth_method",
            "none cannot have the grant of CIBA",
        ),
        (asks and mode is None, "backchannel_token_delivery_mode", "is needed for the grant of CIBA"),
        (
            mode == "ping" and "backchannel_client_notification_endpoint" not in metadata,
            "backchannel_client_notification_endpoint",
            "is needed for the mode ping",
        ),
        (
            algorithm is not None and algorithm not in PROFILES[profile].algorithms,
            "backchannel_authentication_request_signing_alg",
            "is not possible in this profile",
        ),
        (signs and not has_keys, "jwks", "or jwks_uri is needed for signed requests"),
    )


def _fapi2_rules(metadata: Mapping[str, Any]) -> tuple[tuple[bool, str, str], ...]:
    """Return the rules of FAPI 2.0: bound tokens (Security Profile 5.3.2.1), its algorithms alone (5.4.1)."""
    bound = metadata.get("dpop_bound_access_tokens") or metadata.get("tls_client_certificate_bound_access_tokens")
    allowed = PROFILES["fapi2"].algorithms
    signed = [name for name in metadata if name.endswith("_signed_response_alg") and metadata[name] not in allowed]
    return (
        (not bound, "dpop_bound_access_tokens", "or tls_client_certificate_bound_access_tokens must be true"),
        (bool(signed), signed[0] if signed else "", "is not possible in this profile"),
    )


def _is_signed(response_modes: Iterable[str]) -> bool:
    return all(mode.endswith("jwt") for mode in response_modes)


def _fits(algorithm: str, method: str, profile: str) -> bool:
    if method == "client_secret_jwt":
        return algorithm == "HS256"
    return method == "private_key_jwt" and algorithm in PROFILES[profile].algorithms


def _list(name: str, value: Any, error: str = "invalid_client_metadata") -> list[Any]:
    if not isinstance(value, list) or len(value) > _MAX_URIS:
        _refuse(name, f"must be a list of at most {_MAX_URIS} entries", error)
    return value


def _texts(entries: list[Any]) -> bool:
    return all(isinstance(entry, str) for entry in entries)


def _refuse(name: str, sentence: str, error: str = "invalid_client_metadata") -> NoReturn:
    raise InvalidMetadata(name, sentence, error)
