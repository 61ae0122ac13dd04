"""The sections of the settings: what belongs together, with types, defaults and one sentence each (``settings.py``)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import NoDecode

Positive = Annotated[int, Field(gt=0)]
Words = Annotated[tuple[str, ...], NoDecode]
ScopeName = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,128}$")]  # one scope-token, RFC 6749 3.3


class Section(BaseModel):
    """A part of the settings that is written under a name of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tokens(Section):
    """Lifetimes of codes and tokens, in seconds."""

    code_seconds: Annotated[int, Field(gt=0, le=600)] = Field(60, description="Life of an authorization code.")
    access_token_seconds: Positive = Field(600, description="Life of an access token.")
    request_uri_seconds: Annotated[int, Field(ge=5, lt=600)] = Field(
        60, description="Time in which a pushed authorization request has to be opened."
    )
    device_code_seconds: Annotated[int, Field(ge=60, le=1800)] = Field(
        600, description="Time in which a person has to allow a device and the device to fetch its tokens."
    )
    auth_req_id_seconds: Annotated[int, Field(ge=10, le=1800)] = Field(
        600,
        description="Longest time in which a person has to answer a CIBA request and the client to fetch its tokens.",
    )
    exchanged_token_seconds: Positive = Field(
        300, description="Longest life of a token that was got by token exchange (RFC 8693)."
    )
    id_token_seconds: Positive = Field(600, description="Life of an ID token.")
    refresh_token_seconds: Positive = Field(30 * 86400, description="Life of a refresh token that is not used.")
    refresh_token_absolute_seconds: Positive = Field(
        365 * 86400, description="Life of a refresh chain from its first token, whatever its use."
    )
    grace_confidential_seconds: Annotated[int, Field(ge=0, le=300)] = Field(
        60, description="Window in which a confidential or key-bound client may repeat a refresh."
    )
    grace_public_seconds: Annotated[int, Field(ge=0, le=300)] = Field(
        10, description="Window in which a public client may repeat a refresh."
    )

    @property
    def longest_access(self) -> int:
        """Return the longest life of an access token whose resource says nothing else, in seconds."""
        return max(self.access_token_seconds, self.exchanged_token_seconds)


class Sessions(Section):
    """Lifetimes of browser sessions, in seconds."""

    idle_seconds: Positive = Field(12 * 3600, description="A session that is not used for so long is over.")
    absolute_seconds: Positive = Field(30 * 86400, description="A session is over after so long, whatever its use.")
    remember_seconds: Annotated[int, Field(ge=0)] = Field(
        90 * 86400,
        description="Life of a session whose person asked to be kept signed in; 0: not offered, none lasts so long.",
    )
    remember_idle_seconds: Positive = Field(
        30 * 86400, description="Such a session that is not used for so long is over."
    )
    fresh_seconds: Positive = Field(
        300, description="Pages that change how an account is protected ask for a sign-in as young as this."
    )
    interaction_seconds: Positive = Field(1800, description="Time to finish a sign-in once it was started.")
    interactions_per_browser: Positive = Field(10, description="Sign-ins that one browser may have open.")

    @property
    def longest_seconds(self) -> int:
        """Return the longest life of a session, in seconds."""
        return max(self.absolute_seconds, self.remember_seconds)


class Keys(Section):
    """Signing keys."""

    rotate_days: Positive = Field(90, description="A signing key signs for so many days.")
    publish_hours: Positive = Field(24, description="The next key is published so many hours before it signs.")
    refresh_seconds: Annotated[int, Field(gt=0, le=60)] = Field(
        5, description="Other processes learn of a rotation within so many seconds."
    )


class Passwords(Section):
    """Cost of password hashes (argon2id) and bounds of the work they cause."""

    memory_kib: Annotated[int, Field(ge=8)] = Field(19456, description="Memory of one argon2id hash, in KiB.")
    time_cost: Positive = Field(2, description="Passes of one argon2id hash.")
    parallelism: Positive = Field(1, description="Lanes of one argon2id hash.")
    queue: Positive = Field(32, description="Hashes that may wait per process; further ones are answered 503.")


