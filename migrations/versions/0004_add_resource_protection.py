"""Add what a resource asks of its JWT access tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("resources", sa.Column("encryption", sa.Text(), nullable=True))
    op.add_column("resources", sa.Column("status_list", sa.BigInteger(), server_default="0", nullable=False))
