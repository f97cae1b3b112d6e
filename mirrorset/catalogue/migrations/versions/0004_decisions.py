"""What people decided on images in quarantine."""

import sqlalchemy as sa
from alembic import op

from mirrorset.catalogue.tables import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.Column("gate", sa.String(20), nullable=False),
        sa.Column("decided_at", UtcDateTime, nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name="fk_decisions_image_id"),
        sa.PrimaryKeyConstraint("image_id", "gate", "decided_at", name="pk_decisions"),
    )


def downgrade() -> None:
    op.drop_table("decisions")
