"""What members of client metadata must hold together (RFC 7591 2, OpenID Connect Registration 2)."""

from collections.abc import Iterable, Mapping
from typing import Any

from authserver.manage import uris
from authserver.manage.client_metadata import CIBA, CODE, IMPLICIT, JWT_BEARER, TOKEN_EXCHANGE, WITH_KEYS
from authserver.manage.errors import InvalidMetadata
from authserver.manage.profiles import PROFILES
from authserver.manage.sectors import host_of, sector_of
from authserver.redirects import origin_of


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
