"""Which images a profile has yet to label: found by the database, a page at a time."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, and_, func, or_, select

from mirrorset.catalogue.store import Catalogue
from mirrorset.catalogue.tables import annotations, images, rejected, verdicts
from mirrorset.decisions import NOT_STOPPED


def unlabelled(catalogue: Catalogue, profile: str, size: int) -> Iterator[tuple[str, ...]]:
    """Ids of the images that `profile` has yet to label, in their order, `size` at a time.

    Left out is what it has labelled or rejected for good, and what people have labelled or stopped:
    a model's verdicts would take the place of theirs. What is labelled between two pages changes
    neither.
    """
    last = ""
    while True:
        page = (
            select(images.c.image_id)
            .where(images.c.image_id > last, _is_open(profile))
            .order_by(images.c.image_id)
            .limit(size)
        )
        with catalogue.reading() as connection:
            image_ids = tuple(connection.execute(page).scalars())
        if not image_ids:
            return
        yield image_ids
        last = image_ids[-1]


def count_unlabelled(catalogue: Catalogue, profile: str) -> int:
    """How many images `unlabelled` would name."""
    query = select(func.count()).select_from(images).where(_is_open(profile))
    with catalogue.reading() as connection:
        return int(connection.execute(query).scalar_one())


def _is_open(profile: str) -> ColumnElement[bool]:
    is_labelled = (
        select(annotations.c.image_number)
        .where(
            annotations.c.image_number == images.c.image_number,
            or_(annotations.c.by == profile, annotations.c.origin != "model"),
        )
        .exists()
    )
    is_rejected = (
        select(rejected.c.item_id)
        .where(
            rejected.c.item_id == images.c.image_id,
            rejected.c.step == "prelabel",
            ~rejected.c.is_retryable,
        )
        .exists()
    )
    is_stopped = (
        select(verdicts.c.image_number)
        .where(
            verdicts.c.image_number == images.c.image_number,
            verdicts.c.check == NOT_STOPPED,
            ~verdicts.c.passed,
        )
        .exists()
    )
    return and_(~is_labelled, ~is_rejected, ~is_stopped)
