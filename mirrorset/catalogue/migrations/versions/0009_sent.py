"""The labels with which each image of a batch went out."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sent",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.Column("annotation", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name="fk_sent_image_id"),
        sa.PrimaryKeyConstraint("batch_id", "image_id", name="pk_sent"),
    )


def downgrade() -> None:
    op.drop_table("sent")
