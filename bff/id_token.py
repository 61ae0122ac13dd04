"""OpenID Connect Core 1.0, sections 2, 3.1.3.7 and 12.2: the ID token, checked in full before anybody is logged in."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bff.errors import TokenRefusedError
from bff.jwks import Keys
from bff.jwt import LEEWAY_SECONDS, Expectation, same, verify
from bff.settings import BffSettings

_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512, "EdDSA": hashlib.sha512}
_MAX_SUB = 255


@dataclass(frozen=True, slots=True)
class Identity:
    """Who logged in, as the provider says; name and e-mail are for display only."""

    sub: str
    name: str | None
    email: str | None
    sid: str | None
    acr: str | None = None
    auth_time: int | None = None


def check_at_login(
    token: str, keys: Keys, settings: BffSettings, *, nonce: str, access_token: str, not_before: int
) -> Identity:
    """Check the ID token of a log-in that began at `not_before`; raises TokenRefusedError."""
    claims = _check(token, keys, settings, access_token)
    if not same(claims.get("nonce"), nonce):
        raise TokenRefusedError("nonce")
    if claims["iat"] < not_before - LEEWAY_SECONDS:
        raise TokenRefusedError("iat")
    return Identity(
        sub=claims["sub"],
        name=name_of(claims),
        email=email_of(claims),
        sid=_text(claims.get("sid")),
        acr=_text(claims.get("acr")),
        auth_time=_time(claims.get("auth_time")),
    )


def check_at_refresh(token: str, keys: Keys, settings: BffSettings, *, sub: str, access_token: str) -> None:
    """Check the ID token of a refresh: the same person as at log-in (section 12.2); raises TokenRefusedError."""
    claims = _check(token, keys, settings, access_token)
    if not same(claims.get("sub"), sub):
        raise TokenRefusedError("sub")


def name_of(claims: Mapping[str, Any]) -> str | None:
    """Give the name to greet somebody by (section 5.1)."""
    return _text(claims.get("name")) or _text(claims.get("preferred_username"))


def email_of(claims: Mapping[str, Any]) -> str | None:
    """Give the e-mail address to show; it says nothing about who somebody is."""
    return _text(claims.get("email"))


def _check(token: str, keys: Keys, settings: BffSettings, access_token: str) -> Mapping[str, Any]:
    expected = Expectation(
        issuer=settings.issuer,
        audience=settings.client_id,
        algorithms=settings.id_token_algorithms,
        types=(None, "jwt"),
        required=("iss", "sub", "aud", "exp", "iat"),
    )
    claims, algorithm = verify(token, keys, expected)
    if "azp" in claims and not same(claims["azp"], settings.client_id):
        raise TokenRefusedError("azp")
    sub = claims["sub"]
    if not isinstance(sub, str) or not 0 < len(sub) <= _MAX_SUB or not sub.isascii() or not sub.isprintable():
        raise TokenRefusedError("sub")
    if "at_hash" in claims and not same(claims["at_hash"], _at_hash(access_token, algorithm)):
        raise TokenRefusedError("at_hash")
    return claims


def _at_hash(access_token: str, algorithm: str) -> str:
    """Compute the left half of the token's hash; an algorithm without a known hash fails closed (CVE-2026-28498)."""
    make = _HASHES.get(algorithm) or _HASHES.get(algorithm[2:])
    if make is None:
        raise TokenRefusedError("at_hash")
    whole = make(access_token.encode()).digest()
    return base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode()


def _text(value: object) -> str | None:
    """Keep a claim that is for display: a text, without control characters, of bounded length."""
    if not isinstance(value, str):
        return None
    return "".join(character for character in value if character.isprintable())[:256].strip() or None


def _time(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
