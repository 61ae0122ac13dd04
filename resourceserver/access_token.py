"""What a protected resource knows about the caller once the access token is checked.

RFC 9068 section 2.2 (claims of a JWT access token) and RFC 7662 section 2.2 (members of an introspection answer) name
the same facts; both arrive here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from resourceserver.errors import InvalidTokenError
from resourceserver.jwt import numeric_date

MAX_SUBJECT = 255

# RFC 6749 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*|")
# RFC 6749 appendix A.1: client-id = *VSCHAR
_CLIENT_ID = re.compile(r"[\x20-\x7e]+")

CheckedBy = Literal["introspection", "keys"]
Format = Literal["opaque", "jwt"]


@dataclass(frozen=True, slots=True, eq=False)
class AccessToken:
    """A checked access token. Times are POSIX seconds; the token itself is not in it.

    `checked_by` says who vouched for it: the issuer itself ("introspection") or its published keys ("keys").
    `claims` holds everything that was said about the token, deeply read-only.
    """

    issuer: str
    subject: str
    client_id: str
    scope: frozenset[str]
    audience: tuple[str, ...]
    expires_at: int
    checked_by: CheckedBy
    format: Format
    issued_at: int | None
    auth_time: int | None
    acr: str | None
    sid: str | None
    jti: str | None
    cnf: Mapping[str, object] | None
    authorization_details: tuple[Mapping[str, object], ...]
    claims: Mapping[str, object] = field(repr=False)

    def details(self, type_name: str) -> tuple[Mapping[str, object], ...]:
        """Return the authorization details of a type (RFC 9396 section 9): each allows what it says and no more."""
        return tuple(detail for detail in self.authorization_details if detail["type"] == type_name)

    @property
    def is_client_itself(self) -> bool:
        """Whether a client acts for itself, so that `subject` names no user (RFC 9068 section 2.2)."""
        return self.subject == self.client_id


def read_access_token(
    claims: Mapping[str, object], issuer: str, *, checked_by: CheckedBy, token_format: Format
) -> AccessToken:
    """Make an AccessToken of claims; whether they are the right ones (issuer, audience, time) is checked elsewhere.

    Raises InvalidTokenError where a member has the wrong type: a scope given as an array, an auth_time given as text.
    """
    client_id = claims.get("client_id")
    if not isinstance(client_id, str) or _CLIENT_ID.fullmatch(client_id) is None:
        raise InvalidTokenError("client_id missing or malformed")
    subject = claims.get("sub", client_id)
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise InvalidTokenError("sub malformed")
    scope = claims.get("scope", "")
    if not isinstance(scope, str) or _SCOPE.fullmatch(scope) is None:
        raise InvalidTokenError("scope malformed")
    return AccessToken(
        issuer=issuer,
        subject=subject,
        client_id=client_id,
        scope=frozenset(scope.split()),
        audience=_audience(claims.get("aud", [])),
        expires_at=int(numeric_date(claims.get("exp"))),
        checked_by=checked_by,
        format=token_format,
        issued_at=_time(claims, "iat"),
        auth_time=_time(claims, "auth_time"),
        acr=_text(claims, "acr"),
        sid=_text(claims, "sid"),
        jti=_text(claims, "jti"),
        cnf=_confirmation(claims),
        authorization_details=_details(claims),
        claims=MappingProxyType({name: _frozen(value) for name, value in claims.items()}),
    )


def _audience(value: object) -> tuple[str, ...]:
    members = value if isinstance(value, list) else [value]
    if not all(isinstance(member, str) for member in members):
        raise InvalidTokenError("aud is not a string or an array of strings")
    return tuple(members)


def _time(claims: Mapping[str, object], name: str) -> int | None:
    value = claims.get(name)
    return None if value is None else int(numeric_date(value))


def _text(claims: Mapping[str, object], name: str) -> str | None:
    value = claims.get(name)
    if value is None or isinstance(value, str):
        return value
    raise InvalidTokenError("acr, sid or jti is not a string")


def _confirmation(claims: Mapping[str, object]) -> Mapping[str, object] | None:
    if "cnf" not in claims:
        return None
    value = claims["cnf"]
    if not isinstance(value, dict):
        raise InvalidTokenError("cnf is not an object")
    return MappingProxyType({str(name): _frozen(member) for name, member in value.items()})


def _details(claims: Mapping[str, object]) -> tuple[Mapping[str, object], ...]:
    value = claims.get("authorization_details", [])
    if not isinstance(value, list) or not all(
        isinstance(detail, dict) and isinstance(detail.get("type"), str) for detail in value
    ):
        raise InvalidTokenError("authorization_details is not an array of objects with a type")
    return tuple(MappingProxyType({name: _frozen(member) for name, member in detail.items()}) for detail in value)


def _frozen(value: object) -> object:
    """Return a read-only copy: one cached token is handed to many requests."""
    if isinstance(value, list):
        return tuple(_frozen(member) for member in value)
    if isinstance(value, dict):
        return MappingProxyType({name: _frozen(member) for name, member in value.items()})
    return value
