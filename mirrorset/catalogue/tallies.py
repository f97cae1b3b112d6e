"""How much of what the catalogue holds, counted by the database: nothing is read into memory."""

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import ColumnElement, Select, Table, distinct, func, select

from mirrorset.catalogue.store import Catalogue
from mirrorset.catalogue.tables import (
    UtcDateTime,
    annotation_jobs,
    annotations,
    batches,
    crawls,
    frontier,
    images,
    ledger,
    rejected,
    sightings,
    tombstones,
    verifications,
)
from mirrorset.records import Record


class Tallies(Record):
    """Numbers of images, unless said otherwise.

    found: items of sources that were looked at. labelled_by_models, labelled_by_people: images with
    labels of that origin. batches, jobs: by state, jobs as the last pull found them. assigned: with
    a place in the releases. rejected: items by step and reason. waiting: requests of crawls that
    are still to be made. erased: tombstones.
    """

    found: int
    stored: int
    stored_bytes: int
    labelled_by_models: int
    labelled_by_people: int
    assigned: int
    erased: int
    waiting: int
    batches: dict[str, int]
    jobs: dict[str, int]
    rejected: dict[str, dict[str, int]]


class StillJobs(Record):
    """Jobs of one batch in one state that nothing has changed since `since`."""

    batch_id: str
    state: str
    jobs: int
    since: AwareDatetime


def tallies(catalogue: Catalogue) -> Tallies:
    """Count everything."""
    with catalogue.reading() as connection:

        def number(query: Select[Any]) -> int:
            return int(connection.execute(query).scalar_one() or 0)

        def rows(table: Table) -> int:
            return number(select(func.count()).select_from(table))

        def labelled(by: ColumnElement[bool]) -> int:
            return number(select(func.count(distinct(annotations.c.image_number))).where(by))

        by_step: dict[str, dict[str, int]] = {}
        reasons = select(rejected.c.step, rejected.c.reason, func.count()).group_by(
            rejected.c.step, rejected.c.reason
        )
        for step, reason, count in connection.execute(reasons):
            by_step.setdefault(step, {})[reason] = count
        states = select(batches.c.state, func.count().label("number")).group_by(batches.c.state)
        stages = select(annotation_jobs.c.stage, annotation_jobs.c.state, func.count()).group_by(
            annotation_jobs.c.stage, annotation_jobs.c.state
        )
        return Tallies(
            found=rows(sightings) + sum(by_step.get("crawl", {}).values()),
            stored=rows(images),
            stored_bytes=number(select(func.sum(images.c.size_bytes))),
            labelled_by_models=labelled(annotations.c.origin == "model"),
            labelled_by_people=labelled(annotations.c.origin != "model"),
            assigned=rows(ledger),
            erased=rows(tombstones),
            waiting=number(
                select(func.count())
                .select_from(frontier.join(crawls, crawls.c.crawl_id == frontier.c.crawl_id))
                .where(frontier.c.outcome.is_(None), crawls.c.ended_at.is_(None))
            ),
            batches={one.state: one.number for one in connection.execute(states)},
            jobs={f"{stage} {state}": n for stage, state, n in connection.execute(stages)},
            rejected=by_step,
        )


def still_jobs(catalogue: Catalogue, before: datetime) -> list[StillJobs]:
    """Jobs that are not done and that nothing has changed since `before`, by batch and state."""
    columns = annotation_jobs.c
    query = (
        select(
            columns.batch_id,
            columns.stage,
            columns.state,
            func.count(),
            func.min(columns.updated_at, type_=UtcDateTime()),
        )
        .where(columns.state != "completed", columns.updated_at < before)
        .group_by(columns.batch_id, columns.stage, columns.state)
        .order_by(columns.batch_id, columns.stage, columns.state)
    )
    with catalogue.reading() as connection:
        return [
            StillJobs(batch_id=batch, state=f"{stage} {state}", jobs=count, since=since)
            for batch, stage, state, count, since in connection.execute(query)
        ]


def stored_bytes(catalogue: Catalogue) -> int:
    """Bytes of all originals."""
    with catalogue.reading() as connection:
        return int(connection.execute(select(func.sum(images.c.size_bytes))).scalar_one() or 0)


def planned_batches(catalogue: Catalogue) -> int:
    """How many batches are written down and not with annotators yet: a push was not completed."""
    query = select(func.count()).select_from(batches).where(batches.c.state == "planned")
    with catalogue.reading() as connection:
        return int(connection.execute(query).scalar_one())


def overdue_receipts(catalogue: Catalogue, before: datetime) -> tuple[int, datetime | None]:
    """How many receipts were last found to hold before `before`, and when the oldest one was."""
    pair = (
        (verifications.c.image_number == sightings.c.image_number)
        & (verifications.c.source == sightings.c.source)
        & (verifications.c.source_item_id == sightings.c.source_item_id)
    )
    held_at = func.coalesce(verifications.c.verified_at, sightings.c.seen_at, type_=UtcDateTime())
    query = (
        select(func.count(), func.min(held_at, type_=UtcDateTime()))
        .select_from(sightings.outerjoin(verifications, pair))
        .where(held_at < before)
    )
    with catalogue.reading() as connection:
        count, oldest = connection.execute(query).one()
        return int(count), oldest
