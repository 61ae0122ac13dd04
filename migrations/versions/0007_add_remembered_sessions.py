"""Add when a person asked to be kept signed in."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("remembered_at", sa.BigInteger(), server_default="0", nullable=False))
