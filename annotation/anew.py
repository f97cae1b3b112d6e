"""A batch's task was made anew: what is known of its jobs is carried over to those of the new one.

Who annotated a job is known from when it was at work; the server knows only who has it now.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from mirrorset.records import Annotation, AnnotationJob, Batch, Record

# Never read: the next pull reads every job, whatever the server says of its time.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def carried_over(
    before: Batch,
    after: Batch,
    known: Sequence[AnnotationJob],
    jobs: Sequence[AnnotationJob],
    labels: Iterable[Annotation],
) -> Iterator[Record]:
    """The jobs of `after`, annotated by whom those of `before` were, and the labels that were read
    in these, as if they had been read in those.

    known: the jobs of `before`, as the last pull left them; jobs: those of `after`, as the server
    lists them. Both are in the same order within each kind. Labels of other tasks are left out.
    """
    anew = {earlier.job_id: job for earlier, job in _pairs(known, jobs)}
    for earlier, job in _pairs(known, jobs):
        # Where nobody was known to have annotated it, the next pull takes whoever has it then.
        is_same = earlier.image_ids == job.image_ids
        update = {
            "annotator": earlier.annotator,
            "updated_at": _NEVER,
            "content_sha256": earlier.content_sha256 if is_same else "",
        }
        yield job.model_copy(update=update)
    for label in labels:
        place = label.provenance
        is_of_task = place and (place.server, place.task) == (before.server, before.task)
        if place and is_of_task and place.job in anew:
            moved = place.model_copy(update={"task": after.task, "job": anew[place.job].job_id})
            yield label.model_copy(update={"provenance": moved})


def _pairs(
    known: Sequence[AnnotationJob], jobs: Sequence[AnnotationJob]
) -> Iterator[tuple[AnnotationJob, AnnotationJob]]:
    """Each known job with the one that stands in its place now."""
    for kind in ("annotation", "replica", "ground_truth"):
        earlier, now = (
            sorted((one for one in each if one.kind == kind), key=lambda one: int(one.job_id))
            for each in (known, jobs)
        )
        # A job of known truth goes with its last frame.
        yield from zip(earlier, now, strict=False)
