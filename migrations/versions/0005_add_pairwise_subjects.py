"""Add what users are called in the sectors of clients with pairwise subjects."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pairwise_subjects",
        sa.Column("sector", sa.Text(), nullable=False),
        sa.Column("sub", sa.Text(), nullable=False),
        sa.Column("pairwise", sa.Text(), nullable=False),
        sa.Column("session_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sector", "sub", name="pk_pairwise_subjects"),
        sa.ForeignKeyConstraint(["sub"], ["users.sub"], name="fk_pairwise_subjects_sub_users", ondelete="CASCADE"),
        sa.UniqueConstraint("sector", "pairwise", name="uq_pairwise_subjects_sector_pairwise"),
    )
    op.create_index("ix_pairwise_subjects_sub", "pairwise_subjects", ["sub"])
