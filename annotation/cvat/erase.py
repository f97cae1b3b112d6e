"""An image leaves a CVAT server: its task is made anew without it, and all else is as it was.

A frame that is merely deleted can be restored by anybody, and its picture stays on the server. So
a second task is made beside the first, with an empty picture in the place of each erased one,
deleted there and then: the numbers of all other frames, and so the borders of jobs, their overlap
and their replicas, are what they were. Labels, stages, states, assignees, issues and what was
deleted before are carried over as the server holds them.

    second task (its own mark) → upload → labels, issues → stages and states → compare
        → the first is deleted → the second takes the batch's mark

Killed before the first is deleted, the first counts and the second is made anew. Killed after, only
the second is left, and it is complete: it takes the mark. What annotators save while the second is
being made is carried over once more; only what they save in the moment of the deletion is lost.
"""

import io
import json
import logging
import mimetypes
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from PIL import Image

from annotation.cvat.connection import Connection, Upload
from annotation.cvat.frames import GROUND_TRUTH, frames_of
from annotation.cvat.tasks import Picture, find, made, mark, marked, remove, upload
from annotation.exchange import Contents
from mirrorset.errors import IntegrityError, UnavailableError
from mirrorset.records import Batch, Record

_log = logging.getLogger(__name__)

Json = dict[str, Any]

# How often what people save meanwhile is carried over once more.
_ROUNDS = 5
_EMPTY_SIDE_PX = 16
# What a picture is taken to weigh, so that a request of several stays of a size.
_ASSUMED_BYTES = 2_000_000
_EMPTY = "erased-"
#: What a task is made with, apart from its mark.
_KEPT_OF_TASK = ("name", "project_id", "segment_size", "overlap", "subset")


class _Task(Record):
    """A task as the server holds it. jobs: in the order in which they are matched.

    labels: of each job, without ids. gold: frames of the ground-truth job. issues: each with its
    messages, by the place of its job among `jobs`.
    """

    task: Json
    meta: Json
    jobs: tuple[Json, ...]
    labels: tuple[Json, ...]
    gold: tuple[int, ...]
    issues: tuple[tuple[int, Json, tuple[str, ...]], ...]


def erase_from_task(
    connection: Connection, batch: Batch, image_ids: Collection[str], contents: Contents
) -> Batch:
    """The batch without the images, which its task no longer holds; no task once it is empty.

    It may be called again after a kill, with the same images or others. A task that a killed push
    left unfinished is removed: the next push makes it anew. contents: of the images that stay.
    Raises IntegrityError where the second task is not what the first was, UnavailableError where
    annotators save all the time.
    """
    kept = tuple(one for one in batch.image_ids if one not in image_ids)
    standing = _standing(connection, batch)
    without = batch.model_copy(
        update={"image_ids": kept, "task": str(standing["id"]) if standing else ""}
    )
    if standing is None:
        return without
    if not kept or standing["bug_tracker"] != mark(batch.batch_id):
        remove(connection, standing["id"])
        return without.model_copy(update={"task": ""})
    meta = _meta(connection, standing["id"])
    gone = {
        number
        for number, frame in enumerate(meta["frames"])
        if PurePosixPath(frame["name"]).stem in {image_id[:16] for image_id in image_ids}
    }
    if not gone:
        return without
    rebuilt = _rebuilt(connection, standing, batch, meta, gone, contents)
    return without.model_copy(update={"task": str(rebuilt)})


def _standing(connection: Connection, batch: Batch) -> Json | None:
    """The batch's task; a rebuilt one takes its place if that is gone, and is removed if not."""
    task = find(connection, batch.batch_id)
    for rebuilt in marked(connection, _rebuilding_mark(batch)):
        if task is None:
            body = {"bug_tracker": mark(batch.batch_id)}
            task = connection.call("PATCH", f"/api/tasks/{rebuilt['id']}", body=body)
        else:
            remove(connection, rebuilt["id"])
    return task


def _rebuilding_mark(batch: Batch) -> str:
    return f"{mark(batch.batch_id)}:rebuilt"


