"""Pictures that may no longer be shown are hidden from all who have them in a task.

A frame that is deleted is passed over by CVAT's player, in every job of the task, and its labels
stay. Whoever may delete one may restore it, and its picture stays on the server: `erase` takes it
away.
"""

from collections.abc import Collection

from annotation.cvat.connection import AnswerError, Connection
from annotation.cvat.pull import read_frames
from mirrorset.records import Batch


def hide(connection: Connection, batch: Batch, image_ids: Collection[str]) -> int:
    """Delete the frames of these images from the batch's task; returns how many were on show.

    Raises as `Connection.call` does; a task that is gone shows nothing.
    """
    path = f"/api/tasks/{batch.task}/data/meta"
    try:
        frames = read_frames(connection.call("GET", path), batch.image_ids)
    except AnswerError as error:
        if error.status != 404:
            raise
        return 0
    unwanted = {number for number, one in frames.image_ids.items() if one in image_ids}
    on_show = unwanted - frames.deleted
    if on_show:
        body = {"deleted_frames": sorted(frames.deleted | on_show)}
        connection.call("PATCH", path, body=body)
    return len(on_show)
