"""Claims about the user, by scope (OpenID Connect Core 1.0, 5.1, 5.4).

https://openid.net/specs/openid-connect-core-1_0.html#ScopeClaims

Plugs into: userinfo, ID tokens of clients that ask for it, METADATA.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from authserver.clock import SECOND
from authserver.manage import standard_claims
from authserver.records import User
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

BY_SCOPE: Final = {
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
PROTOCOL: Final = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash")


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the claims (OpenID Connect Discovery 1.0, 3)."""
    names = of_scopes(server, (*BY_SCOPE, *settings.claim_scopes))
    return {"claims_supported": list(dict.fromkeys((*PROTOCOL, *names))), "claim_types_supported": ["normal"]}


def of_scopes(server: "Server", scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the claims that these scope values open (5.4)."""
    ours = server.settings.claim_scopes
    return tuple(
        name for value in scopes for name in (BY_SCOPE.get(value) or (ours[value].claims if value in ours else ()))
    )


def of(server: "Server", user: User, scope: str) -> dict[str, Any]:
    """Return the user's claims that the scope allows; what is not known is left out (5.3.2)."""
    return named(user, of_scopes(server, scope.split()))


def named(user: User, names: Iterable[str]) -> dict[str, Any]:
    """Return those of the user's claims that are named; what is not known is left out (5.3.2).

    So is what was stored before it was checked and is not what the standard says (5.1): no client could read it.
    """
    known = _known(user)
    return {
        name: value
        for name in names
        if (value := known.get(name)) is not None and standard_claims.problem(name, value) is None
    }


def _known(user: User) -> dict[str, Any]:
    known: dict[str, Any] = {"preferred_username": user.username, **user.claims}
    known["updated_at"] = user.updated_at // SECOND
    if user.email is not None:
        known["email"], known["email_verified"] = user.email, user.email_verified
    return known
