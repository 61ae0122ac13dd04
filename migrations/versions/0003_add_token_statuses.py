"""Add the places of JWT access tokens in status lists."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token_statuses",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("sub", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_token_statuses"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_token_statuses_jti", "token_statuses", ["jti"])
    op.create_index("ix_token_statuses_grant_id", "token_statuses", ["grant_id"])
    op.create_index("ix_token_statuses_expires_at", "token_statuses", ["expires_at"])
