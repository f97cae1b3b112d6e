"""What verification knows of receipts; crawls remember where they began."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from mirrorset.catalogue.tables import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("crawls", sa.Column("start", sa.JSON))
    _create("verifications", sa.Column("verified_at", UtcDateTime, nullable=False))
    _create(
        "quarantine",
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("released_at", UtcDateTime),
    )


def _create(name: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        name,
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("source_item_id", sa.Text, nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=f"fk_{name}_image_id"),
        sa.PrimaryKeyConstraint("image_id", "source", "source_item_id", name=f"pk_{name}"),
    )


def downgrade() -> None:
    for table in ("quarantine", "verifications"):
        op.drop_table(table)
    op.drop_column("crawls", "start")
