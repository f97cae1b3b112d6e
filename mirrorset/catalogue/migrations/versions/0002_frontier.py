"""The crawl's own memory: crawls, frontier, request_counts."""

import sqlalchemy as sa
from alembic import op

from mirrorset.catalogue.tables import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "crawls",
        sa.Column("crawl_id", sa.String(32), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("began_with", sa.JSON, nullable=False),
        sa.Column("began_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.PrimaryKeyConstraint("crawl_id", name="pk_crawls"),
    )
    op.create_table(
        "frontier",
        sa.Column("entry_id", sa.Integer, nullable=False),
        sa.Column("crawl_id", sa.String(32), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Integer, nullable=False),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("host_number", sa.Integer, nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(40)),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("last_modified", sa.Text, nullable=False),
        sa.Column("hops", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["crawl_id"], ["crawls.crawl_id"], name="fk_frontier_crawl_id"),
        sa.PrimaryKeyConstraint("entry_id", name="pk_frontier"),
        sa.UniqueConstraint("crawl_id", "key", name="uq_frontier_crawl_id_key"),
    )
    op.create_index(
        "ix_frontier_pending", "frontier", ["crawl_id", "run", "outcome", "kind", "entry_id"]
    )
    op.create_index("ix_frontier_parent", "frontier", ["crawl_id", "parent"])
    op.create_table(
        "request_counts",
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("source", "day", name="pk_request_counts"),
    )
    _name_robots_among_host_files()


def _name_robots_among_host_files() -> None:
    sightings = sa.table(
        "sightings",
        sa.column("source", sa.String),
        sa.column("source_item_id", sa.Text),
        sa.column("evidence", sa.JSON),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(sightings)).all():
        evidence = dict(row.evidence)
        sha256 = evidence.pop("robots_sha256", "")
        evidence["host_files"] = {"robots.txt": sha256} if sha256 else {}
        connection.execute(
            sightings.update()
            .where(
                sightings.c.source == row.source,
                sightings.c.source_item_id == row.source_item_id,
            )
            .values(evidence=evidence)
        )


def downgrade() -> None:
    for table in ("request_counts", "frontier", "crawls"):
        op.drop_table(table)
