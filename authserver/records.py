"""The records of the server: frozen, typed, never a database row.

Times are integer microseconds since the epoch, UTC. Fields have the names of the table columns. Records of hot paths
are named tuples, because a row becomes one in a third of a microsecond.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from authserver.redirects import matches_redirect_uri, origin_of


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit trail: what happened, who did it, to whom. Facts hold no secret."""

    name: str
    actor: str = ""
    client_id: str | None = None
    sub: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """One of a client's secrets: a digest, or sealed where HMAC needs the secret itself."""

    digest: bytes | None
    sealed: bytes | None
    created_at: int
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client; the members are those of RFC 7591, of OpenID registration, and ours."""

    client_id: str
    profile: str = "oauth21"
    secrets: tuple[ClientSecret, ...] = ()
    disabled_at: int | None = None
    created_at: int = 0
    updated_at: int = 0
    demonstration: bool = False
    origin: str = "administrator"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    # What follows is read from the metadata once, when the record is made.
    client_name: str = ""
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: frozenset[str] = frozenset()
    response_types: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    resources: tuple[str, ...] | None = None
    resource_server_for: frozenset[str] = frozenset()
    introspects_all: bool = False
    token_endpoint_auth_method: str = "client_secret_basic"
    token_endpoint_auth_signing_alg: str | None = None
    auth_method_pinned: bool = False
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str | None = None
    application_type: str = "web"
    trusted: bool = False
    require_pkce: bool = True
    require_redirect_uri: bool = False
    refresh_rotation: bool = True
    grace_seconds: int | None = None
    access_token_format: str | None = None
    access_token_signed_response_alg: str = "ES256"
    id_token_signed_response_alg: str = "RS256"
    id_token_claims: bool = False
    web_origins: frozenset[str] = frozenset()

    @property
    def public(self) -> bool:
        """Say whether the client has no credentials (RFC 6749 2.1)."""
        return self.token_endpoint_auth_method == "none"

    @property
    def pairwise(self) -> bool:
        """Say whether it knows users by another name than the clients of other sectors (OpenID Connect Core 8)."""
        return self.metadata.get("subject_type") == "pairwise"

    @property
    def fapi2(self) -> bool:
        """Say whether the client keeps to FAPI 2.0 (Security Profile, with or without Message Signing)."""
        return self.profile.startswith("fapi2")

    @property
    def origins(self) -> frozenset[str]:
        """Browser origins of the client: registered ones and those of its redirect URIs."""
        return self.web_origins | {origin_of(uri) for uri in self.redirect_uris if uri.startswith(("http:", "https:"))}

    # Authlib asks a client these questions under these names (ClientMixin).

    def get_client_id(self) -> str:
        """Return the client identifier."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """Return none: a redirect URI is always named in the request (OpenID Connect Core 3.1.2.1)."""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Say whether the request's redirect URI is registered, as ``matches_redirect_uri`` compares."""
        return any(matches_redirect_uri(registered, redirect_uri, self) for registered in self.redirect_uris)

    def check_response_type(self, response_type: str) -> bool:
        """Say whether the client may ask for this response type."""
        return response_type in self.response_types

    def check_grant_type(self, grant_type: str) -> bool:
        """Say whether the client may use this grant type."""
        return grant_type in self.grant_types


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope value and what people read about it; ``texts``: its title, and both in other languages (title#de)."""

    name: str
    description: str
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resource:
    """A protected resource (RFC 8707): who a token is for, and what its tokens look like."""

    identifier: str
    name: str
    scopes: tuple[Scope, ...] = ()
    token_format: str = "opaque"
    access_token_seconds: int | None = None
    signing_alg: str | None = None
    created_at: int = 0
    demonstration: bool = False
    encryption: Mapping[str, Any] | None = None
    status_list: bool = False

    @property
    def scope_names(self) -> frozenset[str]:
        """Names of the scopes that this resource knows."""
        return frozenset(scope.name for scope in self.scopes)


@dataclass(frozen=True, slots=True)
class User:
    """An account. ``sub`` is random and never changes; ``claims`` are the profile claims of OpenID Connect Core 5.1.

    ``unconfirmed_email`` is what somebody says is theirs: no name to sign in with, and nothing that a client hears.
    """

    sub: str
    username: str
    email: str | None = None
    email_verified: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict)
    disabled_at: int | None = None
    not_before: int = 0
    created_at: int = 0
    updated_at: int = 0
    demonstration: bool = False
    unconfirmed_email: str | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """Something a user proves: for a password, its argon2id hash."""

    credential_id: str
    sub: str
    kind: str
    secret: str
    created_at: int
    updated_at: int


