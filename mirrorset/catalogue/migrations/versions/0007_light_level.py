"""What models labelled by the schema selfie-2 gets the tag that selfie-3 has more: light_level.

It follows from the luminance that the label has already, so nothing is labelled anew. The bounds
are those of faces/lighting.py when selfie-3 came to be.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_LOW_BELOW, _HIGH_ABOVE = 0.025, 0.66


def upgrade() -> None:
    connection = op.get_bind()
    earlier = connection.execute(
        sa.text(
            'SELECT image_id, "by", faces, tags FROM annotations '
            "WHERE origin = 'model' AND schema_version = 'selfie-2'"
        )
    )
    for image_id, by, faces, tags in earlier.fetchall():
        lighting = (_read(faces) or [{}])[0].get("lighting")
        level = {"light_level": _level(lighting["level"])} if lighting else {}
        connection.execute(
            sa.text(
                "UPDATE annotations SET tags = :tags, schema_version = 'selfie-3' "
                "WHERE image_id = :image_id AND \"by\" = :by AND origin = 'model'"
            ).bindparams(sa.bindparam("tags", type_=sa.JSON)),
            {"tags": {**_read(tags), **level}, "image_id": image_id, "by": by},
        )


def downgrade() -> None:
    """Nothing: the tag does no harm to an earlier version."""


def _level(luminance: float) -> str:
    if luminance < _LOW_BELOW:
        return "low"
    return "high" if luminance > _HIGH_ABOVE else "normal"


def _read(value: Any) -> Any:
    """JSON as SQLite keeps it is text; PostgreSQL's driver has read it already."""
    return json.loads(value) if isinstance(value, str) else value
