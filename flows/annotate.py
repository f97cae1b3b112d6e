"""Annotate: batches of labelled images go to people, and what they did comes back and is judged."""

from collections.abc import Collection, Iterable, Sequence, Set
from pathlib import Path

from annotation.anew import carried_over
from annotation.batches import (
    BatchParams,
    barred,
    plan_batches,
    sent_with,
    showable,
    told_anew,
)
from annotation.exchange import Exchange
from annotation.folder import FOLDER
from annotation.honeypots import disguised, drawn
from annotation.outgoing import sendable
from annotation.prelabel import PrelabelParams
from annotation.review import ReviewParams, accept, superseded
from annotation.schema import LabelSchema
from flows.at_work import at_work, place_on
from flows.engine import flow, outside
from flows.exchanges import exchange_with, label_schema, server_of
from flows.progress import bar
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.receipts import find_image
from mirrorset.records import (
    Annotation,
    AnnotationJob,
    Batch,
    Decision,
    Hidden,
    Honeypot,
    ImageRecord,
    Quarantine,
    Reason,
    Record,
    Rejected,
    Sent,
    Stop,
    Verdict,
)
from mirrorset.spool import ingest, write_shard
from mirrorset.workspace import Workspace, open_workspace


class PushSummary(Record):
    """Batches made by this run, all batches that are out, and where they lie.

    rejected: images that cannot be shown, or came back with labels that do not fit.
    """

    new_batches: int
    batches: int
    images: int
    rejected: int
    where: str


class EraseSummary(Record):
    """Images taken away from annotators; the batches that held them; those left without images.

    in_no_batch: of the images, those that no batch held, so that nothing had to be taken away.
    """

    images: int
    batches: int
    ended: int
    in_no_batch: int


class PullSummary(Record):
    """What people have done so far. unreviewed: labelled images that nobody has looked at.

    hidden: pictures on a server that were taken from annotators' sight now, for they are stopped or
    in quarantine.
    """

    batches: int
    returned: int
    reviewed: int
    unreviewed: int
    rejected: int
    hidden: int = 0


@flow(name="annotate-push")
def push(home: Path) -> PushSummary:
    """Put every labelled image that no batch holds before annotators, worst labels first.

    Images in quarantine stay here. A push that was killed is completed.
    """
    workspace = open_workspace(home)
    schema = label_schema(workspace)
    server = server_of(workspace)
    exchange = exchange_with(workspace, server)
    with at_work(workspace, *_places(server)), workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        # A push that was killed is out there, though nobody wrote it down.
        recorded = {batch.batch_id for batch in catalogue.read(Batch)}
        catalogue.upsert([one for one in exchange.batches() if one.batch_id not in recorded])
        # Kept before they leave: a push that is killed from here on is taken up by the next.
        known = {batch.batch_id for batch in catalogue.read(Batch)}
        labels = _labels(workspace, catalogue)
        waiting = _planned(workspace, catalogue, labels, schema)
        new = [batch for batch in waiting if batch.batch_id not in known]
        catalogue.upsert([*waiting, *drawn(waiting, labels), *sent_with(new, labels)])
        planned = [batch for batch in catalogue.read(Batch) if batch.state == "planned"]
        progress = bar("annotate", total=len(planned))
        for number, batch in enumerate(planned, start=1):
            push_batch(workspace, catalogue, exchange, batch, schema)
            progress.to(number)
        batches = [batch for batch in catalogue.read(Batch) if batch.image_ids]
        return PushSummary(
            new_batches=len(planned),
            batches=len(batches),
            images=sum(len(batch.image_ids) for batch in batches),
            rejected=catalogue.rejected_by_reason("annotate").total(),
            where=str(workspace.exchange) if server == FOLDER else server,
        )


