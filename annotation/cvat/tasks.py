"""One batch, one task on a CVAT server: found by its mark, made, or what is half made removed.

The mark stands in the task's tracker field, which can be searched. It is there from the task's
first moment, as that of an unfinished one, and becomes the batch's own when all is done:

    POST task (unfinished mark) → upload → frames → jobs → labels → assignees → PATCH the mark

A push that was killed at any of these arrows is taken up by the next. A finished task is never
touched again: annotators are at work on it. An unfinished one without frames is removed and made
anew, for a server takes data once; one with frames goes on where it was.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from pydantic_core import to_json

from annotation.batches import BatchParams
from annotation.cvat.connection import PARALLEL, AnswerError, Connection, Upload
from annotation.cvat.waiting import FailedError, GoneError, request_path, wait
from annotation.exchange import Contents
from annotation.outgoing import Outgoing
from mirrorset.errors import InputError, OverdueError, UnavailableError
from mirrorset.pixels import decode
from mirrorset.records import Record

_log = logging.getLogger(__name__)

Json = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R")

_UNFINISHED = ":unfinished"
_TRIES = 5
# A request of several files; the server's own SDK stays below 100 MB.
_UPLOAD_BYTES = 32_000_000
_UPLOAD_FILES = 50
_IMAGE_QUALITY = 95


class TaskPlan(Record):
    """What a task is to be. frames: in their order, which the server keeps. assignees: user names,
    to whom its jobs go in turn.
    """

    batch_id: str
    name: str
    project_id: int
    frames: tuple[Outgoing, ...]
    params: BatchParams
    assignees: tuple[str, ...] = ()


class Picture(NamedTuple):
    """A picture to upload, read when its turn comes."""

    name: str
    size_bytes: int
    load: Callable[[], Upload]


class Frames(Record):
    """The frames of a task that is there. names: by frame number.

    is_fresh: made just now, so that nobody can have drawn on it.
    """

    task_id: int
    names: dict[int, str]
    is_finished: bool = False
    is_fresh: bool = False


def mark(batch_id: str) -> str:
    """What the tracker field of a batch's task says once it is finished."""
    return f"mirrorset:{batch_id}"


def find(connection: Connection, batch_id: str) -> Json | None:
    """The task of the batch, finished or not; of several unfinished ones all but one are removed.

    There are several where an answer was lost and the server made the task all the same.
    """
    found = sorted(
        # Without an organisation the server shows the tasks of all of them.
        (
            one
            for one in marked(connection, mark(batch_id), _unfinished_mark(batch_id))
            if connection.organisation or one["organization_id"] is None
        ),
        key=lambda task: (task["bug_tracker"] != mark(batch_id), task["id"]),
    )
    for double in found[1:]:
        if double["bug_tracker"] == mark(batch_id):
            _log.warning(
                "Tasks %s and %s on %s are both of batch %s, as when two places push it at once: "
                "%s counts; remove the other there.",
                *(found[0]["id"], double["id"], connection.name, batch_id, found[0]["id"]),
            )
        else:
            _log.warning("Task %s on %s was made twice: removed.", double["id"], connection.name)
            remove(connection, double["id"])
    return found[0] if found else None


def marked(connection: Connection, *marks: str) -> list[Json]:
    """The tasks whose tracker field says one of `marks`.

    The filter is the server's; what comes is looked at all the same, for a task that is taken for a
    double is removed, and one that a lost filter lets through may be somebody else's.
    """
    wanted = [{"==": [{"var": "tracker_link"}, text]} for text in marks]
    listed = connection.pages("/api/tasks", {"filter": to_json({"or": wanted}).decode()})
    return [task for task in listed if task["bug_tracker"] in marks]


def remove(connection: Connection, task_id: int) -> None:
    """Delete a task; one that is gone is no error."""
    connection.call("DELETE", f"/api/tasks/{task_id}", also=(404,))


def withdraw(connection: Connection, batch_id: str) -> None:
    """Remove the batch's task if it was never finished."""
    task = find(connection, batch_id)
    if task is not None and task["bug_tracker"] != mark(batch_id):
        remove(connection, task["id"])


def stand(connection: Connection, plan: TaskPlan, contents: Contents) -> Frames:
    """The batch's task with its frames, made where there is none, before labels are put on it.

    A picture that the server, or this machine after it, cannot read is left out: its frame is
    missing. Raises UnavailableError where the server does not make the task, as often as it is
    tried, and OverdueError where it takes too long: the next push takes up what it has made by
    then.
    """
    frames, tries = plan.frames, 0
    while tries < _TRIES:
        tries += 1
        task = find(connection, plan.batch_id)
        if task is not None:
            if there := _frames_of(connection, task, frames):
                return there
            remove(connection, task["id"])
        task_id = _create(connection, plan)
        try:
            upload(connection, task_id, [_picture(one, contents) for one in frames])
            names = made(connection, task_id)
        except GoneError:
            # What became of it, the task itself says.
            continue
        except FailedError as failure:
            left = tuple(one for one in frames if _is_readable(one, failure, contents))
            if not left or (left == frames and tries == _TRIES):
                remove(connection, task_id)
                raise
            # It goes on as long as something is left out: that is no try without effect.
            tries = tries if left == frames else 0
            frames = left
            _log.warning("%s It is made anew.", failure)
        except OverdueError:
            # No lost answer: to look for the task would be to wait as long once more.
            raise
        except UnavailableError as error:
            if tries == _TRIES or (isinstance(error, AnswerError) and error.status == 403):
                raise
            _log.warning("%s It is looked for once more.", error)
        else:
            return Frames(task_id=task_id, names=names, is_fresh=True)
    raise UnavailableError(
        f"{connection.name} did not make the task of batch {plan.batch_id} in {_TRIES} tries: "
        "look at its log, and push again."
    )


