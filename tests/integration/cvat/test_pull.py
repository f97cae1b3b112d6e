"""What people do on a server comes back: job by job, only what changed, and by rule."""

import logging
from collections.abc import Callable

import pytest
from cvat_annotator import HEIGHT, WIDTH, put
from cvat_labels import SCHEMA, label_of
from cvat_room import Room

from annotation.agreement import Work, comparisons
from annotation.conversion import to_shapes
from annotation.cvat import waiting
from annotation.cvat.pull import Stage
from annotation.review import ReviewParams, accept
from mirrorset.records import Annotation

MakeRoom = Callable[..., Room]


def test_nobody_has_looked_so_nothing_comes_back(room: MakeRoom) -> None:
    here = room(segment_size=2)
    returned = here.pull()
    assert returned is not None
    assert returned.images == ()
    assert [job.state for job in returned.jobs] == ["new", "new"]
    assert here.pull() is None


def test_a_completed_job_that_nobody_touched_is_no_evidence(room: MakeRoom) -> None:
    here = room(segment_size=2)
    here.annotator.finish(*here.annotator.jobs(here.batch))
    assert here.frames(here.pull()) == []


def test_one_point_moved_arrives_exactly_with_its_provenance(room: MakeRoom) -> None:
    here = room(segment_size=2)
    first, _ = here.annotator.jobs(here.batch)
    (skeleton,) = here.annotator.shapes(first, 1, "ibug68")
    moved = skeleton["elements"][5]
    name = next(
        one["name"]
        for one in here.annotator.label("ibug68")["sublabels"]
        if one["id"] == moved["label_id"]
    )

    def move(shape: dict) -> None:
        moved["points"] = [31.4159265358979, 27.1828182845905]

    here.annotator.change(first, skeleton, move)
    assert here.frames(here.pull()) == []
    here.annotator.finish(first)
    returned = here.pull()
    assert here.frames(returned) == [1]
    (image,) = returned.images
    points = {one.label: one.point for one in image.shapes.skeletons[0].elements}
    assert points[name] == (31.4159265358979, 27.1828182845905)
    assert (image.origin, image.by, image.is_finished) == ("human", "annotator", True)
    assert image.provenance is not None
    assert (image.provenance.task, image.provenance.job) == (here.batch.task, str(first["id"]))
    assert image.provenance.server_version == here.connection.version
    assert image.provenance.state == "completed"
    assert here.pull() is None


def test_only_jobs_that_changed_are_read(room: MakeRoom) -> None:
    here = room(images=8, segment_size=2)
    jobs = here.annotator.jobs(here.batch)
    here.pull()
    before = here.connection.requests
    assert here.pull() is None
    assert here.connection.requests - before == 1
    here.annotator.tag(jobs[2], 4, "reviewed")
    here.annotator.finish(jobs[2])
    before = here.connection.requests
    assert here.frames(here.pull()) == [4]
    # Jobs, frames, labels, and the annotations of one job.
    assert here.connection.requests - before == 4


def test_a_look_that_changes_nothing_brings_nothing(room: MakeRoom) -> None:
    """Trap: saving the same again bumps the time of change; a hash says what really changed."""
    here = room(segment_size=2)
    job, _ = here.annotator.jobs(here.batch)
    here.annotator.tag(job, 0, "reviewed")
    here.annotator.finish(job)
    assert here.frames(here.pull()) == [0]
    answer = here.connection.call("GET", f"/api/jobs/{job['id']}/annotations/")
    here.connection.call(
        "PATCH",
        f"/api/jobs/{job['id']}/annotations/",
        query={"action": "update"},
        body={"version": 0, "shapes": answer["shapes"], "tags": [], "tracks": []},
        find=lambda: None,
    )
    again = here.pull()
    assert again is not None
    assert again.images == ()
    assert here.pull() is None


@pytest.mark.parametrize(
    ("stage", "state", "done_at", "counts"),
    [
        ("annotation", "in progress", "annotation", False),
        ("annotation", "rejected", "annotation", False),
        ("annotation", "completed", "annotation", True),
        ("annotation", "completed", "acceptance", False),
        ("validation", "new", "annotation", True),
        ("validation", "new", "validation", False),
        ("acceptance", "new", "validation", True),
        ("acceptance", "completed", "acceptance", True),
    ],
)
def test_stage_and_state_decide(
    room: MakeRoom, stage: str, state: str, done_at: Stage, counts: bool
) -> None:
    """Trap: a change of stage resets the state to new."""
    here = room()
    (job,) = here.annotator.jobs(here.batch)
    here.annotator.tag(job, 2, "reviewed")
    here.annotator.set(job, stage=stage)
    here.annotator.set(job, state=state)
    assert here.frames(here.pull(done_at)) == ([2] if counts else [])


