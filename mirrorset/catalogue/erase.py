"""Taking all that the catalogue knows of images out of it, and what must not come back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, Text, and_, cast, func, or_, select

from mirrorset.catalogue.frontier import Kind, place
from mirrorset.catalogue.store import Catalogue
from mirrorset.catalogue.tables import (
    annotation_jobs,
    batches,
    crawls,
    frontier,
    metadata,
    rejected,
    sightings,
    tombstones,
)
from mirrorset.erasure import Gone, Removed
from mirrorset.records import Reason, Sighting, Tombstone, utc_now
from mirrorset.tombstones import Of, Tombstones

# What refers to an image goes before it.
_BY_IMAGE = [one for one in reversed(metadata.sorted_tables) if "image_id" in one.c]
_PLACE = "catalogue"


def erase(catalogue: Catalogue, gone: Gone, is_dry_run: bool = False) -> list[Removed]:
    """Remove every row about the images in one transaction; only count them on a dry run.

    What annotators had stays in `batches` until the exchange has taken it away from them. The
    database's files are compacted afterwards, also when an erasure that was killed is run again.
    """
    if is_dry_run:
        with catalogue.reading() as connection:
            return _counted(connection, gone)
    with catalogue.writing() as connection:
        found = _counted(connection, gone)
        for table, condition in _conditions(gone):
            connection.execute(table.delete().where(condition))
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
    query = select(sightings.c.page_url, sightings.c.image_url).where(
        sightings.c.image_id.not_in(image_ids),
        or_(sightings.c.page_url.in_(addresses), sightings.c.image_url.in_(addresses)),
    )
    with catalogue.reading() as connection:
        shared = {one for row in connection.execute(query) for one in row}
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
        ids = [row.entry_id for row in rows]
        connection.execute(frontier.delete().where(frontier.c.entry_id.in_(ids)))
    catalogue.compact()


def _counted(connection: Connection, gone: Gone) -> list[Removed]:
    counts = [
        (table.name, connection.execute(select(func.count()).where(condition)).scalar_one())
        for table, condition in _conditions(gone)
    ]
    return [Removed(place=_PLACE, name=name, count=count) for name, count in counts if count]


def _conditions(gone: Gone) -> list[tuple[Table, ColumnElement[bool]]]:
    """The rows to delete of each table, in an order that breaks no reference."""
    ids = sorted(gone.image_ids)
    addresses = sorted(gone.addresses)
    rejections = or_(
        rejected.c.item_id.in_([*ids, *sorted(gone.items)]),
        *([rejected.c.image_url.in_(addresses)] if addresses else []),
        *(rejected.c.detail.contains(one) for one in ids),
    )
    return [
        (rejected, rejections),
        (frontier, _of_frontier(gone, addresses)),
        *((table, table.c.image_id.in_(ids)) for table in _BY_IMAGE),
    ]


def _of_frontier(gone: Gone, addresses: Sequence[str]) -> ColumnElement[bool]:
    """Items at their source, pages that show nothing else, and what names one of these."""
    by_source: Mapping[str, list[str]] = _by_source(gone.items)
    mentioning: list[Any] = [cast(frontier.c.content, Text).contains(one) for one in addresses]
    return or_(
        frontier.c.url.in_(addresses),
        frontier.c.key.in_([f"page:{place(one)}" for one in addresses]),
        *([and_(frontier.c.kind == int(Kind.ITEM), or_(*mentioning))] if mentioning else []),
        *(
            and_(
                frontier.c.key.in_([f"item:{one}" for one in items]),
                frontier.c.crawl_id.in_(select(crawls.c.crawl_id).where(crawls.c.source == source)),
            )
            for source, items in by_source.items()
        ),
    )


def _by_source(items: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in sorted(items):
        source, _, source_item_id = item.partition(":")
        found.setdefault(source, []).append(source_item_id)
    return found
