"""The whole schema, in reading order.

Only types that both drivers hand over as Python's own: text, 64-bit integers (times in microseconds, yes and no as 1
and 0), bytes. JSON is text. Then a prepared row needs no conversion (``statement.py`` refuses anything else at start).
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql_text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    }
)


def _text(name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=primary_key, nullable=nullable)


def _number(name: str, *, nullable: bool = False, default: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable, server_default=default)


def _counter(name: str) -> Column[int]:
    """Return a column that numbers the rows in their order."""
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


def _digest(name: str = "digest", *, primary_key: bool = True, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, primary_key=primary_key, nullable=nullable)


def _where(condition: str) -> dict[str, Any]:
    """Return the options of a partial index, in both dialects."""
    return {"sqlite_where": sql_text(condition), "postgresql_where": sql_text(condition)}


clients = Table(
    "clients",
    metadata,
    _text("client_id", primary_key=True),
    _text("profile"),
    _text("metadata"),
    _text("secrets"),  # JSON list of {digest|sealed (hex), created_at, expires_at}
    _text("origin"),  # administrator, registration or document
    _number("disabled_at", nullable=True),
    _number("not_before"),  # tokens from before this time are dead: disabled once, or another client of the same name
    _number("demonstration"),
    _number("created_at"),
    _number("updated_at"),
)

resources = Table(
    "resources",
    metadata,
    _text("identifier", primary_key=True),
    _text("name"),
    _text("scopes"),  # JSON list of {name, description}, and what else is said of each: title, title#de
    _text("token_format"),
    _number("access_token_seconds", nullable=True),
    _text("signing_alg", nullable=True),
    _number("demonstration"),
    _number("created_at"),
    _text("encryption", nullable=True),  # JSON object of {alg, enc, jwks}: its JWT access tokens are encrypted to it
    _number("status_list", default="0"),  # its JWT access tokens have an entry in a status list
)

users = Table(
    "users",
    metadata,
    _text("sub", primary_key=True),
    _text("username"),
    Column("username_canonical", Text, nullable=False, unique=True),
    _text("email", nullable=True),
    Column("email_canonical", Text, nullable=True, unique=True),  # none while nobody has confirmed the address
    _number("email_verified"),
    _text("claims"),
    _number("disabled_at", nullable=True),
    _number("not_before"),  # codes, tokens and sessions from before this time are dead
    _number("demonstration"),
    _number("created_at"),
    _number("updated_at"),
)

# What a user is called by the clients of one sector (OpenID Connect Core 8.1). Neither value can be made again.
pairwise_subjects = Table(
    "pairwise_subjects",
    metadata,
    _text("sector", primary_key=True),  # a host
    Column("sub", Text, ForeignKey("users.sub", ondelete="CASCADE"), primary_key=True, index=True),
    _text("pairwise"),
    Column("session_key", LargeBinary, nullable=False),  # makes what the user's sessions are called there
    UniqueConstraint("sector", "pairwise"),
)

credentials = Table(
    "credentials",
    metadata,
    _text("credential_id", primary_key=True),
    Column("sub", Text, ForeignKey("users.sub", ondelete="CASCADE"), nullable=False, index=True),
    _text("kind"),
    _text("secret"),
    _number("created_at"),
    _number("updated_at"),
)

sessions = Table(
    "sessions",
    metadata,
    _text("sid", primary_key=True),
    Column("browser", LargeBinary, nullable=False, index=True),  # digest of the browser's cookie
    Column("sub", Text, ForeignKey("users.sub", ondelete="CASCADE"), nullable=False, index=True),
    _number("auth_time"),
    _text("acr"),
    _text("amr"),  # space-separated
    _number("created_at"),
    _number("seen_at"),
    Column("expires_at", BigInteger, nullable=False, index=True),
    _number("ended_at", nullable=True),
    _text("ended_reason", nullable=True),
    _text("user_agent"),
    _text("address"),
    _number("remembered_at", default="0"),  # when the person last asked to be kept signed in; 0 means not
)

consents = Table(
    "consents",
    metadata,
    _text("sub", primary_key=True),
    Column("client_id", Text, primary_key=True, index=True),
    _text("redirect_origin", primary_key=True),
    _text("resource", primary_key=True),  # '' where none was named
    _text("scope"),
    _text("sid", nullable=True),  # remembered for this session only
    _number("created_at"),
    _number("updated_at"),
    # Only for the cleaner, which forgets what was remembered for a session that is over.
    Index("ix_consents_sid", "sid", **_where("sid IS NOT NULL")),
    sqlite_with_rowid=False,
)

grants = Table(
    "grants",
    metadata,
    _text("grant_id", primary_key=True),
    Column("client_id", Text, nullable=False, index=True),
    _text("sub"),
    _text("sid", nullable=True),
    _text("scope"),
    _text("resources"),  # space-separated identifiers
    _text("redirect_uri"),
    _text("nonce", nullable=True),
    _text("code_challenge", nullable=True),
    _text("claims", nullable=True),  # the claims request (OpenID Connect Core 5.5)
    _text("authorization_details", nullable=True),
    _text("cnf", nullable=True),
    _number("auth_time"),
    _text("acr"),
    _text("amr"),
    _number("offline"),
    _number("created_at"),
    Column("expires_at", BigInteger, nullable=False, index=True),
    _number("revoked_at", nullable=True),
    _text("revoked_reason", nullable=True),
    Column("code_digest", LargeBinary, nullable=True, unique=True),
    _number("code_expires_at", nullable=True),
    _number("redeemed_at", nullable=True),
    Index("ix_grants_sub_client_id", "sub", "client_id"),
    Index("ix_grants_sid", "sid"),
)

# With a rowid, though its key is a digest: a row holds some 600 bytes, and whole rows in the inner pages of a b-tree in
# the digest's order make it deep and every insert a third dearer (sqlite.org/withoutrowid.html, "when to use").
access_tokens = Table(
    "access_tokens",
    metadata,
    _digest(),
    Column("grant_id", Text, nullable=True),
    _text("client_id"),
    _text("sub"),
    _text("audience"),
    _text("scope"),
    _text("claims"),
    _number("issued_at"),
    Column("expires_at", BigInteger, nullable=False, index=True),
    _number("revoked_at", nullable=True),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    _digest(),
    Column("grant_id", Text, nullable=False, index=True),
    _number("generation"),
    _number("issued_at"),
    Column("expires_at", BigInteger, nullable=False, index=True),
    _number("rotated_at", nullable=True),
    Column("successor_salt", LargeBinary, nullable=True),
    Column("successor_digest", LargeBinary, nullable=True),
    # Only of those that have one: a new token costs nothing here.
    Index(
        "uq_refresh_tokens_successor_digest", "successor_digest", unique=True, **_where("successor_digest IS NOT NULL")
    ),
    # Only for the cleaner, which erases the salts of windows that are over.
    Index("ix_refresh_tokens_salted", "rotated_at", **_where("successor_salt IS NOT NULL")),
    sqlite_with_rowid=False,
)

revoked_jtis = Table(
    "revoked_jtis",
    metadata,
    _text("jti", primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# What has been revoked, in the order in which it counts: each row describes the tokens that are dead.
revocations = Table(
    "revocations",
    metadata,
    _counter("number"),
    _number("at"),
    _text("description"),  # JSON object; a token is meant when all that it names is so
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_autoincrement=True,
)

# The JWT access tokens that have an entry in a status list; found again when one of them, or its grant, is revoked.
token_statuses = Table(
    "token_statuses",
    metadata,
    _counter("number"),
    Column("jti", Text, nullable=False, index=True),
    Column("grant_id", Text, nullable=True, index=True),
    _text("client_id"),
    _text("sub"),
    _number("issued_at"),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_autoincrement=True,
)

# What has to be sent to clients, beside the requests; a row goes when it has arrived, or is too late.
jobs = Table(
    "jobs",
    metadata,
    _counter("number"),
    _text("kind"),
    _text("client_id"),
    _text("sub"),
    _text("sid"),
    _number("created_at"),
    Column("due_at", BigInteger, nullable=False, index=True),  # to be taken; or, once taken, to be taken by another
    _number("expires_at"),
    _number("attempts"),
    _text("problem", nullable=True),  # of the last attempt
    sqlite_autoincrement=True,
)

signing_keys = Table(
    "signing_keys",
    metadata,
    _text("kid", primary_key=True),
    _text("algorithm"),
    Column("sealed", LargeBinary, nullable=False),
    _text("public"),
    _number("created_at"),
    _number("publishes_at"),
    _number("signs_at"),
    _number("retires_at"),
    _number("gone_at"),
)

ephemeral = Table(
    "ephemeral",
    metadata,
    _text("space", primary_key=True),
    _text("key", primary_key=True),
    _text("value"),
    _number("version"),
    _text("owner"),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    _counter("number"),
    Column("at", BigInteger, nullable=False, index=True),
    _text("name"),
    _text("actor"),
    _text("client_id", nullable=True),
    _text("sub", nullable=True),
    _text("facts"),
    Index("ix_audit_name_number", "name", "number"),
)
