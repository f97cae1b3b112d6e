"""Labels that models made after the schema selfie-1 go: pre-labelling makes them anew."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM annotations WHERE origin = 'model' AND schema_version = 'selfie-1'")


def downgrade() -> None:
    """Nothing: what was deleted is made by an earlier version's own pre-labelling."""