def _rebuilt(
    connection: Connection,
    standing: Json,
    batch: Batch,
    meta: Json,
    gone: set[int],
    contents: Contents,
) -> int:
    """Make the second task, let it take the place of the first, and return its id."""
    before = _read(connection, standing["id"], gone)
    task_id = _stand(connection, before, batch, meta, gone, contents)
    for _ in range(_ROUNDS):
        _carry_over(connection, before, task_id)
        now = _read(connection, standing["id"], gone)
        if _content(now) == _content(before):
            break
        before = now
    else:
        raise UnavailableError(
            f"Task {standing['id']} on {connection.name} changes all the time: erase again when "
            "its annotators are away."
        )
    # Issues have no key that would tell a second one from the first: they are made once, last.
    _carry_issues(connection, before, task_id)
    if _content(_read(connection, task_id, gone)) != _content(before):
        raise IntegrityError(
            f"Task {task_id} on {connection.name} does not hold all that task {standing['id']} "
            "holds: nothing was erased; erase again."
        )
    remove(connection, standing["id"])
    body = {"bug_tracker": mark(batch.batch_id)}
    connection.call("PATCH", f"/api/tasks/{task_id}", body=body)
    _log.info("Task %s of batch %s became task %s.", standing["id"], batch.batch_id, task_id)
    return task_id


# --- the first task ---------------------------------------------------------------------------


def _read(connection: Connection, task_id: int, gone: set[int]) -> _Task:
    jobs = sorted(
        connection.pages("/api/jobs", {"task_id": task_id}),
        key=lambda job: (job["type"], job["start_frame"], job["id"]),
    )
    gold: Sequence[int] = ()
    for job in jobs:
        if job["type"] == GROUND_TRUTH:
            gold = frames_of(connection, job)
    gold = [frame for frame in gold if frame not in gone]
    if not gold:
        # The job of known truth goes with its last frame.
        jobs = [job for job in jobs if job["type"] != GROUND_TRUTH]
    places = {job["id"]: place for place, job in enumerate(jobs)}
    issues = [
        (places[issue["job"]], issue, _messages(connection, issue))
        for issue in sorted(
            connection.pages("/api/issues", {"task_id": task_id}), key=lambda issue: issue["id"]
        )
        if issue["frame"] not in gone
    ]
    return _Task(
        task=connection.call("GET", f"/api/tasks/{task_id}"),
        meta=_meta(connection, task_id),
        jobs=tuple(jobs),
        labels=tuple(
            _without(connection.call("GET", f"/api/jobs/{job['id']}/annotations/"), gone)
            for job in jobs
        ),
        gold=tuple(gold),
        issues=tuple(issues),
    )


def _meta(connection: Connection, task_id: int) -> Json:
    return dict(connection.call("GET", f"/api/tasks/{task_id}/data/meta"))


def _messages(connection: Connection, issue: Json) -> tuple[str, ...]:
    comments = connection.pages("/api/comments", {"issue_id": issue["id"]})
    return tuple(one["message"] for one in sorted(comments, key=lambda one: one["id"]))


def _without(annotations: Mapping[str, Any], gone: set[int]) -> Json:
    """Labels as they are sent: without ids, which a server refuses, and not on these frames."""
    return {"version": 0} | {
        kind: [_idless(one) for one in annotations.get(kind) or () if one["frame"] not in gone]
        for kind in ("tags", "shapes", "tracks")
    }


def _idless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _idless(inner) for key, inner in value.items() if key != "id"}
    return [_idless(inner) for inner in value] if isinstance(value, list) else value


def _content(task: _Task) -> object:
    """All that is carried over, in an order of its own: a server keeps none."""
    return (
        {key: task.task.get(key) for key in _KEPT_OF_TASK},
        [
            (job["type"], job["start_frame"], job["stop_frame"], *_standing_of(job).values())
            for job in task.jobs
        ],
        [
            {kind: sorted(map(_canonical, labels[kind])) for kind in ("tags", "shapes", "tracks")}
            for labels in task.labels
        ],
        task.gold,
        [
            (place, issue["frame"], issue["position"], issue["resolved"], messages)
            for place, issue, messages in task.issues
        ],
    )


def _canonical(shape: Any) -> str:
    if isinstance(shape, dict) and shape.get("elements"):
        shape = shape | {"elements": sorted(map(_canonical, shape["elements"]))}
    if isinstance(shape, dict) and shape.get("attributes"):
        shape = shape | {"attributes": sorted(map(_canonical, shape["attributes"]))}
    return json.dumps(shape, sort_keys=True)


# --- the second task --------------------------------------------------------------------------


