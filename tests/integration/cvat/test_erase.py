"""An image leaves a task, and everything else in it stays as it was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cvat_labels import SCHEMA
from cvat_room import Room, seen, without

from annotation.conversion import from_shapes
from annotation.cvat.connection import Connection
from annotation.cvat.erase import erase_from_task
from annotation.cvat.tasks import find, mark
from mirrorset.errors import IntegrityError

MakeRoom = Callable[..., Room]
Json = dict[str, Any]


def busy(make: MakeRoom) -> Room:
    """A task with overlap, replicas, ground truth, people, stages, edits, issues, a deletion."""
    room = make(images=7, segment_size=4, overlap=1, consensus_replicas=2)
    call, annotator = room.connection.call, room.annotator
    gold = call(
        "POST",
        "/api/jobs",
        body={
            "type": "ground_truth",
            "task_id": int(room.batch.task),
            "frame_selection_method": "manual",
            "frames": [1, 2, 5],
        },
        find=lambda: None,
    )
    annotator.draw(gold, 2, "face", "rectangle", [1, 2, 30, 40])
    annotator.draw(gold, 5, "face", "rectangle", [1, 2, 30, 41])
    users = {one["username"]: one["id"] for one in room.connection.pages("/api/users")}
    first, second = annotator.jobs(room.batch)
    annotator.set(first, assignee=users["annotator1"])
    (box,) = annotator.shapes(first, 3, "face")
    annotator.change(first, box, lambda shape: shape.update(points=[9.123456789, 4, 48, 44]))
    annotator.draw(second, 4, "face", "polygon", [1, 2, 30, 40, 5, 6])
    annotator.tag(second, 5, "reviewed")
    annotator.set(second, stage="acceptance", assignee=users["annotator2"])
    annotator.set(second, state="rejected")
    replica = annotator.jobs(room.batch, "consensus_replica")[0]
    annotator.draw(replica, 1, "face", "rectangle", [1, 2, 30, 42])
    annotator.finish(replica, gold)
    for frame in (1, 2):
        issue = {"job": first["id"], "frame": frame, "position": [1, 1, 5, 5], "message": "off"}
        call("POST", "/api/issues", body=issue, find=lambda: None)
    call("PATCH", f"/api/tasks/{room.batch.task}/data/meta", body={"deleted_frames": [6]})
    return room


def test_all_else_stays(room: MakeRoom) -> None:
    here = busy(room)
    before = seen(here.connection, here.batch)
    gone = here.batch.image_ids[2]
    batch = erase_from_task(here.connection, here.batch, {gone}, here.pictures)
    assert gone not in batch.image_ids
    assert len(batch.image_ids) == 6
    assert batch.task != here.batch.task
    after = seen(here.connection, batch)
    assert after == without(before, f"{gone[:16]}.png")
    assert gone[:16] not in repr(after)
    (task,) = here.connection.pages("/api/tasks", {"project_id": here.project})
    assert str(task["id"]) == batch.task
    # Restoring what is deleted brings no picture back.
    here.connection.call("PATCH", f"/api/tasks/{batch.task}/data/meta", body={"deleted_frames": []})
    query = {"type": "frame", "quality": "original", "number": 2}
    shown = here.connection.call("GET", f"/api/tasks/{batch.task}/data", query=query)
    assert shown != here.pictures[gone]
    assert (
        here.connection.call("GET", f"/api/tasks/{batch.task}/data", query=query | {"number": 3})
        == (here.pictures[here.batch.image_ids[3]])
    )


def test_the_only_frame_of_known_truth_takes_its_job_along(room: MakeRoom) -> None:
    here = room()
    gold = {
        "type": "ground_truth",
        "task_id": int(here.batch.task),
        "frame_selection_method": "manual",
        "frames": [1],
    }
    here.connection.call("POST", "/api/jobs", body=gold, find=lambda: None)
    gone = here.batch.image_ids[1]
    batch = erase_from_task(here.connection, here.batch, {gone}, here.pictures)
    assert gone not in batch.image_ids
    after = seen(here.connection, batch)
    assert gone[:16] not in repr(after)
    assert {job["kind"] for job in after["jobs"]} == {"annotation"}


def test_again_changes_nothing(room: MakeRoom) -> None:
    here = room()
    gone = {here.batch.image_ids[0]}
    batch = erase_from_task(here.connection, here.batch, gone, here.pictures)
    assert erase_from_task(here.connection, here.batch, gone, here.pictures) == batch
    assert erase_from_task(here.connection, batch, gone, here.pictures) == batch


def test_one_after_another(room: MakeRoom) -> None:
    here = room()
    first, second, *rest = here.batch.image_ids
    batch = erase_from_task(here.connection, here.batch, {first}, here.pictures)
    batch = erase_from_task(here.connection, batch, {second}, here.pictures)
    assert batch.image_ids == tuple(rest)
    names = seen(here.connection, batch)["names"]
    assert names == ["erased-000000.png", "erased-000001.png", *(f"{x[:16]}.png" for x in rest)]


def test_a_job_of_which_nothing_is_left_keeps_no_pull_back(room: MakeRoom) -> None:
    here = room(segment_size=2)
    here.batch = erase_from_task(
        here.connection, here.batch, here.batch.image_ids[:2], here.pictures
    )
    second = here.annotator.jobs(here.batch)[1]
    here.annotator.tag(second, 3, "reviewed")
    here.annotator.finish(second)
    returned = here.pull()
    assert returned is not None
    assert [one.image_id for one in returned.images] == [here.batch.image_ids[1]]
    assert here.pull() is None


def test_nothing_left_is_no_task(room: MakeRoom) -> None:
    here = room(images=2)
    batch = erase_from_task(here.connection, here.batch, here.batch.image_ids, here.pictures)
    assert (batch.image_ids, batch.task) == ((), "")
    assert list(here.connection.pages("/api/tasks", {"project_id": here.project})) == []


def test_what_is_pulled_afterwards_is_what_was_there(room: MakeRoom) -> None:
    here = room(segment_size=2)
    first, second = here.annotator.jobs(here.batch)
    here.annotator.tag(first, 1, "reviewed")
    here.annotator.tag(second, 3, "reviewed")
    here.annotator.finish(first)
    before = here.pull()
    assert before is not None
    here.batch = erase_from_task(
        here.connection, here.batch, {here.batch.image_ids[0]}, here.pictures
    )
    here.known = ()
    after = here.pull()
    assert after is not None
    assert after.rejected == ()
    (one,), (other,) = before.images, after.images
    assert one.image_id == other.image_id
    assert from_shapes(one.image_id, one.shapes, SCHEMA) == from_shapes(
        one.image_id, other.shapes, SCHEMA
    )


def test_what_is_saved_meanwhile_is_carried_over(
    room: MakeRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = room()
    (job,) = here.annotator.jobs(here.batch)
    real = Connection.call
    saved = []

    def call(self: Connection, method: str, path: str, **more: Any) -> Any:
        if method == "PUT" and not saved:
            saved.append(path)
            here.annotator.tag(job, 3, "do_not_use", "distress")
        return real(self, method, path, **more)

    monkeypatch.setattr(Connection, "call", call)
    batch = erase_from_task(here.connection, here.batch, {here.batch.image_ids[0]}, here.pictures)
    (job,) = here.annotator.jobs(batch)
    tags = here.connection.call("GET", f"/api/jobs/{job['id']}/annotations/")["tags"]
    stop = here.annotator.label("do_not_use")["id"]
    assert [tag["frame"] for tag in tags if tag["label_id"] == stop] == [3]


def test_a_second_task_that_is_not_the_first_is_refused(
    room: MakeRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = room()
    real = Connection.call

    def call(self: Connection, method: str, path: str, **more: Any) -> Any:
        if method == "PUT":
            more["body"] = more["body"] | {"shapes": more["body"]["shapes"][1:]}
        return real(self, method, path, **more)

    monkeypatch.setattr(Connection, "call", call)
    with pytest.raises(IntegrityError, match="nothing was erased"):
        erase_from_task(here.connection, here.batch, {here.batch.image_ids[0]}, here.pictures)
    task = find(here.connection, here.batch.batch_id)
    assert task is not None
    assert str(task["id"]) == here.batch.task


class Killed(BaseException):
    """As if the process had ended."""


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, number: int, *, is_heard: bool) -> Iterator[None]:
    """The process ends at the request of this number, before or (is_heard) after it is served."""
    real = Connection.call
    made = []

    def call(self: Connection, method: str, path: str, **more: Any) -> Any:
        made.append(path)
        if len(made) == number:
            if is_heard:
                real(self, method, path, **more)
            raise Killed
        return real(self, method, path, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "call", call)
        yield


@pytest.mark.parametrize(("first", "is_heard"), [(1, False), (2, True), (3, True)])
def test_killed_anywhere_and_run_again(
    room: MakeRoom, monkeypatch: pytest.MonkeyPatch, first: int, is_heard: bool
) -> None:
    """At every third request: never two tasks in the end, never none, and nothing lost."""
    number = first - 3
    is_through = False
    while not is_through:
        number += 3
        here = room(images=3, segment_size=2)
        (job, _) = here.annotator.jobs(here.batch)
        here.annotator.tag(job, 1, "reviewed")
        here.annotator.finish(job)
        before = seen(here.connection, here.batch)
        gone = here.batch.image_ids[0]
        try:
            with killed_at(monkeypatch, number, is_heard=is_heard):
                erase_from_task(here.connection, here.batch, {gone}, here.pictures)
            is_through = True
        except Killed:
            pass
        batch = erase_from_task(here.connection, here.batch, {gone}, here.pictures)
        assert seen(here.connection, batch) == without(before, f"{gone[:16]}.png")
        (task,) = here.connection.pages("/api/tasks", {"project_id": here.project})
        assert task["bug_tracker"] == mark(batch.batch_id)
        here.close()
        here.close = lambda: None
    assert number > 15