class Limits(Section):
    """Limits on what people and clients may try."""

    sign_in_free: Positive = Field(5, description="Wrong passwords for one account before answers are delayed.")
    sign_in_per_address: Positive = Field(30, description="Sign-in attempts a minute from one address (IPv6: /64).")
    strangers_per_address: Positive = Field(
        600, description="Sign-ins begun or requests posted a minute by browsers without a cookie, from one address."
    )
    client_failures: Positive = Field(20, description="Wrong client secrets a minute per client and address.")
    pushed_requests: Positive = Field(
        60, description="Pushed authorization requests a minute per client (public ones: and address)."
    )
    device_requests: Positive = Field(
        60, description="Device authorization requests a minute per client (public ones: and address)."
    )
    user_codes_per_session: Positive = Field(5, description="Wrong user codes of devices an hour in one session.")
    user_codes_per_address: Positive = Field(
        30, description="Wrong user codes of devices an hour from one address (IPv6: /64)."
    )
    ciba_requests: Positive = Field(60, description="CIBA requests a minute per client.")
    ciba_requests_per_user: Positive = Field(20, description="CIBA requests an hour per client and user.")
    ciba_open_per_user: Positive = Field(
        3, description="CIBA requests of one client that may wait for the same user at a time."
    )
    ciba_unknown_users: Positive = Field(
        30, description="CIBA requests an hour per client for users that there are not."
    )
    registrations: Positive = Field(
        10, description="Clients that may register themselves an hour from one address (IPv6: /64)."
    )
    sign_ups_per_address: Positive = Field(
        30, description="Sign-up forms sent an hour from one address (IPv6: /64), right or wrong."
    )
    proofs_per_client: Positive = Field(
        60_000, description="DPoP proofs a minute of a client with credentials, per process."
    )
    proofs_per_address: Positive = Field(
        6_000, description="DPoP proofs a minute of public clients at one address, per process."
    )


class Features(Section):
    """Extensions of the protocol; what is off is not announced, has no endpoint, and none of its steps run."""

    par: bool = Field(default=True, description="Pushed authorization requests (RFC 9126).")
    jar: bool = Field(default=True, description="Signed and encrypted authorization requests (RFC 9101).")
    jarm: bool = Field(default=True, description="Signed and encrypted authorization responses (JARM).")
    dpop: bool = Field(default=True, description="Tokens bound to a key of the client (DPoP, RFC 9449).")
    mtls: bool = Field(default=True, description="Client certificates: authentication and bound tokens (RFC 8705).")
    revocation_events: bool = Field(
        default=True, description="A stream of events that tells resource servers what was revoked."
    )
    introspection_jwt: bool = Field(default=True, description="Introspection answers as signed JWTs (RFC 9701).")
    rar: bool = Field(default=True, description="Rich authorization requests (RFC 9396).")
    device: bool = Field(default=True, description="Sign-in of devices that have no browser (RFC 8628).")
    status_list: bool = Field(default=True, description="Status lists for JWT access tokens (Token Status List).")
    backchannel_logout: bool = Field(
        default=True, description="Clients are told from server to server that a session is over (Back-Channel Logout)."
    )
    frontchannel_logout: bool = Field(
        default=True, description="The page after a logout loads addresses of the clients used (Front-Channel Logout)."
    )
    session_management: bool = Field(
        default=False, description="Pages of clients ask a frame whether the session goes on (Session Management)."
    )
    ciba: bool = Field(
        default=False, description="Requests that a client sends to a user behind the scenes (CIBA, poll and ping)."
    )
    hybrid: bool = Field(
        default=False, description="ID tokens and access tokens from the authorization endpoint (Hybrid and Implicit)."
    )
    token_exchange: bool = Field(default=True, description="Exchange of tokens between services (RFC 8693).")
    jwt_bearer: bool = Field(
        default=True, description="Tokens on the word of a trusted issuer (RFC 7523), where there is one."
    )
    registration: bool = Field(default=True, description="Clients that register themselves (RFC 7591, RFC 7592).")
    client_id_metadata: bool = Field(
        default=False, description="Clients whose client_id is the https URL of a document that describes them."
    )
    client_logos: bool = Field(
        default=True, description="Logos of clients on the pages, fetched and served by this server (logo_uri)."
    )
    id_jag: bool = Field(
        default=True, description="Identity assertions for other authorization servers, and from them (ID-JAG)."
    )
    signup: bool = Field(
        default=False, description="A page on which people make accounts, and prompt=create (User Registration)."
    )
    management_api: bool = Field(
        default=False, description="Management API beside the command line, for clients with its scopes."
    )


class Database(Section):
    """How the database is used."""

    synchronous: Literal["normal", "full"] = Field(
        "normal", description="SQLite: whether each commit survives power loss (full) or process death (normal)."
    )
    pool_size: Positive = Field(64, description="PostgreSQL: connections per process at the most.")
    prepare: bool = Field(
        default=True, description="PostgreSQL: prepare statements on the server (off behind an old pooler)."
    )
    busy_ms: Positive = Field(500, description="Milliseconds to wait for a lock before answering 503.")
