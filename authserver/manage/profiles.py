"""The profiles: policy per client, as data (DECISIONS, Profiles).

A profile is only a starting point. It is written into the client's metadata as explicit members when the client is
registered, so that every record says by itself what applies, and a later edition of a profile changes no client.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

SECRET_METHODS: Final = frozenset({"client_secret_basic", "client_secret_post"})
CERTIFICATE_METHODS: Final = frozenset({"tls_client_auth", "self_signed_tls_client_auth"})  # RFC 8705 2
ALL_METHODS: Final = SECRET_METHODS | CERTIFICATE_METHODS | {"client_secret_jwt", "private_key_jwt", "none"}
DEFAULT: Final = "oauth21"


class Profile(NamedTuple):
    """What a client of a profile gets where its metadata says nothing, and what it may not leave."""

    defaults: Mapping[str, Any]
    methods: frozenset[str]
    algorithms: frozenset[str]
    fixed: frozenset[str] = frozenset()
    """Members whose value is the profile's, whatever is asked for."""
    front_channel: bool = False
    """Whether the authorization endpoint may give more than a code."""


_ASYMMETRIC: Final = frozenset({"RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"})
# FAPI 2.0 Security Profile 5.4.1; Ed25519 is also written EdDSA, its older name.
_FAPI2_ALGORITHMS: Final = frozenset({"PS256", "ES256", "EdDSA", "Ed25519"})
_FAPI2: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "require_pkce": True,
        "refresh_rotation": False,
        "auth_method_pinned": True,
        "require_redirect_uri": False,
        "token_endpoint_auth_method": "private_key_jwt",
        "id_token_signed_response_alg": "ES256",
        "authorization_signed_response_alg": "ES256",
        "introspection_signed_response_alg": "ES256",
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
    }
)
_FAPI2_FIXED: Final = frozenset(
    {"require_pkce", "refresh_rotation", "auth_method_pinned", "require_pushed_authorization_requests"}
)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "oauth21": Profile(
            {
                "require_pkce": True,
                "refresh_rotation": True,
                "auth_method_pinned": False,
                "require_redirect_uri": False,
            },
            ALL_METHODS,
            _ASYMMETRIC,
        ),
        "oidc": Profile(
            {
                "require_pkce": False,
                "refresh_rotation": True,
                "auth_method_pinned": False,
                "require_redirect_uri": False,
            },
            ALL_METHODS,
            _ASYMMETRIC,
            front_channel=True,
        ),
        "fapi2": Profile(
            _FAPI2,
            CERTIFICATE_METHODS | {"private_key_jwt"},
            _FAPI2_ALGORITHMS,
            _FAPI2_FIXED,
        ),
        # FAPI 2.0 Message Signing 5.3 and 5.4: what goes to the authorization endpoint and comes from it is signed.
        "fapi2_message_signing": Profile(
            {
                **_FAPI2,
                "require_signed_request_object": True,
                "response_modes": ["jwt", "query.jwt", "fragment.jwt", "form_post.jwt"],
            },
            CERTIFICATE_METHODS | {"private_key_jwt"},
            _FAPI2_ALGORITHMS,
            _FAPI2_FIXED | {"require_signed_request_object"},
        ),
        "legacy": Profile(
            {
                "require_pkce": False,
                "refresh_rotation": True,
                "auth_method_pinned": False,
                "require_redirect_uri": True,
            },
            SECRET_METHODS,
            frozenset({"RS256"}),
            frozenset({"require_redirect_uri"}),
        ),
    }
)
