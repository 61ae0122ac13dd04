"""The records that travel between the parts; times are whole seconds since 1970 (UTC)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """A person at one provider; the pair (issuer, sub) is the identity, name and e-mail are for display only."""

    id: str
    issuer: str
    sub: str
    name: str | None
    email: str | None


@dataclass(frozen=True, slots=True)
class Login:
    """A log-in that has begun in one browser and awaits the provider's answer; the verifier is sealed."""

    state_digest: str
    browser_digest: str
    nonce: str
    sealed_verifier: str
    return_to: str
    created_at: int
    expires_at: int
    acr_values: str | None = None
    max_age: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One logged-in browser; the cookie is known by its digest only, tokens are sealed."""

    id: str
    digest: str
    user: User
    provider_sid: str | None
    scope: str
    sealed_id_token: str
    sealed_refresh_token: str | None
    version: int
    created_at: int
    seen_at: int
    idle_expires_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class HeldToken:
    """An access token for one resource, sealed, with the time it came and the time it ends."""

    session_id: str
    resource: str
    sealed_token: str
    scope: str
    issued_at: int
    expires_at: int
