"""The sections of the settings that belong to one extension each, and the tables of which some are made."""

import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, FilePath, field_validator, model_validator
from pydantic_settings import NoDecode

from authserver import tagged
from authserver.json_schema import check, reaches, written
from authserver.sections import Positive, Section, Words

GrantType = Literal["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
"""What a client may register for itself: no grant without a person who sees what the client is."""
WebPage = Annotated[str, Field(pattern=r"^https?://[^\s\"<>\\]+$", max_length=2048)]
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
# Claims that the protocol itself says something with (RFC 7519 4.1, OpenID Connect Core 2, 5.6.2, RFC 9068 2.2).
PROTOCOL_CLAIMS: Final = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "nonce", "acr", "amr", "azp", "auth_time", "at_hash", "c_hash"}
    | {"s_hash", "sid", "client_id", "scope", "cnf", "events", "act", "authorization_details"}
    | {"_claim_names", "_claim_sources"}
)
# Scopes of a meaning that is fixed (OpenID Connect Core 5.4, 11).
PERSONAL_SCOPES: Final = ("openid", "profile", "email", "address", "phone", "offline_access")
_NAMED: Final = re.compile(r"\{([^{}]+)\}")


class StatementIssuer(Section):
    """An issuer of software statements that count (RFC 7591 2.3), and where its keys are."""

    issuer: str
    jwks_uri: str