@flow(name="annotate-pull")
def pull(home: Path) -> PullSummary:
    """Take back what annotators have returned and judge it; what nobody touched stays as it is."""
    workspace = open_workspace(home)
    schema = label_schema(workspace)
    here = _places(server_of(workspace))
    with at_work(workspace, *here), workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        batches = [batch for batch in catalogue.read(Batch) if batch.task]
        servers = {FOLDER, *(batch.server for batch in batches)}
        exchanges = {server: exchange_with(workspace, server) for server in sorted(servers)}
        progress = bar("annotate", total=len(batches))
        for number, batch in enumerate(batches, start=1):
            pull_batch(workspace, catalogue, exchanges[batch.server], batch, schema)
            ingest(workspace.spool, catalogue)
            progress.to(number)
        # A stop holds for every batch and job that has the picture.
        unwanted = _barred(catalogue)
        newly_hidden = sum(
            hide(catalogue, exchanges[batch.server], batch, unwanted) for batch in batches
        )
        for exchange in exchanges.values():
            catalogue.upsert(exchange.unclaimed(batches))
        by_people = {
            label.image_id
            for label in catalogue.read(Annotation)
            if label.origin in ("human", "gold")
        }
        labelled = {label.image_id for label in catalogue.read(Annotation)}
        # No batch waits for what nobody may be shown, and one does for what may be shown again.
        catalogue.upsert(told_anew(catalogue.read(Batch), by_people | unwanted))
        return PullSummary(
            batches=len(batches),
            returned=sum(batch.state == "returned" for batch in catalogue.read(Batch)),
            reviewed=len(by_people),
            unreviewed=len(labelled - by_people),
            rejected=catalogue.rejected_by_reason("annotate").total(),
            hidden=newly_hidden,
        )


@flow(name="annotate-erase")
def erase(home: Path, images: Sequence[str]) -> EraseSummary:
    """Take images away from annotators, for good: out of every task and archive that holds them.

    images: ids or their first digits. They are not pushed again. What is known of them here stays.
    An erasure that was killed is completed by the next with the same images. Raises InputError
    where there is no such image.
    """
    workspace = open_workspace(home)
    with workspace.locked(), workspace.catalogue() as catalogue:
        ingest(workspace.spool, catalogue)
        return take_away(workspace, catalogue, {find_image(catalogue, one) for one in images})


def take_away(
    workspace: Workspace, catalogue: Catalogue, ids: Set[str], server: str | None = None
) -> EraseSummary:
    """Take images out of every task and archive that holds them; the caller holds the lock.

    server: only there ("folder", or an address).
    """
    kept_out = [
        Rejected(
            item_id=image_id,
            step="annotate",
            reason=Reason.DROPPED,
            detail="It was taken away from annotators.",
        )
        for image_id in sorted(ids)
    ]
    catalogue.upsert(kept_out)
    here = server_of(workspace)
    batches = [
        one
        for one in catalogue.read(Batch)
        if not ids.isdisjoint(one.image_ids) and server in (None, one.server or here)
    ]
    for batch in batches:
        exchange = exchange_with(workspace, batch.server or here)
        without = exchange.erase(batch, ids, workspace.blobs)
        known = list(catalogue.read(AnnotationJob, batch_id=batch.batch_id))
        jobs = exchange.jobs(without, known) if without.task else ()
        labels = catalogue.read(Annotation)
        records = list(carried_over(batch, without, known, jobs, labels))
        catalogue.renew(without if without.image_ids else _ended(without), records)
    return EraseSummary(
        images=len(ids),
        batches=len(batches),
        ended=sum(not (set(one.image_ids) - ids) for one in batches),
        in_no_batch=len(set(ids).difference(*(one.image_ids for one in batches))),
    )


@outside("push-batch", "push batch {batch.batch_id}")
def push_batch(
    workspace: Workspace,
    catalogue: Catalogue,
    exchange: Exchange,
    batch: Batch,
    schema: LabelSchema,
) -> None:
    """Send what can be sent of one batch, and write down where it went and what stayed."""
    images, annotations = _contents(catalogue, batch)
    ready, rejected = sendable(batch, images, workspace.blobs, annotations, schema)
    pushed = exchange.push(ready, images, workspace.blobs, annotations, schema)
    refused = [
        Rejected(
            item_id=image_id,
            step="annotate",
            reason=Reason.NOT_AN_IMAGE,
            detail=f"{pushed.server} cannot read this picture, and made its task without it.",
        )
        for image_id in ready.image_ids
        if image_id not in pushed.image_ids
    ]
    catalogue.upsert([pushed, *rejected, *refused])


@outside("pull-batch", "pull batch {batch.batch_id}")
def pull_batch(
    workspace: Workspace,
    catalogue: Catalogue,
    exchange: Exchange,
    batch: Batch,
    schema: LabelSchema,
) -> None:
    """Leave what people did of one batch as one shard."""
    known = list(catalogue.read(AnnotationJob, batch_id=batch.batch_id))
    returned = exchange.pull(batch, known, _hidden(catalogue, batch))
    if returned is not None:
        honeypots = {one.image_id for one in catalogue.read(Honeypot, batch_id=batch.batch_id)}
        returned = disguised(returned, honeypots)
        images, annotations = _contents(catalogue, batch)
        params = workspace.params("review", ReviewParams)
        own = set(batch.image_ids)
        before = [
            label
            for label in catalogue.read(Annotation)
            if label.image_id in own and label.origin != "model"
        ]
        stopped = {
            one.image_id
            for one in catalogue.read(Stop)
            if one.is_standing and one.batch_id != batch.batch_id
        }
        records = accept(
            *(batch, returned, images, annotations, schema),
            params=params,
            before=before,
            stopped=stopped,
        )
        # Before what comes in their place: killed in between, the next pull reads the jobs again.
        catalogue.forget(superseded(records, before))
        write_shard(workspace.spool, [*records, *returned.jobs])


