"""Keyed hashes of what was erased, which stop its coming back."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tombstones",
        sa.Column("keyed_hash", sa.String(64), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("keyed_hash", name="pk_tombstones"),
    )


def downgrade() -> None:
    op.drop_table("tombstones")