def made(connection: Connection, task_id: int) -> dict[int, str]:
    """Wait until the frames of a task are made; their names by number.

    Raises as `wait` does; GoneError, too, where the request has finished and there is no frame:
    then it was another, as of an upload that a kill cut off, or of a task that had the number
    before the server went back to a backup.
    """
    what = f"making task {task_id}"
    wait(connection, _creation(task_id), what)
    if not connection.call("GET", f"/api/tasks/{task_id}").get("size"):
        raise GoneError(
            f"{connection.name} has finished {what}, which has no frame: run this again."
        )
    return _names(connection, task_id)


def finish(connection: Connection, plan: TaskPlan, there: Frames) -> None:
    """Mark the task as finished: from now on it is the annotators'."""
    connection.call(
        "PATCH", f"/api/tasks/{there.task_id}", body={"bug_tracker": mark(plan.batch_id)}
    )


# --- the task and its frames ------------------------------------------------------------------


def _unfinished_mark(batch_id: str) -> str:
    return mark(batch_id) + _UNFINISHED


def _creation(task_id: int) -> str:
    """The id of the background request that makes a task's frames."""
    return f"action=create&target=task&target_id={task_id}"


def _create(connection: Connection, plan: TaskPlan) -> int:
    params = plan.params
    body: Json = {
        "name": plan.name,
        "project_id": plan.project_id,
        "bug_tracker": _unfinished_mark(plan.batch_id),
        "segment_size": params.segment_size,
        "overlap": params.overlap,
    }
    if params.replicas:
        body["consensus_replicas"] = params.replicas
    task = connection.call(
        "POST", "/api/tasks", body=body, find=lambda: find(connection, plan.batch_id)
    )
    return int(task["id"])


def _frames_of(connection: Connection, task: Json, wanted: Sequence[Outgoing]) -> Frames | None:
    """The frames of a task found; None where it has none, or others than these."""
    is_finished = not task["bug_tracker"].endswith(_UNFINISHED)
    try:
        if is_finished or task.get("size"):
            names = _names(connection, task["id"])
        else:
            names = made(connection, task["id"])
    except (GoneError, FailedError):
        return None
    if not is_finished and not set(names.values()) <= {one.shapes.name for one in wanted}:
        return None
    return Frames(task_id=task["id"], names=names, is_finished=is_finished)


def _names(connection: Connection, task_id: int) -> dict[int, str]:
    meta = connection.call("GET", f"/api/tasks/{task_id}/data/meta")
    return {
        number: str(frame["name"])
        for number, frame in enumerate(meta["frames"], start=meta.get("start_frame") or 0)
    }


def upload(connection: Connection, task_id: int, pictures: Sequence[Picture]) -> None:
    """Send the pictures, several in a request and some requests at once, and have frames made.

    Frames are in the order of `pictures`; `made` waits for them. A server refuses a file that it
    has already, so a lost answer is no reason to send one again: the task is then made anew.
    """
    path = f"/api/tasks/{task_id}/data/"

    def send(share: Sequence[Picture]) -> None:
        files = [(f"client_files[{number}]", one.load()) for number, one in enumerate(share)]
        connection.call("POST", path, files=files, headers={"Upload-Multiple": ""})

    connection.call("POST", path, headers={"Upload-Start": ""})
    in_parallel(send, list(_shares(pictures)))
    connection.call(
        "POST",
        path,
        body={
            "image_quality": _IMAGE_QUALITY,
            "use_cache": True,
            "sorting_method": "predefined",
            "upload_file_order": [one.name for one in pictures],
        },
        headers={"Upload-Finish": ""},
        find=lambda: _request(connection, task_id),
    )


def _request(connection: Connection, task_id: int) -> Json | None:
    """The background request of a task, where the server knows it."""
    try:
        answer = connection.call("GET", request_path(_creation(task_id)))
    except AnswerError as error:
        if error.status != 404:
            raise
        return None
    return dict(answer)


def _shares(pictures: Sequence[Picture]) -> Iterator[list[Picture]]:
    """The pictures in requests of limited size; a larger one has one to itself."""
    share: list[Picture] = []
    size_bytes = 0
    for one in pictures:
        is_full = size_bytes + one.size_bytes > _UPLOAD_BYTES or len(share) == _UPLOAD_FILES
        if share and is_full:
            yield share
            share, size_bytes = [], 0
        share.append(one)
        size_bytes += one.size_bytes
    if share:
        yield share


def _is_readable(one: Outgoing, failure: FailedError, contents: Contents) -> bool:
    """Whether neither the server calls this picture broken, one in an answer, nor we do."""
    if one.shapes.name in failure.said:
        return False
    try:
        decode(contents.get(one.image.image_id))
    except InputError:
        return False
    return True


def _picture(one: Outgoing, contents: Contents) -> Picture:
    name, image = one.shapes.name, one.image
    return Picture(
        name, image.size_bytes, lambda: (name, contents.get(image.image_id), image.media_type)
    )


def in_parallel(do: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What `do` makes of each, some at a time, in their order."""
    if len(items) < 2:
        return [do(item) for item in items]
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(do, items))
