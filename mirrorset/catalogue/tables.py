"""The catalogue's tables: one a record kind, a column a field; nested fields are JSON.

A record names its image by its id, which is a hash; a row by the number under which `images` has
it. Hashes come in no order, so an index of them takes a page of its own for every row that is kept:
there are two, that of `images` and that of `ledger`, which is minted in the order of the ids.

Three more are the crawl's own memory: `crawls`, `frontier` and `request_counts`.

Alembic's migrations make them; a test compares the two.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.types import TypeDecorator

from mirrorset.records import (
    Annotation,
    AnnotationJob,
    Batch,
    Decision,
    Hidden,
    Honeypot,
    ImageRecord,
    LedgerEntry,
    Quarantine,
    Record,
    Rejected,
    Sent,
    Sighting,
    Stop,
    Tombstone,
    Verdict,
    Verification,
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept as UTC also where the database forgets time zones (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database: aware, in UTC; PostgreSQL gives it in its session's zone."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# SQLite counts rows by INTEGER alone, which holds as much there.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")


def _image_number(is_key: bool = True) -> Column[int]:
    reference = ForeignKey("images.image_number")
    return Column("image_number", _NUMBER, reference, primary_key=is_key, nullable=False)


images = Table(
    "images",
    metadata,
    Column("image_number", _NUMBER, primary_key=True),
    Column("image_id", String(64), nullable=False),
    Column("media_type", String(40), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("pixel_hash", String(64), nullable=False),
    Column("phash", String(16), nullable=False),
    UniqueConstraint("image_id", name="uq_images_image_id"),
)

sightings = Table(
    "sightings",
    metadata,
    Column("source", String(40), primary_key=True),
    Column("source_item_id", Text, primary_key=True),
    _image_number(is_key=False),
    Column("page_url", Text, nullable=False),
    Column("image_url", Text, nullable=False),
    Column("licence", JSON, nullable=False),
    Column("author", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("subject_ids", JSON, nullable=False, server_default="[]"),
    Column("age_band", String(10)),
    Column("tone", String(10)),
    Column("shows_author", Boolean, nullable=False, server_default=false()),
    # All three, so that SQLite reads sightings by image without sorting them all.
    Index("ix_sightings_image", "image_number", "source", "source_item_id"),
)

verifications = Table(
    "verifications",
    metadata,
    _image_number(),
    Column("source", String(40), primary_key=True),
    Column("source_item_id", Text, primary_key=True),
    Column("verified_at", UtcDateTime, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    _image_number(),
    Column("source", String(40), primary_key=True),
    Column("source_item_id", Text, primary_key=True),
    Column("reason", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("released_at", UtcDateTime),
)

annotations = Table(
    "annotations",
    metadata,
    _image_number(),
    Column("origin", String(10), primary_key=True),
    Column("by", String(100), primary_key=True),
    # A honeypot is drawn again and again, for the same person too.
    Column("batch_id", String(64), primary_key=True),
    Column("faces", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("masks", JSON, nullable=False),
    Column("models", JSON, nullable=False),
    Column("schema_version", String(40), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("provenance", JSON(none_as_null=True)),
)

verdicts = Table(
    "verdicts",
    metadata,
    _image_number(),
    Column("check", String(60), primary_key=True),
    Column("passed", Boolean, nullable=False),
    Column("measured", Float),
    Column("threshold", Float),
)

decisions = Table(
    "decisions",
    metadata,
    _image_number(),
    Column("gate", String(20), primary_key=True),
    Column("decided_at", UtcDateTime, primary_key=True),
    Column("action", String(20), nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

rejected = Table(
    "rejected",
    metadata,
    Column("item_id", Text, primary_key=True),
    Column("step", String(40), primary_key=True),
    Column("reason", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    Column("image_url", Text, nullable=False),
    Column("is_retryable", Boolean, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("batch_id", String(64), primary_key=True),
    Column("image_ids", JSON, nullable=False),
    Column("schema_version", String(40), nullable=False),
    Column("server", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("state", String(20), nullable=False),
)

annotation_jobs = Table(
    "annotation_jobs",
    metadata,
    Column("batch_id", String(64), primary_key=True),
    Column("job_id", String(40), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("image_ids", JSON, nullable=False),
    Column("stage", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("annotator", String(100), nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("content_sha256", String(64), nullable=False),
)

honeypots = Table(
    "honeypots",
    metadata,
    Column("batch_id", String(64), primary_key=True),
    _image_number(),
)

stops = Table(
    "stops",
    metadata,
    Column("batch_id", String(64), primary_key=True),
    _image_number(),
    Column("is_standing", Boolean, nullable=False),
)

hidden = Table(
    "hidden",
    metadata,
    Column("batch_id", String(64), primary_key=True),
    _image_number(),
    Column("is_hidden", Boolean, nullable=False),
)

sent = Table(
    "sent",
    metadata,
    Column("batch_id", String(64), primary_key=True),
    _image_number(),
    Column("annotation", JSON, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    Column("image_id", String(64), ForeignKey("images.image_id"), primary_key=True),
    Column("group_id", String(64), nullable=False),
    Column("split", String(10), nullable=False),
    Column("image_shard", Integer, nullable=False),
    Column("minted_at", UtcDateTime, nullable=False),
    Column("test_series", String(40), nullable=False, server_default=""),
    Column("series_images", Integer, nullable=False, server_default="0"),
    Column("earlier_series", JSON, nullable=False, server_default="{}"),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("keyed_hash", String(64), primary_key=True),
    Column("erased_at", UtcDateTime, nullable=False),
)

crawls = Table(
    "crawls",
    metadata,
    Column("crawl_id", String(32), primary_key=True),
    Column("source", String(40), nullable=False),
    Column("title", Text, nullable=False),
    Column("run", Integer, nullable=False),
    Column("start", JSON(none_as_null=True)),
    Column("began_with", JSON, nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
)

#: What a crawl has yet to ask for and what came of the rest (mirrorset/catalogue/frontier.py).
frontier = Table(
    "frontier",
    metadata,
    Column("entry_id", _NUMBER, primary_key=True),
    Column("crawl_id", String(32), ForeignKey("crawls.crawl_id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("parent", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("host_number", Integer, nullable=False),
    Column("content", JSON, nullable=False),
    Column("run", Integer, nullable=False),
    Column("outcome", String(40)),
    Column("etag", Text, nullable=False),
    Column("last_modified", Text, nullable=False),
    Column("hops", Integer, nullable=False),
    UniqueConstraint("crawl_id", "key", name="uq_frontier_crawl_id_key"),
    Index("ix_frontier_pending", "crawl_id", "run", "outcome", "kind", "entry_id"),
    Index("ix_frontier_parent", "crawl_id", "parent"),
)

request_counts = Table(
    "request_counts",
    metadata,
    Column("source", String(40), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("requests", Integer, nullable=False),
)

#: Which table keeps which record; in this order, so that what is referred to is there first.
TABLE_OF: dict[type[Record], Table] = {
    ImageRecord: images,
    Sighting: sightings,
    Verification: verifications,
    Quarantine: quarantine,
    Annotation: annotations,
    Verdict: verdicts,
    Decision: decisions,
    Rejected: rejected,
    Batch: batches,
    AnnotationJob: annotation_jobs,
    Honeypot: honeypots,
    Stop: stops,
    Hidden: hidden,
    Sent: sent,
    LedgerEntry: ledger,
    Tombstone: tombstones,
}
