"""Sightings by image, and those whose receipts are due to be checked again.

A crawl remembers where it began and, in the frontier, what it found; so a sighting can be asked for
again through the source that found it, also where params.yaml no longer names that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, or_, select

from mirrorset.catalogue.frontier import crawl_id_of
from mirrorset.catalogue.rows import records_of
from mirrorset.catalogue.store import Catalogue
from mirrorset.catalogue.tables import (
    crawls,
    frontier,
    images,
    quarantine,
    sightings,
    verifications,
)
from mirrorset.errors import InputError
from mirrorset.records import Quarantine, Sighting, utc_now

_SHORTEST_PREFIX = 8
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Crawled:
    """A crawl that was made: its title, and its start as params.yaml had it."""

    title: str
    start: Mapping[str, Any]


def crawled(catalogue: Catalogue) -> list[Crawled]:
    """All crawls that were made, by title."""
    query = select(crawls.c.title, crawls.c.start).where(_is_crawl()).order_by(crawls.c.title)
    with catalogue.reading() as connection:
        return [Crawled(row.title, row.start) for row in connection.execute(query)]


def due(
    catalogue: Catalogue, source: str, title: str, before: datetime, after: str, count: int
) -> list[Sighting]:
    """The next `count` sightings of a crawl to check, of ids beyond `after`, in order of their ids.

    Those whose receipt was last seen or verified before `before`, and those in quarantine, until
    that expires. What several crawls of a source found is the first one's to check.
    """
    query = (
        records_of(sightings)
        .outerjoin(verifications, _is_of_sighting(verifications.c))
        .outerjoin(
            quarantine, and_(_is_of_sighting(quarantine.c), quarantine.c.released_at.is_(None))
        )
        .where(
            sightings.c.source == source,
            sightings.c.source_item_id > after,
            or_(
                quarantine.c.expires_at > utc_now(),
                and_(
                    quarantine.c.expires_at.is_(None),
                    sightings.c.seen_at < before,
                    func.coalesce(verifications.c.verified_at, sightings.c.seen_at) < before,
                ),
            ),
            _first_crawl() == crawl_id_of(title),
        )
        .order_by(sightings.c.source_item_id)
        .limit(count)
    )
    with catalogue.reading() as connection:
        return [Sighting.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def count_orphans(catalogue: Catalogue) -> int:
    """How many sightings no crawl of this catalogue has found: a crawl that finds them adopts them.

    They came with a snapshot, or from a version that remembered no crawls.
    """
    query = select(func.count()).select_from(sightings).where(_first_crawl().is_(None))
    with catalogue.reading() as connection:
        return int(connection.execute(query).scalar_one())


def receipt_of(
    catalogue: Catalogue, source: str, source_item_id: str
) -> tuple[Sighting, Quarantine | None] | None:
    """A sighting and the quarantine that it is in; None where there is no such sighting."""
    sighted = records_of(sightings).where(
        sightings.c.source == source, sightings.c.source_item_id == source_item_id
    )
    with catalogue.reading() as connection:
        row = connection.execute(sighted).mappings().one_or_none()
        if row is None:
            return None
        sighting = Sighting.model_validate(dict(row))
        held = (
            connection.execute(
                records_of(quarantine).where(
                    images.c.image_id == sighting.image_id,
                    quarantine.c.source == source,
                    quarantine.c.source_item_id == source_item_id,
                    quarantine.c.released_at.is_(None),
                )
            )
            .mappings()
            .one_or_none()
        )
    return sighting, None if held is None else Quarantine.model_validate(dict(held))


def find_image(catalogue: Catalogue, image: str) -> str:
    """The id of one image of the catalogue; `image`: that id, or the first 8 digits or more.

    Raises InputError where no image or several begin so, or it is no such id.
    """
    _require_prefix(image)
    query = (
        select(images.c.image_id).where(images.c.image_id.startswith(image)).order_by("image_id")
    )
    with catalogue.reading() as connection:
        found = list(connection.execute(query).scalars())
    if not found:
        raise InputError(f"No image of the catalogue begins with {image}.")
    _require_one(image, found)
    return str(found[0])


def sightings_of(catalogue: Catalogue, image: str) -> list[Sighting]:
    """All sightings of one image; `image`: its id, or the first 8 digits or more.

    Raises InputError where no image or several begin so, or it is no such id.
    """
    _require_prefix(image)
    query = (
        records_of(sightings)
        .where(images.c.image_id.startswith(image))
        .order_by(images.c.image_id, sightings.c.source, sightings.c.source_item_id)
    )
    with catalogue.reading() as connection:
        found = [Sighting.model_validate(dict(row)) for row in connection.execute(query).mappings()]
    if not found:
        raise InputError(f"No receipt is kept of an image {image}: `mirrorset crawl` keeps them.")
    _require_one(image, sorted({sighting.image_id for sighting in found}))
    return found


def _require_prefix(image: str) -> None:
    if not (_SHORTEST_PREFIX <= len(image) <= 64 and _HEX.issuperset(image)):
        raise InputError(
            f"“{image}” is no image id: give its 64 hexadecimal digits, or the first "
            f"{_SHORTEST_PREFIX} or more."
        )


def _require_one(image: str, found: Sequence[str]) -> None:
    if len(found) > 1:
        raise InputError(
            f"{len(found)} images begin with {image}: {', '.join(found[:3])}"
            f"{'…' if len(found) > 3 else ''}; give more digits."
        )


def _is_crawl() -> ColumnElement[bool]:
    return crawls.c.start.is_not(None)


def _is_of_sighting(columns: Any) -> ColumnElement[bool]:
    return and_(
        columns.image_number == sightings.c.image_number,
        columns.source == sightings.c.source,
        columns.source_item_id == sightings.c.source_item_id,
    )


def _first_crawl() -> Any:
    """The id of the first crawl of the sighting's source that found it, or NULL."""
    return (
        select(func.min(frontier.c.crawl_id))
        .join(crawls, crawls.c.crawl_id == frontier.c.crawl_id)
        .where(
            _is_crawl(),
            crawls.c.source == sightings.c.source,
            frontier.c.crawl_id == crawls.c.crawl_id,
            frontier.c.key == literal("item:") + sightings.c.source_item_id,
        )
        .correlate(sightings)
        .scalar_subquery()
    )
