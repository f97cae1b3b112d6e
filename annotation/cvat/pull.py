"""What people have done of one task on a CVAT server, read job by job and only where it changed.

What decides, where there is something to decide:

- A job's labels count once the stage that `done_at` names is completed, or once the job is at a
  later stage: a server sets the state to new with every change of stage. A stop (`do_not_use`)
  counts at once, wherever it is set, and as long as any copy of the image has it.
- Of a job's images those count that a person has annotated (`is_annotated`). What was read before
  and has not changed since is left out, by the hash of a job's labels: the server's time of change
  says only where to look, for it moves with every look too.
- Jobs that overlap keep a copy of an image each. The copy of the job that is furthest counts, among
  these the one that was changed last.
- What is changed after it has been taken over counts anew, once its job is done again.
- What a server merged from replicas into their job is nobody's look of its own: it is "consensus".
- A frame that somebody deleted is rejected, and its labels stay as they were; a stop on it holds.

Each of these decisions between two versions of one image is logged.
"""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Literal

from annotation.cvat.connection import PARALLEL, Connection
from annotation.cvat.frames import TaskFrames, frames_of, read_frames
from annotation.cvat.shape_json import ServerLabels, from_annotations
from annotation.exchange import Returned, ReturnedImage, is_annotated, returned_rejected
from annotation.pseudonyms import CONSENSUS, UNNAMED, Pseudonyms
from annotation.schema import DO_NOT_USE
from annotation.shapes import ImageShapes, Tag
from mirrorset.records import AnnotationJob, Batch, Origin, Provenance, Record, Rejected

_log = logging.getLogger(__name__)

Stage = Literal["annotation", "validation", "acceptance"]

STAGES: tuple[Stage, ...] = ("annotation", "validation", "acceptance")

_COMPLETED = "completed"
# A server's word for the source of what it merged from replicas.
_MERGED = "consensus"
_STATES = ("rejected", "new", "in progress", _COMPLETED)
_KINDS: dict[str, Literal["annotation", "replica", "ground_truth"]] = {
    "annotation": "annotation",
    "consensus_replica": "replica",
    "ground_truth": "ground_truth",
}
_ORIGINS: dict[str, Origin] = {
    "annotation": "human",
    "replica": "replica",
    "ground_truth": "gold",
}


class _Copy(Record):
    """One image as one job has it."""

    image_id: str
    frame: int
    shapes: ImageShapes
    job: AnnotationJob


def pull_task(
    connection: Connection,
    batch: Batch,
    known: Sequence[AnnotationJob],
    pseudonyms: Pseudonyms,
    done_at: Stage,
    hidden: Collection[str] = (),
) -> Returned | None:
    """What has been done of `batch` since `known`; None where its jobs are as they were.

    hidden: images whose frames we have deleted, which says nothing of their labels. Raises as
    `Connection.call` does.
    """
    before = {job.job_id: job for job in known}
    listed = list(connection.pages("/api/jobs", {"task_id": batch.task}))
    if not listed:
        gone = returned_rejected(
            batch.batch_id,
            f"Batch {batch.batch_id} is task {batch.task} on {connection.name}, which has no such "
            "task any more: where an erasure was cut off, run `mirrorset annotate erase` again; "
            "else restore it there, or have its images labelled in another batch.",
        )
        return Returned(batch_id=batch.batch_id, images=(), rejected=(gone,))
    changed = [one for one in listed if _has_changed(one, before.get(str(one["id"])))]
    if not changed:
        return None
    with ThreadPoolExecutor(2) as pool:
        meta = pool.submit(connection.call, "GET", f"/api/tasks/{batch.task}/data/meta")
        labels = ServerLabels(connection.pages("/api/labels", {"task_id": batch.task}))
    frames = read_frames(meta.result(), batch.image_ids)
    ours = {number for number, one in frames.image_ids.items() if one in hidden}
    frames = frames.model_copy(update={"deleted": frames.deleted - ours})
    jobs = [
        _annotators_own(_job(connection, one, batch, frames, pseudonyms), before) for one in listed
    ]
    ids = {str(one["id"]) for one in changed}
    touched = {image_id for job in jobs if job.job_id in ids for image_id in job.image_ids}
    # A copy or a stop in a job that did not change has its say as well.
    concerned = [job for job in jobs if touched.intersection(job.image_ids)]
    with ThreadPoolExecutor(PARALLEL) as pool:
        read = pool.map(lambda job: _read(connection, job, frames, labels), concerned)
        copies = dict(zip((job.job_id for job in concerned), read, strict=True))
    now = {job.job_id: _hashed(job, copies.get(job.job_id), before) for job in jobs}
    fresh = {
        image_id
        for job in now.values()
        if _counts_anew(job, before.get(job.job_id), done_at)
        for image_id in job.image_ids
    }
    by_image: dict[str, list[_Copy]] = defaultdict(list)
    for found in copies.values():
        for copy in found:
            by_image[copy.image_id].append(copy)
    return Returned(
        batch_id=batch.batch_id,
        images=tuple(
            image
            for image_id in batch.image_ids
            if image_id in fresh
            for image in _decided(by_image[image_id], frames.deleted, connection, batch, done_at)
        ),
        rejected=_rejected(frames, batch),
        jobs=tuple(now.values()),
    )