class Registration(Section):
    """Clients that register themselves (RFC 7591) or are described by a document of their own: what they may become."""

    mode: Literal["closed", "token", "open"] = Field(
        "closed", description="Who may register a client: nobody, whoever has an initial access token, or anybody."
    )
    profile: Literal["oauth21", "oidc", "fapi2", "fapi2_message_signing"] = Field(
        "oauth21", description="Profile of clients that register themselves or have a metadata document."
    )
    scopes: Words = Field(
        ("openid", "profile", "email", "address", "phone", "offline_access"),
        description="Scopes that such a client may have, and has where it names none.",
    )
    grant_types: Annotated[tuple[GrantType, ...], NoDecode] = Field(
        ("authorization_code", "refresh_token"), description="Grant types that a client may register for itself."
    )
    redirects: Annotated[tuple[Literal["https", "loopback", "private"], ...], NoDecode] = Field(
        ("https", "loopback", "private"),
        description="Kinds of redirect URIs that a client may register for itself; private ones are schemes of apps.",
    )
    redirect_hosts: Words = Field(
        (),
        description="Hosts of https redirect URIs that may be registered, a dot before it for all below; any if empty.",
    )
    statement_issuers: tuple[StatementIssuer, ...] = Field(
        (), description="Issuers of software statements that count, with issuer and jwks_uri, as tables or in JSON."
    )
    require_statement: bool = Field(
        default=False, description="Register only clients that bring a software statement (RFC 7591 2.3)."
    )
    rotate_access_token: bool = Field(
        default=False, description="Give a client another registration access token at each update (RFC 7592 2.2)."
    )
    unused_days: Positive = Field(
        30, description="A client that registered itself and was never used is deleted after so many days."
    )

    @field_validator("scopes", "grant_types", "redirects", "redirect_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @property
    def is_open(self) -> bool:
        """Say whether anybody may register a client."""
        return self.mode == "open"


class Dpop(Section):
    """Proof of possession by DPoP (RFC 9449)."""

    require_nonce: bool = Field(
        default=False, description="Demand a nonce of this server in every DPoP proof (RFC 9449 8)."
    )


class Ciba(Section):
    """Requests that reach people without their doing (CIBA)."""

    fresh_seconds: Annotated[int, Field(ge=60, le=86400)] = Field(
        900, description="Whoever allows a CIBA request has signed in within so many seconds."
    )
    test_approval: bool = Field(
        default=False, description="An endpoint that decides CIBA requests for test suites; with --development only."
    )


class Signup(Section):
    """The page on which people make accounts (User Registration): what they are asked to read first."""

    terms_uri: WebPage | None = Field(None, description="Page with the terms that somebody accepts with an account.")
    policy_uri: WebPage | None = Field(None, description="Page that says what is done with what somebody tells here.")


class Mtls(Section):
    """Client certificates (RFC 8705): who hands them on, and where they are asked for."""

    certificate_header: str = Field(
        "", description="Header in which a trusted proxy hands on the client's certificate (RFC 9440 or escaped PEM)."
    )
    ca_file: Path | None = Field(
        None, description="CA certificates (PEM) that certificates of clients with tls_client_auth are checked against."
    )
    base_url: str | None = Field(
        None, description="URL with the issuer's path where client certificates are asked for (mtls_endpoint_aliases)."
    )
    host: str | None = Field(
        None, description="Address of the listener of our own that asks for client certificates; else HOST."
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        0, description="Port of that listener (needs the extra mtls); 0 means that there is none."
    )
    certificate_file: Path | None = Field(None, description="Certificate of that listener, with its chain (PEM).")
    key_file: Path | None = Field(None, description="Private key of that listener (PEM).")
    workers: Positive = Field(1, description="Worker processes of that listener.")

    @field_validator("certificate_header")
    @classmethod
    def _check_header(cls, value: str) -> str:
        if value and not _HEADER.fullmatch(value):
            msg = "must be the name of a header, without underscores"
            raise ValueError(msg)
        return value

    @property
    def has_source(self) -> bool:
        """Say whether client certificates can get here at all."""
        return bool(self.certificate_header or self.port)


class TrustedIssuer(Section):
    """An issuer on whose word an account's tokens are given (RFC 7523): its keys, and whom its assertions name."""

    issuer: str
    typ: Literal["jwt", "oauth-id-jag+jwt"]  # what it may say: plain assertions, or identity assertions
    jwks_uri: str | None = None
    jwks_file: FilePath | None = None
    audience: str | None = None  # what it calls us in plain assertions; else the issuer or the token endpoint
    clients: tuple[str, ...] = ()  # that may bring its assertions; all of the grant when empty
    tenant: str | None = None  # the one whose people count, of an issuer that serves several
    subject_claim: str = "sub"
    account: Literal["sub", "username", "email"] = "sub"  # what of an account that claim names

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if (self.jwks_uri is None) == (self.jwks_file is None):
            msg = "a trusted issuer has either jwks_uri or jwks_file"
            raise ValueError(msg)
        if self.audience is not None and self.typ != "jwt":
            msg = "an identity assertion names the issuer as its audience, and nothing else"
            raise ValueError(msg)
        return self


class DetailsType(Section):
    """A type of authorization details (RFC 9396): where it is understood, what people read, what it may hold."""

    description: Annotated[str, Field(min_length=1)]  # a sentence with {members} of the object in it
    resources: Annotated[tuple[str, ...], Field(min_length=1)]  # identifiers of those that understand it
    json_schema: dict[str, Any] = Field(default_factory=dict)  # of the members beside type
    json_schema_file: FilePath | None = None
    without_user: bool = False  # whether a client may have it for itself, without a person who allows it

    @model_validator(mode="after")
    def _check_schema(self) -> Self:
        if bool(self.json_schema) == (self.json_schema_file is not None):
            msg = "a type of authorization details has either json_schema or json_schema_file"
            raise ValueError(msg)
        check(self.definition)
        if not all(reaches(self.definition, path) for path in self.named):
            msg = "the description may name required members of the schema only"
            raise ValueError(msg)
        return self

    @cached_property
    def definition(self) -> Mapping[str, Any]:
        """Return the schema, from wherever it is."""
        found = self.json_schema if self.json_schema_file is None else json.loads(self.json_schema_file.read_bytes())
        if not isinstance(found, dict):
            msg = "the schema must be an object"
            raise ValueError(msg)  # noqa: TRY004 - the settings' own error is made of ValueErrors
        return found

    @cached_property
    def schema_text(self) -> str:
        """Return the schema as it is compiled."""
        return written(self.definition)

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """Return the description: text and named members in turn."""
        return tuple(_NAMED.split(self.description))

    @property
    def named(self) -> tuple[tuple[str, ...], ...]:
        """Return the paths of the members that the description names."""
        return tuple(tuple(name.split(".")) for name in self.pieces[1::2])


class ClaimScope(Section):
    """A scope of ours that speaks of a person: the claims that it opens, beside those of OpenID Connect Core 5.4."""

    description: Annotated[str, Field(min_length=1)]  # a sentence for people: "See your department"
    claims: Annotated[tuple[str, ...], Field(min_length=1)]
    texts: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict
    )  # title, description#de, title#de

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, value: Any) -> Any:
        """Take the title, and what is said in other languages, as members of their own: no field has such a name."""
        if not isinstance(value, dict):
            return value
        said = {name: text for name, text in value.items() if name == "title" or "#" in name}
        return {**{name: part for name, part in value.items() if name not in said}, **({"texts": said} if said else {})}

    @field_validator("texts")
    @classmethod
    def _check_texts(cls, value: dict[str, str]) -> dict[str, str]:
        strange = [name for name in value if tagged.untagged(name) not in {"title", "description"}]
        if strange or tagged.crowded(value):
            msg = "a scope has a title and a description, each once in a language (title#de)"
            raise ValueError(msg)
        return value

    @field_validator("claims")
    @classmethod
    def _check_claims(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not PROTOCOL_CLAIMS.isdisjoint(value) or not all(
            name.isprintable() and " " not in name and 0 < len(name) <= 128 for name in value
        ):
            msg = "a scope opens claims about a person, not those of the protocol"
            raise ValueError(msg)
        return value