def test_what_is_changed_after_acceptance_counts_anew_and_is_logged(
    room: MakeRoom, caplog: pytest.LogCaptureFixture
) -> None:
    here = room()
    (job,) = here.annotator.jobs(here.batch)
    here.annotator.tag(job, 0, "reviewed")
    here.annotator.finish(job)
    here.pull()
    (box,) = here.annotator.shapes(job, 0, "face")
    here.annotator.change(job, box, lambda shape: shape.update(points=[9.5, 4, 48, 44]))
    with caplog.at_level(logging.WARNING):
        returned = here.pull()
    assert here.frames(returned) == [0]
    assert returned.images[0].shapes.rectangles[0].box == (9.5, 4, 48, 44)
    assert "was changed after it was taken over" in caplog.text

    here.annotator.set(job, state="in progress")
    (box,) = here.annotator.shapes(job, 0, "face")
    here.annotator.change(job, box, lambda shape: shape.update(points=[1.5, 4, 48, 44]))
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert here.frames(here.pull()) == []
    assert "at work again" in caplog.text
    here.annotator.finish(job)
    returned = here.pull()
    assert returned.images[0].shapes.rectangles[0].box == (1.5, 4, 48, 44)


def test_of_overlapping_jobs_the_furthest_counts(
    room: MakeRoom, caplog: pytest.LogCaptureFixture
) -> None:
    """Trap: overlapping jobs keep a copy each, and the task shows both where one was edited."""
    here = room(images=5, segment_size=3, overlap=1)
    first, second = here.annotator.jobs(here.batch)
    assert first["stop_frame"] == second["start_frame"] == 2
    for job, left in ((first, 5.0), (second, 6.0)):
        (box,) = here.annotator.shapes(job, 2, "face")
        here.annotator.change(job, box, lambda shape, x=left: shape.update(points=[x, 4, 48, 44]))
    here.annotator.finish(second)
    returned = here.pull()
    assert [image.shapes.rectangles[0].box[0] for image in returned.images] == [6.0]
    # The first is done later, and at the same stage: it counts, and that is said.
    here.annotator.finish(first)
    with caplog.at_level(logging.WARNING):
        returned = here.pull()
    assert [image.shapes.rectangles[0].box[0] for image in returned.images] == [5.0]
    assert "differing labels" in caplog.text
    # Further than the first, though not changed.
    here.annotator.set(second, stage="validation")
    returned = here.pull()
    assert [image.shapes.rectangles[0].box[0] for image in returned.images] == [6.0]
    (box,) = here.annotator.shapes(first, 2, "face")
    here.annotator.change(first, box, lambda shape: shape.update(points=[7.0, 4, 48, 44]))
    returned = here.pull()
    assert [image.shapes.rectangles[0].box[0] for image in returned.images] == [6.0]


def test_a_stop_counts_at_once_and_as_long_as_any_copy_has_it(room: MakeRoom) -> None:
    here = room(images=5, segment_size=3, overlap=1)
    first, second = here.annotator.jobs(here.batch)
    here.annotator.tag(first, 2, "do_not_use", "minor")
    returned = here.pull()
    assert here.frames(returned) == [2]
    assert not returned.images[0].is_finished
    # Somebody else finishes the other copy without it.
    here.annotator.tag(second, 2, "reviewed")
    here.annotator.finish(second)
    returned = here.pull()
    (image,) = returned.images
    assert (image.by, image.is_finished) == ("annotator", True)
    assert {tag.label for tag in image.shapes.tags} == {"lighting", "reviewed", "do_not_use"}
    # Whoever set it takes it back.
    here.annotator.untag(first, 2, "do_not_use")
    (image,) = here.pull().images
    assert {tag.label for tag in image.shapes.tags} == {"lighting", "reviewed"}


def test_replicas_and_ground_truth_come_back_as_such(room: MakeRoom) -> None:
    here = room(consensus_replicas=2)
    replicas = here.annotator.jobs(here.batch, "consensus_replica")
    assert len(replicas) == 2
    for replica in replicas:
        here.annotator.draw(replica, 1, "face", "rectangle", [1, 2, 30, 40])
    here.annotator.finish(*replicas)
    gold = here.connection.call(
        "POST",
        "/api/jobs",
        body={
            "type": "ground_truth",
            "task_id": int(here.batch.task),
            "frame_selection_method": "manual",
            "frames": [1, 3],
        },
        find=lambda: None,
    )
    here.annotator.draw(gold, 3, "face", "rectangle", [1, 2, 30, 41])
    here.annotator.finish(gold)
    returned = here.pull()
    assert sorted((image.origin, image.by) for image in returned.images) == [
        ("gold", "annotator of ground truth"),
        ("replica", "annotator of replica 1"),
        ("replica", "annotator of replica 2"),
    ]
    of_gold = next(job for job in returned.jobs if job.kind == "ground_truth")
    assert of_gold.image_ids == (here.batch.image_ids[1], here.batch.image_ids[3])


