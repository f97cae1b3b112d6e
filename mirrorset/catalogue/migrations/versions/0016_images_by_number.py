"""Rows refer to their image by a number instead of its id: see mirrorset/catalogue/tables.py.

The ledger keeps the ids.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# What refers to an image, and its key where the image is part of that: "*".
_KEYS = {
    "sightings": (),
    "verifications": ("*", "source", "source_item_id"),
    "quarantine": ("*", "source", "source_item_id"),
    "annotations": ("*", "origin", "by", "batch_id"),
    "verdicts": ("*", "check"),
    "decisions": ("*", "gate", "decided_at"),
    "honeypots": ("batch_id", "*"),
    "stops": ("batch_id", "*"),
    "hidden": ("batch_id", "*"),
    "sent": ("batch_id", "*"),
}
_FIELDS = "image_id, media_type, size_bytes, width_px, height_px, pixel_hash, phash"


def _text(length: int) -> Any:
    """Text that PostgreSQL, too, sorts by its bytes."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


_KIND_OF = {
    "image_id": _text(64),
    "image_number": sa.BigInteger().with_variant(sa.Integer, "sqlite"),
}


def upgrade() -> None:
    op.rename_table("images", "images_before")
    _create_images(
        sa.Column("image_number", _KIND_OF["image_number"], nullable=False),
        sa.PrimaryKeyConstraint("image_number", name="pk_images_by_number"),
        sa.UniqueConstraint("image_id", name="uq_images_image_id"),
    )
    op.drop_index("ix_sightings_image_id", "sightings")
    _refer("image_id", "image_number")
    op.create_index("ix_sightings_image", "sightings", ["image_number", "source", "source_item_id"])


def downgrade() -> None:
    op.rename_table("images", "images_before")
    _create_images(sa.PrimaryKeyConstraint("image_id", name="pk_images"))
    op.drop_index("ix_sightings_image", "sightings")
    _refer("image_number", "image_id")
    op.create_index("ix_sightings_image_id", "sightings", ["image_id"])


def _create_images(*more: Any) -> None:
    op.create_table(
        "images",
        sa.Column("image_id", _text(64), nullable=False),
        sa.Column("media_type", _text(40), nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("width_px", sa.Integer, nullable=False),
        sa.Column("height_px", sa.Integer, nullable=False),
        sa.Column("pixel_hash", _text(64), nullable=False),
        sa.Column("phash", _text(16), nullable=False),
        *more,
    )
    op.execute(f"INSERT INTO images ({_FIELDS}) SELECT {_FIELDS} FROM images_before")  # noqa: S608


def _refer(old: str, new: str) -> None:
    """Let every table name its images by `new` instead of `old`."""
    numbered = "images_before" if old == "image_number" else "images"
    for table, key in _KEYS.items():
        op.add_column(table, sa.Column(new, _KIND_OF[new]))
        op.execute(
            f"UPDATE {table} SET {new} = (SELECT {numbered}.{new} FROM {numbered} "  # noqa: S608
            f"WHERE {numbered}.{old} = {table}.{old})"
        )
        with op.batch_alter_table(table) as changed:
            changed.drop_constraint(f"fk_{table}_{old}", type_="foreignkey")
            if key:
                changed.drop_constraint(f"pk_{table}", type_="primary")
            changed.drop_column(old)
            changed.alter_column(new, existing_type=_KIND_OF[new], nullable=False)
            if key:
                changed.create_primary_key(
                    f"pk_{table}", [new if name == "*" else name for name in key]
                )
            changed.create_foreign_key(f"fk_{table}_{new}", "images", [new], [new])
    with op.batch_alter_table("ledger") as changed:
        changed.drop_constraint("fk_ledger_image_id", type_="foreignkey")
        changed.create_foreign_key("fk_ledger_image_id", "images", ["image_id"], ["image_id"])
    op.drop_table("images_before")
