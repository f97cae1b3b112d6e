"""Who has labelled which image, without reading the labels."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import select

from mirrorset.catalogue.store import Catalogue
from mirrorset.catalogue.tables import annotations, images


class Look(NamedTuple):
    """A person's labels of an image. task, job: "" where they came back in an archive."""

    image_id: str
    origin: str
    by: str
    task: str
    job: str


def looks(catalogue: Catalogue) -> Iterator[Look]:
    """Every person's look at an image, by image, origin and person."""
    columns = annotations.c
    query = (
        select(images.c.image_id, columns.origin, columns.by, columns.provenance)
        .join(annotations)
        .where(columns.origin != "model")
        .order_by(images.c.image_id, columns.origin, columns.by)
    )
    with catalogue.reading() as connection:
        for image_id, origin, by, provenance in connection.execute(query):
            read = provenance or {}
            yield Look(image_id, origin, by, read.get("task", ""), read.get("job", ""))
