"""Which frames a task and its jobs have, and which images of the batch they are."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from annotation.cvat.connection import AnswerError, Connection
from annotation.cvat.shape_json import Frame
from mirrorset.records import Batch, Record

#: The type of the job whose frames are picked from the whole task: its labels set the standard.
GROUND_TRUTH = "ground_truth"


class TaskFrames(Record):
    """The frames of a task. image_ids: by frame number, of those that are images of the batch."""

    frames: dict[int, Frame]
    image_ids: dict[int, str]
    deleted: frozenset[int]
    strangers: tuple[str, ...]


def task_frames(connection: Connection, batch: Batch) -> TaskFrames | None:
    """The frames of the batch's task; None where the server has no such task any more."""
    try:
        meta = connection.call("GET", f"/api/tasks/{batch.task}/data/meta")
    except AnswerError as error:
        if error.status != 404:
            raise
        return None
    return read_frames(meta, batch.image_ids)


def read_frames(meta: Mapping[str, Any], image_ids: Sequence[str]) -> TaskFrames:
    """The frames that `GET /api/tasks/{id}/data/meta` lists, matched with images by their names."""
    by_stem = {image_id[:16]: image_id for image_id in image_ids}
    frames = {
        number: Frame(name=one["name"], width_px=one["width"], height_px=one["height"])
        for number, one in enumerate(meta["frames"], start=meta.get("start_frame") or 0)
    }
    deleted = frozenset(meta.get("deleted_frames") or ())
    stems = {number: PurePosixPath(frame.name).stem for number, frame in frames.items()}
    return TaskFrames(
        frames=frames,
        image_ids={number: by_stem[stem] for number, stem in stems.items() if stem in by_stem},
        deleted=deleted,
        # A deleted one stands where an image was erased.
        strangers=tuple(
            frames[number].name
            for number, stem in stems.items()
            if stem not in by_stem and number not in deleted
        ),
    )


def frames_of(connection: Connection, listed: Mapping[str, Any]) -> Sequence[int]:
    """The numbers of the frames in a job that `GET /api/jobs` lists.

    Those of ground truth are picked from the whole task, and only the job itself says which.
    """
    every = range(listed["start_frame"], listed["stop_frame"] + 1)
    if listed["type"] != GROUND_TRUTH:
        return every
    meta = connection.call("GET", f"/api/jobs/{listed['id']}/data/meta")
    picked: list[int] | None = meta.get("included_frames")
    return every if picked is None else picked
