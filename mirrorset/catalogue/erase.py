"""Taking all that the catalogue knows of images out of it, and what must not come back."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Table, Text, and_, bindparam, cast, or_, select

from mirrorset.catalogue.frontier import Kind, place
from mirrorset.catalogue.rows import numbers_of
from mirrorset.catalogue.store import Catalogue
from mirrorset.catalogue.tables import (
    annotation_jobs,
    batches,
    crawls,
    frontier,
    images,
    metadata,
    rejected,
    sightings,
    tombstones,
)
from mirrorset.erasure import Gone, Removed
from mirrorset.records import Reason, Sighting, Tombstone, utc_now
from mirrorset.tombstones import Of, Tombstones

# What refers to an image goes before it.
_BY_IMAGE = [
    one
    for one in reversed(metadata.sorted_tables)
    if {"image_id", "image_number"} & {*one.c.keys()}
]
_PLACE = "catalogue"
_AT_ONCE = 500

T = TypeVar("T")
Key = dict[str, Any]  # the values of columns that name rows


def erase(catalogue: Catalogue, gone: Gone, is_dry_run: bool = False) -> list[Removed]:
    """Remove every row about the images in one transaction; only count them on a dry run.

    What annotators had stays in `batches` until the exchange has taken it away from them. The
    database's files are compacted afterwards, also when an erasure that was killed is run again.
    """
    found = []
    with catalogue.reading() if is_dry_run else catalogue.writing() as connection:
        for table, keys in _rows(connection, gone):
            if keys:
                found.append(Removed(place=_PLACE, name=table.name, count=len(keys)))
            if keys and not is_dry_run:
                is_meant = and_(*(table.c[name] == bindparam(f"its_{name}") for name in keys[0]))
                own = [{f"its_{name}": value for name, value in key.items()} for key in keys]
                connection.execute(table.delete().where(is_meant), own)
    if not is_dry_run:
        catalogue.compact()
    return found


def held_by_annotators(catalogue: Catalogue, image_ids: frozenset[str]) -> int:
    """How many batches and jobs still name one of the images."""
    with catalogue.reading() as connection:
        return sum(
            not image_ids.isdisjoint(named)
            for table in (batches, annotation_jobs)
            for named in connection.execute(select(table.c.image_ids)).scalars()
        )


def pages_of(catalogue: Catalogue, seen: Sequence[Sighting]) -> frozenset[str]:
    """Addresses of pages and pictures where nothing but what was `seen` is to be seen."""
    image_ids = {one.image_id for one in seen}
    addresses = {one for sighting in seen for one in (sighting.page_url, sighting.image_url)}
    addresses.discard("")
    shared: set[str] = set()
    with catalogue.reading() as connection:
        for some in _batched(sorted(addresses)):
            query = (
                select(images.c.image_id, sightings.c.page_url, sightings.c.image_url)
                .join(sightings)
                .where(or_(sightings.c.page_url.in_(some), sightings.c.image_url.in_(some)))
            )
            for image_id, *seen_at in connection.execute(query):
                if image_id not in image_ids:
                    shared.update(seen_at)
    return frozenset(addresses - shared)


def read_tombstones(catalogue: Catalogue, key: str) -> Tombstones:
    """The tombstones that stand. key: of the workspace, "" where nothing was ever erased."""
    with catalogue.reading() as connection:
        hashes = connection.execute(select(tombstones.c.keyed_hash)).scalars()
        return Tombstones(key, frozenset(hashes) if key else frozenset())


def bury(catalogue: Catalogue, key: str, named: Iterable[tuple[Of, str]]) -> None:
    """Put tombstones on what is named; those that stand already stay as they are."""
    known = read_tombstones(catalogue, key)
    hashes = {known.hash_of(what, value) for what, value in named if value} - known.hashes
    now = utc_now()
    catalogue.upsert([Tombstone(keyed_hash=one, erased_at=now) for one in sorted(hashes)])


def bury_found_again(catalogue: Catalogue, key: str) -> None:
    """Forget where crawls have met erased pictures anew, but for tombstones on these places."""
    query = (
        select(frontier, crawls.c.source)
        .join(crawls, crawls.c.crawl_id == frontier.c.crawl_id)
        .where(
            frontier.c.outcome == str(Reason.ERASED),
            frontier.c.kind == int(Kind.ITEM),
            frontier.c.url != "",
        )
    )
    with catalogue.reading() as connection:
        rows = connection.execute(query).all()
    if not rows:
        return
    named: list[tuple[Of, str]] = []
    for row in rows:
        named += [("item", f"{row.source}:{row.key.removeprefix('item:')}"), ("address", row.url)]
    bury(catalogue, key, named)
    with catalogue.writing() as connection:
        is_meant = frontier.c.entry_id == bindparam("its_id")
        connection.execute(
            frontier.delete().where(is_meant), [{"its_id": row.entry_id} for row in rows]
        )
    catalogue.compact()


def _rows(connection: Connection, gone: Gone) -> Iterator[tuple[Table, list[Key]]]:
    """What names each row to delete, table by table, in an order that breaks no reference."""
    yield rejected, _of_rejected(connection, gone)
    yield frontier, _of_frontier(connection, gone)
    numbers = sorted(numbers_of(connection, gone.image_ids).values())
    for table in _BY_IMAGE:
        if "image_number" in table.c:
            yield table, _that_are_in(connection, table.c.image_number, numbers)
        else:
            yield table, _that_are_in(connection, table.c.image_id, sorted(gone.image_ids))


def _that_are_in(connection: Connection, column: Column[T], values: Sequence[T]) -> list[Key]:
    return [
        {column.name: value}
        for some in _batched(values)
        for value in connection.execute(select(column).where(column.in_(some))).scalars()
    ]


def _of_rejected(connection: Connection, gone: Gone) -> list[Key]:
    """What was rejected of them, or for being like one of them."""
    ids = Gone(gone.image_ids)
    query = select(*(rejected.c.item_id, rejected.c.step, rejected.c.image_url, rejected.c.detail))
    return [
        {"item_id": row.item_id, "step": row.step}
        for row in connection.execute(query)
        if gone.is_meant(row.item_id)
        or row.image_url in gone.addresses
        or ids.is_in(row.detail.encode())
    ]


def _of_frontier(connection: Connection, gone: Gone) -> list[Key]:
    """Items at their source, pages that show nothing else, and what names one of these."""
    pages = {f"page:{place(one)}" for one in gone.addresses}
    mentioned = Gone(frozenset(), addresses=gone.addresses)
    query = select(
        *(frontier.c.entry_id, frontier.c.key, frontier.c.kind, frontier.c.url),
        cast(frontier.c.content, Text).label("content"),
        crawls.c.source,
    ).join(crawls, crawls.c.crawl_id == frontier.c.crawl_id)
    return [
        {"entry_id": row.entry_id}
        for row in connection.execute(query)
        if row.url in gone.addresses
        or row.key in pages
        or f"{row.source}:{row.key.removeprefix('item:')}" in gone.items
        or (row.kind == int(Kind.ITEM) and mentioned.is_in(row.content.encode()))
    ]


def _batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at once as a statement takes variables."""
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))