class PairwiseSubject(NamedTuple):
    """What a user is called in one sector, and the key that makes what their sessions are called there."""

    pairwise: str
    session_key: bytes


class Session(NamedTuple):
    """A signed-in account in one browser, with what pages and the protocol need of its user."""

    sid: str
    sub: str
    auth_time: int
    acr: str
    amr: str
    created_at: int
    seen_at: int
    expires_at: int
    user_agent: str
    address: str
    remembered_at: int  # when the person last asked to be kept signed in; 0 means not
    username: str


class Consent(NamedTuple):
    """What a user once allowed a client; only remembered, never checked by a token."""

    sub: str
    client_id: str
    redirect_origin: str
    resource: str
    scope: str
    sid: str | None
    created_at: int
    updated_at: int


class Grant(NamedTuple):
    """One act of authorization; codes, refresh tokens and access tokens live only while it does."""

    grant_id: str
    client_id: str
    sub: str
    sid: str | None
    scope: str
    resources: str
    redirect_uri: str
    nonce: str | None
    code_challenge: str | None
    claims: str | None
    authorization_details: str | None
    cnf: str | None
    auth_time: int
    acr: str
    amr: str
    offline: int
    created_at: int
    expires_at: int


class AccessTokenRow(NamedTuple):
    """A stored opaque access token: digest, owner and the claims that introspection answers."""

    digest: bytes
    grant_id: str | None
    client_id: str
    sub: str
    audience: str
    scope: str
    claims: str
    issued_at: int
    expires_at: int


class RefreshTokenRow(NamedTuple):
    """A stored refresh token of a chain."""

    digest: bytes
    grant_id: str
    generation: int
    issued_at: int
    expires_at: int


class LiveToken(NamedTuple):
    """An access token that is alive: not expired, not revoked, its grant, client and user in force."""

    grant_id: str | None
    client_id: str
    sub: str
    audience: str
    scope: str
    claims: str
    expires_at: int
    requested_claims: str | None = None  # of its grant, for the client of the grant (OpenID Connect Core 5.5)


class LiveJWT(NamedTuple):
    """What the store knows of a JWT that is alive beside what it says itself."""

    requested_claims: str | None


class Cursor(NamedTuple):
    """A place among the revocations: number and time of a row, which together name it in this database alone."""

    number: int
    at: int


class Revocation(NamedTuple):
    """Something that was taken away: a JSON object that describes the tokens that are dead since."""

    number: int
    at: int
    description: str
    expires_at: int  # no such token outlives it


class StatusEntry(NamedTuple):
    """An entry of a status list whose token is dead."""

    number: int  # in its list
    issued_at: int
    lacks_grant: int  # 1 where the grant of the token is not there: not opened yet, or gone


class Job(NamedTuple):
    """Something that has to be sent to a client, until it has arrived or is too late."""

    number: int
    kind: str
    client_id: str
    sub: str
    sid: str
    created_at: int
    due_at: int  # of one that somebody has taken: until when it is theirs
    expires_at: int
    attempts: int  # also says whose it is: of the one who has taken it last
    problem: str | None


class RefreshState(NamedTuple):
    """A refresh token as presented; ``alive`` is 0 when its grant, session, client or user is not in force."""

    generation: int
    issued_at: int
    expires_at: int
    rotated_at: int | None
    alive: int
    grant: Grant


class Rotation(NamedTuple):
    """Outcome of a rotation: ``rotated``, ``repeated`` (with the salt of the successor), ``refused`` or ``reused``."""

    outcome: str
    salt: bytes | None = None
    successor_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A signing key; its state follows from the times (DECISIONS, Keys and secrets)."""

    kid: str
    algorithm: str
    sealed: bytes
    public: str
    created_at: int
    publishes_at: int
    signs_at: int
    retires_at: int
    gone_at: int


class Item(NamedTuple):
    """A short-lived value of the ephemeral store."""

    value: str
    version: int
    owner: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A stored audit event."""

    number: int
    at: int
    event: Event
