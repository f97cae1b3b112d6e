"""Which images with known gold were drawn into which batch."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "honeypots",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name="fk_honeypots_image_id"),
        sa.PrimaryKeyConstraint("batch_id", "image_id", name="pk_honeypots"),
    )


def downgrade() -> None:
    op.drop_table("honeypots")
