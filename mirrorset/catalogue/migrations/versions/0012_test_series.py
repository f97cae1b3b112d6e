"""The frozen series of test images, and what a source says of the people in its pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("ledger", sa.Column("test_series", sa.String(40), nullable=False, server_default="")),
    ("ledger", sa.Column("series_images", sa.Integer(), nullable=False, server_default="0")),
    ("ledger", sa.Column("earlier_series", sa.JSON(), nullable=False, server_default="{}")),
    ("sightings", sa.Column("subject_ids", sa.JSON(), nullable=False, server_default="[]")),
    ("sightings", sa.Column("age_band", sa.String(10))),
    ("sightings", sa.Column("tone", sa.String(10))),
)


def upgrade() -> None:
    for table, column in _COLUMNS:
        op.add_column(table, column)


def downgrade() -> None:
    for table, column in _COLUMNS:
        op.drop_column(table, column.name)
