"""How far annotation is: batches, their jobs, who is at them, what is done and how well."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from annotation.agreement import AgreementRow
from mirrorset.catalogue.looks import Look
from mirrorset.records import AnnotationJob, Batch, Record


class Agreed(Record):
    """NME against gold, honeypots or other people; [low, high] 95 %, over so many images.

    low, high: None for a single image.
    """

    nme: float
    low: float | None
    high: float | None
    images: int


class JobStatus(Record):
    """One job. done: of its images, those whose labels have been taken over."""

    job_id: str
    kind: str
    stage: str
    state: str
    annotator: str
    images: int
    done: int
    agreement: Agreed | None = None


class BatchStatus(Record):
    """One batch. reviewed: of its images, those with a person's labels. A folder has no jobs."""

    batch_id: str
    server: str
    task: str
    state: str
    images: int
    reviewed: int
    jobs: tuple[JobStatus, ...]


class AnnotatorStatus(Record):
    """One annotator under their pseudonym. labelled: images of which labels were taken over."""

    annotator: str
    labelled: int
    agreement: Agreed | None = None


class Status(Record):
    """All of it. note: what is not as new as it could be, and why; "" where all is."""

    batches: tuple[BatchStatus, ...]
    annotators: tuple[AnnotatorStatus, ...]
    images: int
    reviewed: int
    note: str = ""


def status_of(
    batches: Iterable[Batch],
    jobs: Iterable[AnnotationJob],
    looks: Iterable[Look],
    agreement: Sequence[AgreementRow],
    skeleton: str,
    note: str = "",
) -> Status:
    """What is known of every batch that is planned or out.

    looks: of all images. agreement: of the last QA; skeleton: the label whose points say how well.
    """
    by_image: dict[str, list[Look]] = defaultdict(list)
    labelled: dict[str, set[str]] = defaultdict(set)
    for look in looks:
        by_image[look.image_id].append(look)
        labelled[look.by].add(look.image_id)
    by_batch: dict[str, list[AnnotationJob]] = defaultdict(list)
    for job in jobs:
        by_batch[job.batch_id].append(job)
    agreed = _agreed(agreement, skeleton)
    found = [
        _batch_status(batch, by_batch[batch.batch_id], by_image, agreed)
        for batch in batches
        if batch.image_ids
    ]
    out = {image_id for batch in batches for image_id in batch.image_ids}
    return Status(
        batches=tuple(found),
        annotators=tuple(
            AnnotatorStatus(
                annotator=name, labelled=len(ids), agreement=agreed.get(("annotator", name))
            )
            for name, ids in sorted(labelled.items())
        ),
        images=len(out),
        reviewed=sum(map(_is_reviewed, (by_image.get(image_id, ()) for image_id in out))),
        note=note,
    )


def _batch_status(
    batch: Batch,
    jobs: Sequence[AnnotationJob],
    by_image: Mapping[str, Sequence[Look]],
    agreed: Mapping[tuple[str, str], Agreed],
) -> BatchStatus:
    return BatchStatus(
        batch_id=batch.batch_id,
        server=batch.server,
        task=batch.task,
        state=batch.state,
        images=len(batch.image_ids),
        reviewed=sum(_is_reviewed(by_image.get(image_id, ())) for image_id in batch.image_ids),
        jobs=tuple(
            JobStatus(
                job_id=job.job_id,
                kind=job.kind,
                stage=job.stage,
                state=job.state,
                annotator=job.annotator,
                images=len(job.image_ids),
                done=sum(
                    any(look.job == job.job_id for look in by_image.get(image_id, ()))
                    for image_id in job.image_ids
                ),
                agreement=agreed.get(("job", job.job_id)),
            )
            for job in jobs
        ),
    )


def _is_reviewed(looks: Sequence[Look]) -> bool:
    return any(look.origin in ("human", "gold") for look in looks)


def _agreed(rows: Sequence[AgreementRow], skeleton: str) -> dict[tuple[str, str], Agreed]:
    """By axis and name: against gold where there is any, else honeypots, else other people."""
    found: dict[tuple[str, str], Agreed] = {}
    for against in ("replica", "honeypot", "gold"):
        for row in rows:
            is_wanted = (row.against, row.label, row.measure) == (against, skeleton, "nme")
            if is_wanted and row.value is not None:
                found[row.axis, row.name] = Agreed(
                    nme=row.value, low=row.low, high=row.high, images=row.images
                )
    return found
