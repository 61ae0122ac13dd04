"""The BFF's own tables: users, log-ins under way, sessions, access tokens, used logout tokens.

Bearer values of browsers are stored as digests, tokens of the provider sealed (bff/seal.py). Times are whole seconds.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

schema = MetaData()

users = Table(
    "bff_users",
    schema,
    Column("id", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("sub", Text, nullable=False),
    Column("name", Text),
    Column("email", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("logged_in_at", BigInteger, nullable=False),
    UniqueConstraint("issuer", "sub"),
)

logins = Table(
    "bff_logins",
    schema,
    Column("state_digest", Text, primary_key=True),
    Column("browser_digest", Text, nullable=False, index=True),
    Column("nonce", Text, nullable=False),
    Column("sealed_verifier", Text, nullable=False),
    Column("return_to", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("acr_values", Text),
    Column("max_age", BigInteger),
)

sessions = Table(
    "bff_sessions",
    schema,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("user_id", Text, ForeignKey("bff_users.id"), nullable=False, index=True),
    Column("provider_sid", Text, index=True),
    Column("scope", Text, nullable=False),
    Column("sealed_id_token", Text, nullable=False),
    Column("sealed_refresh_token", Text),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("idle_expires_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", BigInteger, nullable=False, default=0),
    Index("bff_sessions_idle", "idle_expires_at"),
    Index("bff_sessions_end", "expires_at"),
)

access_tokens = Table(
    "bff_access_tokens",
    schema,
    Column("session_id", Text, ForeignKey("bff_sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("sealed_token", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

logout_tokens = Table(
    "bff_logout_tokens",
    schema,
    Column("jti_digest", Text, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