def list_jobs(
    connection: Connection,
    batch: Batch,
    known: Sequence[AnnotationJob],
    pseudonyms: Pseudonyms,
) -> tuple[AnnotationJob, ...]:
    """The jobs of `batch` as the server lists them, by id; their labels are not read.

    known: of any batches. Raises as `Connection.call` does.
    """
    before = {job.job_id: job for job in known if job.batch_id == batch.batch_id}
    listed = sorted(
        connection.pages("/api/jobs", {"task_id": batch.task}), key=lambda one: int(one["id"])
    )
    if any(str(one["id"]) not in before for one in listed):
        meta = connection.call("GET", f"/api/tasks/{batch.task}/data/meta")
        frames = read_frames(meta, batch.image_ids)
        jobs = [_job(connection, one, batch, frames, pseudonyms) for one in listed]
    else:
        jobs = [_as_listed(before[str(one["id"])], one, pseudonyms) for one in listed]
    return tuple(_annotators_own(job, before) for job in jobs)


def is_done(job: AnnotationJob, done_at: Stage) -> bool:
    """Whether the job's labels count: the stage is completed or behind it."""
    reached, wanted = _rank(STAGES, job.stage), STAGES.index(done_at)
    return reached > wanted or (reached == wanted and job.state == _COMPLETED)


# --- which jobs -------------------------------------------------------------------------------


def _has_changed(listed: Mapping[str, Any], before: AnnotationJob | None) -> bool:
    return before is None or (listed["stage"], listed["state"], _time(listed)) != (
        *(before.stage, before.state),
        before.updated_at,
    )


def _job(
    connection: Connection,
    listed: Mapping[str, Any],
    batch: Batch,
    frames: TaskFrames,
    pseudonyms: Pseudonyms,
) -> AnnotationJob:
    kind = _KINDS.get(listed.get("type") or "annotation", "annotation")
    assignee = listed.get("assignee")
    return AnnotationJob(
        batch_id=batch.batch_id,
        job_id=str(listed["id"]),
        kind=kind,
        image_ids=tuple(
            frames.image_ids[one]
            for one in frames_of(connection, listed)
            if one in frames.image_ids
        ),
        stage=listed["stage"],
        state=listed["state"],
        annotator=pseudonyms.of(assignee["username"]) if assignee else "",
        updated_at=_time(listed),
    )


def _as_listed(
    known: AnnotationJob, listed: Mapping[str, Any], pseudonyms: Pseudonyms
) -> AnnotationJob:
    assignee = listed.get("assignee")
    return known.model_copy(
        update={
            "stage": listed["stage"],
            "state": listed["state"],
            "annotator": pseudonyms.of(assignee["username"]) if assignee else "",
            "updated_at": _time(listed),
        }
    )


