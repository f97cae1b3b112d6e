"""Labels and stops say in which batch people made them: a honeypot is drawn for others, and again.

Labels of before get the batch whose task they were read from, else the one that holds the image,
for its own sake or, a replica, as a honeypot.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KEY = ("image_id", "origin", "by")


def upgrade() -> None:
    with op.batch_alter_table("annotations") as table:
        table.add_column(sa.Column("batch_id", sa.String(64), nullable=False, server_default=""))
        table.drop_constraint("pk_annotations", type_="primary")
        table.create_primary_key("pk_annotations", [*_KEY, "batch_id"])
    connection = op.get_bind()
    honeypots = connection.execute(sa.text("SELECT batch_id, image_id FROM honeypots"))
    drawn = {tuple(row) for row in honeypots}
    holding: dict[str, list[tuple[str, str]]] = {}
    for batch_id, task, images in connection.execute(
        sa.text("SELECT batch_id, task, image_ids FROM batches")
    ):
        for image_id in _read(images):
            holding.setdefault(image_id, []).append((batch_id, task))
    labels = connection.execute(
        sa.text(
            "SELECT image_id, origin, \"by\", provenance FROM annotations WHERE origin != 'model'"
        )
    )
    for image_id, origin, by, provenance in labels.fetchall():
        task = (_read(provenance) or {}).get("task")
        batch_id, _ = min(
            holding.get(image_id, [("", "")]),
            key=lambda one: (
                one[1] != task,
                ((one[0], image_id) in drawn) != (origin == "replica"),
                one,
            ),
        )
        connection.execute(
            sa.text(
                "UPDATE annotations SET batch_id = :batch_id "
                'WHERE image_id = :image_id AND origin = :origin AND "by" = :by'
            ),
            {"batch_id": batch_id, "image_id": image_id, "origin": origin, "by": by},
        )

    for name, what in (("stops", "is_standing"), ("hidden", "is_hidden")):
        op.create_table(
            name,
            sa.Column("batch_id", sa.String(64), nullable=False),
            sa.Column("image_id", sa.String(64), nullable=False),
            sa.Column(what, sa.Boolean, nullable=False),
            sa.ForeignKeyConstraint(["image_id"], ["images.image_id"], name=f"fk_{name}_image_id"),
            sa.PrimaryKeyConstraint("batch_id", "image_id", name=f"pk_{name}"),
        )
    op.execute(
        sa.text(
            "INSERT INTO stops (batch_id, image_id, is_standing) "
            "SELECT DISTINCT batch_id, image_id, true FROM annotations "
            "WHERE origin != 'model' AND CAST(tags AS TEXT) LIKE '%\"do_not_use\"%'"
        )
    )
    # A stop that was set in a job at work is in no label: it stands wherever the image is out.
    stopped = connection.execute(
        sa.text(
            "SELECT image_id FROM verdicts WHERE \"check\" = 'not_stopped' AND NOT passed "
            "AND image_id NOT IN (SELECT image_id FROM stops)"
        )
    )
    for (image_id,) in stopped.fetchall():
        for batch_id, _ in holding.get(image_id, ()):
            connection.execute(
                sa.text("INSERT INTO stops VALUES (:batch_id, :image_id, true)"),
                {"batch_id": batch_id, "image_id": image_id},
            )


def downgrade() -> None:
    """Of several looks of one person at one image one is kept."""
    op.drop_table("hidden")
    op.drop_table("stops")
    op.execute(
        sa.text(
            "DELETE FROM annotations WHERE EXISTS (SELECT 1 FROM annotations AS other "
            "WHERE other.image_id = annotations.image_id AND other.origin = annotations.origin "
            'AND other."by" = annotations."by" AND other.batch_id > annotations.batch_id)'
        )
    )
    with op.batch_alter_table("annotations") as table:
        table.drop_constraint("pk_annotations", type_="primary")
        table.drop_column("batch_id")
        table.create_primary_key("pk_annotations", list(_KEY))


def _read(value: Any) -> Any:
    """JSON as SQLite keeps it is text; PostgreSQL's driver has read it already."""
    return json.loads(value) if isinstance(value, str) else value
