"""What a record is as a row: its key, its image's number, and how it takes the place of another."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from mirrorset.catalogue.tables import TABLE_OF, images, rejected, sightings
from mirrorset.errors import InputError
from mirrorset.records import Annotation, Batch, Record, Rejected, Sighting

_VALUES_A_STATEMENT = 1000
# A place may be found by several starts; one that says so is enough.
_STAYS_TRUE = sightings.c.shows_author


def refers_to_image(table: Table) -> bool:
    """Whether each of the table's rows names an image by its number."""
    return "image_number" in table.c and table is not images


def key_of(table: Table) -> list[str]:
    """The fields of a record that no other of its kind has alike."""
    key = [column.name for column in table.primary_key.columns]
    return ["image_id" if name == "image_number" else name for name in key]


def records_of(table: Table) -> Select[Any]:
    """A query for all rows, each with the fields of its record: the image's id, not its number."""
    fields = [column for column in table.columns if column.name != "image_number"]
    if not refers_to_image(table):
        return select(*fields)
    return select(images.c.image_id, *fields).join_from(images, table)


def upsert(connection: Connection, records: Sequence[Record]) -> None:
    """Keep the records in the transaction of `connection`, as `Catalogue.upsert` says.

    Raises InputError for a record of an image that is neither kept nor among the records.
    """
    numbers: dict[str, int] = {}
    for kind, table in TABLE_OF.items():
        own = [record for record in records if type(record) is kind]
        _upsert_rows(connection, table, [_row(record, table, numbers) for record in own])
        if table is images:
            numbers = _numbers_for(connection, records)
    _clear_rejections(connection, records)


def numbers_of(connection: Connection, image_ids: Collection[str]) -> dict[str, int]:
    """The numbers of those of the images that are kept, by their ids."""
    numbers: dict[str, int] = {}
    ids = sorted(image_ids)
    for start in range(0, len(ids), _VALUES_A_STATEMENT):
        some = ids[start : start + _VALUES_A_STATEMENT]
        query = select(images.c.image_id, images.c.image_number).where(images.c.image_id.in_(some))
        numbers.update(connection.execute(query).tuples().all())
    return numbers


def _numbers_for(connection: Connection, records: Sequence[Record]) -> dict[str, int]:
    image_ids = {
        dict(record)["image_id"] for record in records if refers_to_image(TABLE_OF[type(record)])
    }
    numbers = numbers_of(connection, image_ids)
    if unknown := sorted(image_ids - numbers.keys()):
        raise InputError(
            f"The catalogue refuses a record of an image that it does not hold ({unknown[0]}): the "
            "image was erased, or is in another catalogue; crawl it first."
        )
    return numbers


def _row(record: Record, table: Table, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Column values: nested fields as JSON-ready data, times as they are, images by number."""
    values = dict(record)
    plain = record.model_dump(mode="json")
    row = {
        column.name: values[column.name]
        if column.type.__class__.__name__ == "UtcDateTime"
        else plain[column.name]
        for column in table.columns
        if column.name in plain
    }
    return row | {"image_number": numbers[plain["image_id"]]} if refers_to_image(table) else row


def _upsert_rows(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    # The last of several rows with one key wins: one statement may touch a row only once.
    keys = key_of(table) if table is images else list(table.primary_key.columns.keys())
    by_key = {tuple(row[key] for key in keys): row for row in rows}
    if not by_key:
        return
    statement = dialect.insert(table)
    replaced = {
        column.name: or_(column, statement.excluded[column.name])
        if column is _STAYS_TRUE
        else statement.excluded[column.name]
        for column in table.columns
        if not column.primary_key and column.name not in keys
    }
    # A table that is all key has nothing to replace.
    statement = (
        statement.on_conflict_do_update(index_elements=keys, set_=replaced)
        if replaced
        else statement.on_conflict_do_nothing()
    )
    connection.execute(statement, list(by_key.values()))


def _clear_rejections(connection: Connection, records: Sequence[Record]) -> None:
    now_rejected = {
        (record.item_id, record.step) for record in records if isinstance(record, Rejected)
    }
    accepted: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if isinstance(record, Sighting):
            accepted["crawl"].add(f"{record.source}:{record.source_item_id}")
        if isinstance(record, Batch):
            accepted["annotate"].add(record.batch_id)
        if isinstance(record, Annotation):
            accepted["prelabel"].add(record.image_id)
            if record.origin in ("human", "gold"):
                accepted["annotate"].add(record.image_id)
    for step, item_ids in accepted.items():
        cleared = sorted(item_id for item_id in item_ids if (item_id, step) not in now_rejected)
        for start in range(0, len(cleared), _VALUES_A_STATEMENT):
            # Pairs of both in one list are not looked up by SQLite: it reads all that is rejected.
            connection.execute(
                rejected.delete().where(
                    rejected.c.step == step,
                    rejected.c.item_id.in_(cleared[start : start + _VALUES_A_STATEMENT]),
                )
            )