def _stand(
    connection: Connection,
    before: _Task,
    batch: Batch,
    meta: Json,
    gone: set[int],
    contents: Contents,
) -> int:
    """The second task with its frames and jobs, before anything is on them."""
    replicas = sum(job["type"] == "consensus_replica" for job in before.jobs)
    ordinary = sum(job["type"] == "annotation" for job in before.jobs)
    body = {key: before.task[key] for key in _KEPT_OF_TASK if before.task.get(key) is not None}
    body |= {"bug_tracker": _rebuilding_mark(batch)}
    if replicas:
        body["consensus_replicas"] = replicas // ordinary
    if before.task.get("assignee"):
        body["assignee_id"] = before.task["assignee"]["id"]
    task = connection.call(
        "POST",
        "/api/tasks",
        body=body,
        find=lambda: next(iter(marked(connection, _rebuilding_mark(batch))), None),
    )
    task_id = int(task["id"])
    known = {image_id[:16]: image_id for image_id in batch.image_ids}
    upload(
        connection,
        task_id,
        [
            _empty(number)
            if number in gone
            else _picture(connection, before.task["id"], number, frame["name"], known, contents)
            for number, frame in enumerate(meta["frames"])
        ],
    )
    made(connection, task_id)
    deleted = sorted({*gone, *(meta.get("deleted_frames") or ())})
    connection.call("PATCH", f"/api/tasks/{task_id}/data/meta", body={"deleted_frames": deleted})
    if before.gold:
        connection.call(
            "POST",
            "/api/jobs",
            body={
                "type": GROUND_TRUTH,
                "task_id": task_id,
                "frame_selection_method": "manual",
                "frames": list(before.gold),
            },
            find=lambda: next(
                (job for job in _jobs_of(connection, task_id) if job["type"] == GROUND_TRUTH), None
            ),
        )
    return task_id


def _jobs_of(connection: Connection, task_id: int) -> list[Json]:
    return list(connection.pages("/api/jobs", {"task_id": task_id}))


def _picture(
    connection: Connection,
    task_id: int,
    number: int,
    name: str,
    known: Mapping[str, str],
    contents: Contents,
) -> Picture:
    """A picture that stays: our own bytes, or the server's where the batch has none of the name."""

    def load() -> Upload:
        image_id = known.get(PurePosixPath(name).stem)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if image_id is not None:
            return name, contents.get(image_id), kind
        query = {"type": "frame", "quality": "original", "number": number}
        return name, connection.call("GET", f"/api/tasks/{task_id}/data", query=query), kind

    return Picture(name, _ASSUMED_BYTES, load)


def _empty(number: int) -> Picture:
    """A picture of nothing, under a name that says nothing."""
    name = f"{_EMPTY}{number:06}.png"
    buffer = io.BytesIO()
    Image.new("L", (_EMPTY_SIDE_PX, _EMPTY_SIDE_PX)).save(buffer, "PNG")
    return Picture(name, buffer.tell(), lambda: (name, buffer.getvalue(), "image/png"))


def _carry_over(connection: Connection, before: _Task, task_id: int) -> None:
    """Labels, assignees, stages and states of all jobs; what is there already is replaced."""
    jobs = _second_jobs(connection, before, task_id)
    for job, first, labels in zip(jobs, before.jobs, before.labels, strict=True):
        connection.call("PUT", f"/api/jobs/{job['id']}/annotations/", body=labels)
        standing = _standing_of(first)
        # A change of stage resets the state, so the state comes last.
        for keys in (("assignee", "stage"), ("state",)):
            body = {key: standing[key] for key in keys}
            connection.call("PATCH", f"/api/jobs/{job['id']}", body=body)


def _standing_of(job: Json) -> Json:
    assignee = job.get("assignee")
    return {
        "assignee": assignee["id"] if assignee else None,
        "stage": job["stage"],
        "state": job["state"],
    }


def _second_jobs(connection: Connection, before: _Task, task_id: int) -> list[Json]:
    """The jobs of the second task, in the order of those of the first."""
    jobs = sorted(
        _jobs_of(connection, task_id),
        key=lambda job: (job["type"], job["start_frame"], job["id"]),
    )
    shape = [(job["type"], job["start_frame"], job["stop_frame"]) for job in jobs]
    if shape != [(job["type"], job["start_frame"], job["stop_frame"]) for job in before.jobs]:
        raise IntegrityError(
            f"{connection.name} divides task {task_id} into other jobs than task "
            f"{before.task['id']}, in whose place it was to come: nothing was erased; delete it."
        )
    return jobs


def _carry_issues(connection: Connection, before: _Task, task_id: int) -> None:
    jobs = _second_jobs(connection, before, task_id)
    for place, issue, messages in before.issues:
        made = connection.call(
            "POST",
            "/api/issues",
            body={
                "job": jobs[place]["id"],
                "frame": issue["frame"],
                "position": issue["position"],
                "message": messages[0] if messages else "",
            },
        )
        for message in messages[1:]:
            body = {"issue": made["id"], "message": message}
            connection.call("POST", "/api/comments", body=body)
        if issue["resolved"]:
            connection.call("PATCH", f"/api/issues/{made['id']}", body={"resolved": True})
