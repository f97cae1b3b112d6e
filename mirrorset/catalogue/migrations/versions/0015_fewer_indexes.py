"""No query reads by pixels, reason or group: these indexes cost each row that is kept a page."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_images_pixel_hash", "images")
    op.drop_index("ix_rejected_reason", "rejected")
    op.drop_index("ix_ledger_group_id", "ledger")


def downgrade() -> None:
    op.create_index("ix_images_pixel_hash", "images", ["pixel_hash"])
    op.create_index("ix_rejected_reason", "rejected", ["reason"])
    op.create_index("ix_ledger_group_id", "ledger", ["group_id"])
