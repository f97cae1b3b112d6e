"""What pull knows of the jobs of a batch, and where a person's labels were read."""

import sqlalchemy as sa
from alembic import op

from mirrorset.catalogue.tables import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("annotations", sa.Column("provenance", sa.JSON))
    op.create_table(
        "annotation_jobs",
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("image_ids", sa.JSON, nullable=False),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("annotator", sa.String(100), nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "job_id", name="pk_annotation_jobs"),
    )


def downgrade() -> None:
    op.drop_table("annotation_jobs")
    op.drop_column("annotations", "provenance")