def _places(server: str) -> tuple[str, ...]:
    return () if server == FOLDER else (place_on("cvat", server),)


def _ended(batch: Batch) -> Batch:
    """A batch that no image is left of: nobody waits for it."""
    return batch.model_copy(update={"state": "returned"})


@outside("hide", "hide pictures of batch {batch.batch_id}")
def hide(catalogue: Catalogue, exchange: Exchange, batch: Batch, unwanted: Collection[str]) -> int:
    """Hide the unwanted of the batch's images from its annotators, and show again those that we
    have hidden and that may be seen; how many were hidden just now.
    """
    wanted, before = set(batch.image_ids).intersection(unwanted), _hidden(catalogue, batch)
    if not wanted and not before:
        return 0
    # Before and after: killed in between, the next pull still knows what is hidden by us.
    _note_hidden(catalogue, batch, wanted | before, wanted | before)
    now = exchange.hide(batch, wanted, before)
    _note_hidden(catalogue, batch, wanted | before, now)
    return len(now - before)


def _note_hidden(
    catalogue: Catalogue, batch: Batch, image_ids: Iterable[str], hidden: Collection[str]
) -> None:
    catalogue.upsert(
        [
            Hidden(batch_id=batch.batch_id, image_id=image_id, is_hidden=image_id in hidden)
            for image_id in sorted(image_ids)
        ]
    )


def _hidden(catalogue: Catalogue, batch: Batch) -> set[str]:
    """The images that the last pull left hidden from the batch's annotators."""
    kept = catalogue.read(Hidden, batch_id=batch.batch_id)
    return {one.image_id for one in kept if one.is_hidden}


def _barred(catalogue: Catalogue) -> set[str]:
    """The images that nobody may be shown now."""
    return barred(catalogue.read(Verdict), catalogue.read(Quarantine), catalogue.read(Decision))


def _labels(workspace: Workspace, catalogue: Catalogue) -> list[Annotation]:
    """What people have said, and what the models of the profile that params.yaml names have: those
    of another may be ones that the dataset's intended use forbids.
    """
    profile = workspace.params("prelabel", PrelabelParams).profile
    return [
        label
        for label in catalogue.read(Annotation)
        if label.origin != "model" or label.by == profile
    ]


def _planned(
    workspace: Workspace, catalogue: Catalogue, labels: Sequence[Annotation], schema: LabelSchema
) -> list[Batch]:
    """The new batches, and those that a killed push left without what may no longer be shown."""
    batches = list(catalogue.read(Batch))
    verdicts = list(catalogue.read(Verdict))
    quarantines, decisions = list(catalogue.read(Quarantine)), list(catalogue.read(Decision))
    rejected = list(catalogue.read(Rejected))
    shown = showable(labels, verdicts, quarantines, decisions, rejected)
    allowed = {label.image_id for label in shown}
    left = [
        batch.model_copy(
            update={"image_ids": tuple(one for one in batch.image_ids if one in allowed)}
        )
        for batch in batches
        if batch.state == "planned"
    ]
    params = workspace.params("annotate", BatchParams)
    new = plan_batches(labels, verdicts, batches, schema, params, quarantines, decisions, rejected)
    return [*left, *new]


def _contents(catalogue: Catalogue, batch: Batch) -> tuple[list[ImageRecord], list[Annotation]]:
    """The images of a batch and the labels that they went out with."""
    wanted = set(batch.image_ids)
    images = [image for image in catalogue.read(ImageRecord) if image.image_id in wanted]
    kept = list(catalogue.read(Sent, batch_id=batch.batch_id))
    lacking = wanted - {one.image_id for one in kept}
    if lacking:
        # Found outside by a catalogue that does not know of the push.
        without = batch.model_copy(update={"image_ids": tuple(lacking)})
        kept += sent_with([without], catalogue.read(Annotation))
    return images, [one.annotation for one in kept]
