"""The first tables: images, sightings, annotations, verdicts, rejected, batches, ledger."""

import sqlalchemy as sa
from alembic import op

from mirrorset.catalogue.tables import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "images",
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(40), nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("width_px", sa.Integer, nullable=False),
        sa.Column("height_px", sa.Integer, nullable=False),
        sa.Column("pixel_hash", sa.String(64), nullable=False),
        sa.Column("phash", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name="pk_images"),
    )
    op.create_index("ix_images_pixel_hash", "images", ["pixel_hash"])
    op.create_table(
        "sightings",
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("source_item_id", sa.Text, nullable=False),
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.Column("page_url", sa.Text, nullable=False),
        sa.Column("image_url", sa.Text, nullable=False),
        sa.Column("licence", sa.JSON, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name="fk_sightings_image_id"),
        sa.PrimaryKeyConstraint("source", "source_item_id", name="pk_sightings"),
    )
    op.create_index("ix_sightings_image_id", "sightings", ["image_id"])
    op.create_table(
        "annotations",
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.Column("origin", sa.String(10), nullable=False),
        sa.Column("by", sa.String(100), nullable=False),
        sa.Column("faces", sa.JSON, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("masks", sa.JSON, nullable=False),
        sa.Column("models", sa.JSON, nullable=False),
        sa.Column("schema_version", sa.String(40), nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name="fk_annotations_image_id"),
        sa.PrimaryKeyConstraint("image_id", "origin", "by", name="pk_annotations"),
    )
    op.create_table(
        "verdicts",
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.Column("check", sa.String(60), nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("measured", sa.Float),
        sa.Column("threshold", sa.Float),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name="fk_verdicts_image_id"),
        sa.PrimaryKeyConstraint("image_id", "check", name="pk_verdicts"),
    )
    op.create_table(
        "rejected",
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("step", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("image_url", sa.Text, nullable=False),
        sa.Column("is_retryable", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("item_id", "step", name="pk_rejected"),
    )
    op.create_index("ix_rejected_reason", "rejected", ["reason"])
    op.create_table(
        "batches",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("image_ids", sa.JSON, nullable=False),
        sa.Column("schema_version", sa.String(40), nullable=False),
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name="pk_batches"),
    )
    op.create_table(
        "ledger",
        sa.Column("image_id", sa.String(64), nullable=False),
        sa.Column("group_id", sa.String(64), nullable=False),
        sa.Column("split", sa.String(10), nullable=False),
        sa.Column("image_shard", sa.Integer, nullable=False),
        sa.Column("minted_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name="fk_ledger_image_id"),
        sa.PrimaryKeyConstraint("image_id", name="pk_ledger"),
    )
    op.create_index("ix_ledger_group_id", "ledger", ["group_id"])


def downgrade() -> None:
    for table in (
        "ledger",
        "batches",
        "rejected",
        "verdicts",
        "annotations",
        "sightings",
        "images",
    ):
        op.drop_table(table)
