"""Pictures that may not be shown are hidden from all who have them, as long as that holds.

A frame that is deleted is passed over by CVAT's player, in every job of the task, and its labels
stay. Whoever may delete one may restore it, and its picture stays on the server: `erase` takes it
away.
"""

from collections.abc import Collection

from annotation.cvat.connection import Connection
from annotation.cvat.frames import task_frames
from mirrorset.records import Batch


def hide(
    connection: Connection, batch: Batch, image_ids: Collection[str], before: Collection[str]
) -> set[str]:
    """Delete the frames of these images from the batch's task, and restore those of `before`, which
    an earlier call deleted, where they are no longer among them. Returns the images hidden now, but
    for those that somebody else has deleted before us.

    Raises as `Connection.call` does; a task that is gone shows nothing.
    """
    frames = task_frames(connection, batch)
    if frames is None:
        return set()
    unwanted = {number for number, one in frames.image_ids.items() if one in image_ids}
    ours = {number for number, one in frames.image_ids.items() if one in before}
    deleted = (frames.deleted - ours) | unwanted
    if deleted != frames.deleted:
        body = {"deleted_frames": sorted(deleted)}
        connection.call("PATCH", f"/api/tasks/{batch.task}/data/meta", body=body)
    return {frames.image_ids[number] for number in unwanted - (frames.deleted - ours)}
