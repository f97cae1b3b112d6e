"""Annotate: batches of labelled images go to people, and what they did comes back and is judged."""

from pathlib import Path

from annotation.batches import BatchParams, plan_batches
from annotation.exchange import Exchange
from annotation.folder import FolderExchange
from annotation.honeypots import disguised, drawn
from annotation.prelabel import PrelabelParams
from annotation.review import ReviewParams, accept
from annotation.schema import LabelSchema, load_label_schema
from flows.engine import flow, task
from flows.progress import bar
from mirrorset.catalogue import Catalogue
from mirrorset.records import (
    Annotation,
    AnnotationJob,
    Batch,
    Decision,
    Honeypot,
    ImageRecord,
    Quarantine,
    Record,
    Verdict,
)
from mirrorset.spool import ingest, write_shard
from mirrorset.workspace import Workspace, open_workspace


class PushSummary(Record):
    """Batches made by this run, all batches that are out, and where they lie."""

    new_batches: int
    batches: int
    images: int
    where: str


class PullSummary(Record):
    """What people have done so far. unreviewed: labelled images that nobody has looked at."""

    batches: int
    returned: int
    reviewed: int
    unreviewed: int
    rejected: int


@flow(name="annotate-push")
def push(home: Path) -> PushSummary:
    """Put every labelled image that no batch holds before annotators, worst labels first.

    Images in quarantine stay here. A push that was killed is completed.
    """
    workspace = open_workspace(home)
    schema = label_schema(workspace)
    exchange = FolderExchange(workspace.exchange)
    with workspace.locked(), workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        # A push that was killed is out there, though nobody wrote it down.
        recorded = {batch.batch_id for batch in catalogue.read(Batch)}
        catalogue.upsert([one for one in exchange.batches() if one.batch_id not in recorded])
        planned = plan_batches(
            catalogue.read(Annotation),
            catalogue.read(Verdict),
            catalogue.read(Batch),
            schema,
            workspace.params("annotate", BatchParams),
            catalogue.read(Quarantine),
            catalogue.read(Decision),
        )
        catalogue.upsert(drawn(planned, catalogue.read(Annotation)))
        progress = bar("annotate", total=len(planned))
        for number, batch in enumerate(planned, start=1):
            push_batch(workspace, catalogue, exchange, batch, schema)
            progress.to(number)
        batches = list(catalogue.read(Batch))
        return PushSummary(
            new_batches=len(planned),
            batches=len(batches),
            images=sum(len(batch.image_ids) for batch in batches),
            where=str(workspace.exchange),
        )


@flow(name="annotate-pull")
def pull(home: Path) -> PullSummary:
    """Take back what annotators have returned and judge it; what nobody touched stays as it is."""
    workspace = open_workspace(home)
    schema = label_schema(workspace)
    exchange = FolderExchange(workspace.exchange)
    with workspace.locked(), workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        batches = list(catalogue.read(Batch))
        progress = bar("annotate", total=len(batches))
        for number, batch in enumerate(batches, start=1):
            pull_batch(workspace, catalogue, exchange, batch, schema)
            ingest(workspace.spool, catalogue)
            progress.to(number)
        if unclaimed := exchange.unclaimed(batches):
            catalogue.upsert(unclaimed)
        by_people = {
            label.image_id
            for label in catalogue.read(Annotation)
            if label.origin in ("human", "gold")
        }
        labelled = {label.image_id for label in catalogue.read(Annotation)}
        return PullSummary(
            batches=len(batches),
            returned=sum(batch.state == "returned" for batch in catalogue.read(Batch)),
            reviewed=len(by_people),
            unreviewed=len(labelled - by_people),
            rejected=catalogue.rejected_by_reason("annotate").total(),
        )


@task(name="push-batch", retries=1)
def push_batch(
    workspace: Workspace,
    catalogue: Catalogue,
    exchange: Exchange,
    batch: Batch,
    schema: LabelSchema,
) -> None:
    """Send one batch and write down where it went."""
    images, annotations = _contents(catalogue, batch)
    catalogue.upsert([exchange.push(batch, images, workspace.blobs, annotations, schema)])


@task(name="pull-batch", retries=1)
def pull_batch(
    workspace: Workspace,
    catalogue: Catalogue,
    exchange: Exchange,
    batch: Batch,
    schema: LabelSchema,
) -> None:
    """Leave what people did of one batch as one shard."""
    known = [job for job in catalogue.read(AnnotationJob) if job.batch_id == batch.batch_id]
    returned = exchange.pull(batch, known)
    if returned is not None:
        honeypots = {
            one.image_id for one in catalogue.read(Honeypot) if one.batch_id == batch.batch_id
        }
        returned = disguised(returned, honeypots)
        images, annotations = _contents(catalogue, batch)
        params = workspace.params("review", ReviewParams)
        before = {
            label.image_id
            for label in catalogue.read(Annotation)
            if label.origin in ("human", "gold")
        }
        records = accept(batch, returned, images, annotations, schema, params=params, before=before)
        write_shard(workspace.spool, [*records, *returned.jobs])


def label_schema(workspace: Workspace) -> LabelSchema:
    """The label schema that params.yaml names."""
    return load_label_schema(workspace.params("prelabel", PrelabelParams).schema_name)


def _contents(catalogue: Catalogue, batch: Batch) -> tuple[list[ImageRecord], list[Annotation]]:
    wanted = set(batch.image_ids)
    return (
        [image for image in catalogue.read(ImageRecord) if image.image_id in wanted],
        [
            label
            for label in catalogue.read(Annotation)
            if label.image_id in wanted and label.origin == "model"
        ],
    )