def _annotators_own(job: AnnotationJob, before: Mapping[str, AnnotationJob]) -> AnnotationJob:
    """The job under whoever annotated it: from the next stage on, a reviewer is assigned."""
    known = before.get(job.job_id)
    if job.stage == STAGES[0] or known is None or not known.annotator:
        return job
    return job.model_copy(update={"annotator": known.annotator})


def _time(listed: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(listed["updated_date"])


# --- what they hold ---------------------------------------------------------------------------


def _read(
    connection: Connection, job: AnnotationJob, frames: TaskFrames, labels: ServerLabels
) -> list[_Copy]:
    answer = connection.call("GET", f"/api/jobs/{job.job_id}/annotations/")
    own = {number for number, one in frames.image_ids.items() if one in job.image_ids}
    drawn = from_annotations(answer, {number: frames.frames[number] for number in own}, labels)
    return [
        _Copy(image_id=frames.image_ids[number], frame=number, shapes=shapes, job=job)
        for number, shapes in drawn.items()
    ]


def _hashed(
    job: AnnotationJob, copies: Sequence[_Copy] | None, before: Mapping[str, AnnotationJob]
) -> AnnotationJob:
    """The job with the hash of its labels: of those just read, or as it was known.

    One that is new and was not read has no image left, and so no labels.
    """
    if copies is None and job.job_id in before:
        return job.model_copy(update={"content_sha256": before[job.job_id].content_sha256})
    return job.model_copy(update={"content_sha256": _content_sha256(copies or ())})


def _content_sha256(copies: Sequence[_Copy]) -> str:
    """A hash of shapes that heeds no order, for a server keeps none."""
    digest = hashlib.sha256()
    for copy in sorted(copies, key=lambda copy: copy.frame):
        shapes = sorted(_canonical(shape.model_dump(mode="json")) for shape in copy.shapes.every())
        digest.update(json.dumps([copy.frame, shapes]).encode())
    return digest.hexdigest()


def _canonical(shape: dict[str, Any]) -> str:
    if "elements" in shape:
        # The label alone orders whole skeletons; the rest is for points that are there twice.
        shape["elements"].sort(key=lambda one: (one["label"], one["point"], one["is_outside"]))
    return json.dumps(shape, sort_keys=True)


# --- what counts ------------------------------------------------------------------------------


def _counts_anew(job: AnnotationJob, before: AnnotationJob | None, done_at: Stage) -> bool:
    """Whether there is something to say of the job that the last pull did not say."""
    is_other = before is None or job.content_sha256 != before.content_sha256
    done, was_done = is_done(job, done_at), before is not None and is_done(before, done_at)
    if was_done and not done:
        _log.warning(
            "Job %s of batch %s is at work again (%s, %s): what was taken over stays until it is "
            "done.",
            *(job.job_id, job.batch_id, job.stage, job.state),
        )
    elif was_done and is_other:
        _log.warning(
            "Job %s of batch %s was changed after it was taken over: its later labels count.",
            *(job.job_id, job.batch_id),
        )
    # Where jobs overlap, whose copy counts depends on how far each job is.
    is_elsewhere = before is None or (job.stage, job.state) != (before.stage, before.state)
    return is_other or (done and is_elsewhere)


def _decided(
    copies: Sequence[_Copy],
    deleted: frozenset[int],
    connection: Connection,
    batch: Batch,
    done_at: Stage,
) -> list[ReturnedImage]:
    """An image by origin: the copy that counts of each, with the stops that any copy has."""
    stops = {tag.model_dump_json(): tag for copy in copies for tag in _stops(copy)}
    returned = []
    for origin in _ORIGINS.values():
        own = [
            copy
            for copy in copies
            if _ORIGINS[copy.job.kind] == origin
            and copy.frame not in deleted
            and is_done(copy.job, done_at)
            and is_annotated(copy.shapes)
        ]
        # Every replica is another annotator's look; of the others one counts.
        counting = own if origin == "replica" else _furthest(own)
        returned += [_returned(copy, copies, origin, stops, connection, batch) for copy in counting]
    if stops and not any(image.origin == "human" for image in returned):
        stopped = next(copy for copy in copies if _stops(copy))
        unfinished = _returned(stopped, copies, "human", stops, connection, batch)
        returned.append(unfinished.model_copy(update={"is_finished": False}))
    return returned


def _furthest(copies: Sequence[_Copy]) -> list[_Copy]:
    """The copy that counts, as a list of one, or none of none."""
    if len(copies) < 2:
        return list(copies)
    first = max(copies, key=_precedence)
    if len(copies) > 1 and len({_content_sha256([copy]) for copy in copies}) > 1:
        _log.warning(
            "Image %s of batch %s has differing labels in jobs %s: those of job %s count (%s, %s).",
            first.image_id[:16],
            first.job.batch_id,
            ", ".join(copy.job.job_id for copy in copies),
            *(first.job.job_id, first.job.stage, first.job.state),
        )
    return [first]


def _precedence(copy: _Copy) -> tuple[int, int, datetime, int]:
    job = copy.job
    return _rank(STAGES, job.stage), _rank(_STATES, job.state), job.updated_at, int(job.job_id)


def _returned(
    copy: _Copy,
    copies: Sequence[_Copy],
    origin: Origin,
    stops: Mapping[str, Tag],
    connection: Connection,
    batch: Batch,
) -> ReturnedImage:
    own = {tag.model_dump_json() for tag in _stops(copy)}
    others = tuple(tag for key, tag in stops.items() if key not in own)
    return ReturnedImage(
        image_id=copy.image_id,
        shapes=copy.shapes.model_copy(update={"tags": (*copy.shapes.tags, *others)}),
        by=_by(copy, copies),
        returned_at=copy.job.updated_at,
        origin=origin,
        provenance=Provenance(
            server=connection.url,
            server_version=connection.version,
            task=batch.task,
            job=copy.job.job_id,
            stage=copy.job.stage,
            state=copy.job.state,
            updated_at=copy.job.updated_at,
        ),
    )


def _by(copy: _Copy, copies: Sequence[_Copy]) -> str:
    """Whose labels they are. While nobody is assigned, ground truth and each replica are other
    people's than the job they repeat; replicas by their order, for a task made anew has other jobs.
    """
    if any(shape.source == _MERGED for shape in copy.shapes.every()):
        return CONSENSUS
    if copy.job.annotator or copy.job.kind == "annotation":
        return copy.job.annotator or UNNAMED
    if copy.job.kind == "ground_truth":
        return f"{UNNAMED} of ground truth"
    jobs = sorted(
        int(one.job.job_id)
        for one in copies
        # Where jobs overlap, an image has replicas of both.
        if one.job.kind == "replica" and one.job.image_ids == copy.job.image_ids
    )
    return f"{UNNAMED} of replica {jobs.index(int(copy.job.job_id)) + 1}"


def _stops(copy: _Copy) -> list[Tag]:
    return [tag for tag in copy.shapes.tags if tag.label == DO_NOT_USE]


def _rejected(frames: TaskFrames, batch: Batch) -> tuple[Rejected, ...]:
    return (
        *(
            returned_rejected(name, f"{name} belongs to no image of batch {batch.batch_id}.")
            for name in frames.strangers
        ),
        *(
            returned_rejected(
                frames.image_ids[number],
                f"{frames.frames[number].name} was deleted from task {batch.task}: restore it "
                "there, or stop it with do_not_use.",
            )
            for number in sorted(frames.deleted & frames.image_ids.keys())
        ),
    )


def _rank(order: Sequence[str], word: str) -> int:
    """Where `word` stands; a word of a later server version stands first."""
    return order.index(word) if word in order else -1