def test_a_merge_of_replicas_is_not_one_more_look(room: MakeRoom) -> None:
    """Trap: a merge overwrites the parent job, which then says what the replicas say."""
    here = room(consensus_replicas=2)
    users = {one["username"]: one["id"] for one in here.connection.pages("/api/users")}
    (parent,) = here.annotator.jobs(here.batch)
    replicas = here.annotator.jobs(here.batch, "consensus_replica")
    here.annotator.set(parent, assignee=users["annotator1"])
    one = here.batch.image_ids[1]
    shapes = to_shapes(label_of(one), "1.png", WIDTH, HEIGHT, SCHEMA)
    for replica in replicas:
        put(here.connection, f"/api/jobs/{replica['id']}", here.project, {1: shapes})
        (box,) = here.annotator.shapes(replica, 1, "face")
        here.annotator.change(replica, box, lambda shape: shape.update(points=[9, 4, 48, 44]))
        here.annotator.tag(replica, 1, "reviewed")
    here.annotator.finish(*replicas)
    body = {"task_id": int(here.batch.task)}
    waiting.run(here.connection, "/api/consensus/merges", "a merge", body=body)
    here.annotator.finish(parent)
    returned = here.pull()
    back = [image for image in returned.images if image.image_id == one]
    assert sorted((image.origin, image.by) for image in back) == [
        ("human", "consensus"),
        ("replica", "annotator of replica 1"),
        ("replica", "annotator of replica 2"),
    ]
    images, labels = here.pictures.records(), [label_of(image) for image in here.pictures]
    params = ReviewParams()
    records = accept(here.batch, returned, images, labels, SCHEMA, params=params)
    works = [Work(record, "") for record in records if isinstance(record, Annotation)]
    compared = [each for each in comparisons(works, SCHEMA) if each.image_id == one]
    assert [each.against for each in compared] == ["replica"]
    assert not any(name == "consensus" for each in compared for _, name in each.places)


def test_annotators_stay_under_their_pseudonyms(room: MakeRoom) -> None:
    here = room()
    (job,) = here.annotator.jobs(here.batch)
    users = {one["username"]: one["id"] for one in here.connection.pages("/api/users")}
    here.annotator.set(job, assignee=users["annotator1"])
    here.annotator.tag(job, 0, "reviewed")
    here.annotator.finish(job)
    returned = here.pull()
    assert [image.by for image in returned.images] == ["annotator-1"]
    # A reviewer is assigned, and stays a reviewer.
    here.annotator.set(job, stage="validation", assignee=users["annotator2"])
    (box,) = here.annotator.shapes(job, 0, "face")
    here.annotator.change(job, box, lambda shape: shape.update(points=[9, 4, 48, 44]))
    returned = here.pull()
    assert [image.by for image in returned.images] == ["annotator-1"]
    assert "annotator1" not in returned.model_dump_json()


def test_deleted_frames_and_foreign_names_are_rejected(room: MakeRoom) -> None:
    here = room()
    (job,) = here.annotator.jobs(here.batch)
    here.annotator.tag(job, 1, "reviewed")
    here.annotator.tag(job, 2, "do_not_use", "intimate")
    here.annotator.finish(job)
    path = f"/api/tasks/{here.batch.task}/data/meta"
    here.connection.call("PATCH", path, body={"deleted_frames": [1, 2]})
    stranger = here.batch.image_ids[3]
    here.batch = here.batch.model_copy(update={"image_ids": here.batch.image_ids[:3]})
    returned = here.pull()
    assert [(image.is_finished, here.frames(returned)) for image in returned.images] == [
        (False, [2])
    ]
    details = {one.item_id: one.detail for one in returned.rejected}
    assert "belongs to no image" in details[f"{stranger[:16]}.png"]
    assert "was deleted" in details[here.batch.image_ids[1]]


def test_a_task_that_is_gone_keeps_nothing_else_back(room: MakeRoom) -> None:
    here = room()
    here.connection.call("DELETE", f"/api/tasks/{here.batch.task}")
    returned = here.pull()
    assert returned is not None
    assert "no such task any more" in returned.rejected[0].detail
