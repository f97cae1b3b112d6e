"""A batch goes to a CVAT server: as one task, with what was sent, and nothing that was not."""

import dataclasses
import hashlib
import io
from pathlib import Path

import pytest
from cvat_annotator import Pictures
from cvat_labels import SCHEMA, label_of
from cvat_pusher import Pusher
from PIL import Image
from standin.faults import Kind
from standin.server import Cvat

from annotation.batches import make_batch
from annotation.cvat import tasks
from annotation.cvat.connection import Connection, connect
from annotation.cvat.erase import erase_from_task
from annotation.exchange import image_name
from annotation.outgoing import sendable
from mirrorset.blobs import BlobStore
from mirrorset.errors import SettingsError, UnavailableError
from mirrorset.records import Annotation, Face, Reason


@pytest.fixture
def pusher(cvat: Cvat, tmp_path: Path):
    made: list[Pusher] = []

    def make(images: int = 4, **params: object) -> Pusher:
        made.append(Pusher(cvat, tmp_path, images, **params))
        return made[-1]

    yield make
    for one in made:
        for task in one.tasks():
            tasks.remove(one.connection, task["id"])


def test_a_batch_becomes_one_task_that_holds_what_was_sent(pusher) -> None:
    push = pusher()
    batch = push.push()
    (task,) = push.tasks()
    assert (batch.state, batch.server, batch.task) == ("pushed", push.cvat.url, str(task["id"]))
    assert task["bug_tracker"] == f"mirrorset:{batch.batch_id}"
    assert str(task["project_id"]) == batch.project
    assert push.held(f"/api/tasks/{batch.task}", batch) == push.sent(batch)


def test_the_worst_labelled_frame_is_shown_first(pusher) -> None:
    push = pusher(8)
    batch = push.push()
    uncertain = {label.image_id: label.faces[0].uncertainty for label in push.labels}
    shown = [uncertain[image_id] for image_id in batch.image_ids]
    assert shown == sorted(shown, reverse=True)
    # Nor are they in the order of their names, in which a server puts them by itself.
    assert list(batch.image_ids) != sorted(batch.image_ids)
    meta = push.connection.call("GET", f"/api/tasks/{batch.task}/data/meta")
    assert [frame["name"][:16] for frame in meta["frames"]] == [
        image_id[:16] for image_id in batch.image_ids
    ]


def test_names_say_nothing_of_where_a_picture_came_from(pusher) -> None:
    push = pusher()
    batch = push.push()
    names = {image_name(image) for image in push.pictures.records()}
    meta = push.connection.call("GET", f"/api/tasks/{batch.task}/data/meta")
    assert {frame["name"] for frame in meta["frames"]} == names


def test_pushing_again_changes_nothing_and_asks_little(pusher) -> None:
    push = pusher()
    batch = push.push()
    path = f"/api/tasks/{batch.task}/annotations/"
    push.connection.call("PUT", path, body={"version": 0, "tags": [], "shapes": [], "tracks": []})
    again = connect(push.cvat.url, push.cvat.token)
    assert push.push(connection=again) == batch
    assert push.connection.call("GET", path)["shapes"] == []
    assert len(push.tasks()) == 1
    assert again.requests <= 6


def test_jobs_overlap_and_go_to_people_in_turn(pusher) -> None:
    push = pusher(9, segment_size=4, overlap=1, assignees=["annotator1", "annotator2"])
    if not push.cvat.is_stand_in:
        pytest.skip("names accounts that only the stand-in is sure to have")
    batch = push.push()
    jobs = push.jobs(batch)
    assert [(job["start_frame"], job["stop_frame"]) for job in jobs] == [(0, 3), (3, 6), (6, 8)]
    assert [job["assignee"]["username"] for job in jobs] == [
        "annotator1", "annotator2", "annotator1",
    ]  # fmt: skip
    for job in jobs:
        held = push.held(f"/api/jobs/{job['id']}", batch)
        assert set(held) == set(range(job["start_frame"], job["stop_frame"] + 1))


def test_replicas_and_ground_truth_carry_labels_and_replicas_go_to_others(pusher) -> None:
    push = pusher(
        4, segment_size=2, replicas=1, gold_frames=2, assignees=["annotator1", "annotator2"]
    )
    if not push.cvat.is_stand_in:
        pytest.skip("names accounts that only the stand-in is sure to have")
    batch = push.push()
    jobs = push.jobs(batch)
    assert sorted(job["type"] for job in jobs) == [
        "annotation", "annotation", "consensus_replica", "consensus_replica", "ground_truth",
    ]  # fmt: skip
    by_id = {job["id"]: job for job in jobs}
    sent = push.sent(batch)
    for job in jobs:
        held = push.held(f"/api/jobs/{job['id']}", batch)
        assert held == {frame: sent[frame] for frame in held}
        assert len(held) == 2
        if job["type"] == "consensus_replica":
            parent = by_id[job["parent_job_id"]]
            assert job["assignee"]["username"] != parent["assignee"]["username"]
        if job["type"] == "ground_truth":
            assert job["assignee"] is None


def test_replicas_want_enough_people(pusher) -> None:
    with pytest.raises(SettingsError, match="needs 3 different names in cvat_assignees"):
        pusher(replicas=2, assignees=["annotator1", "annotator2"]).push()


def test_an_unknown_annotator_is_named_and_the_push_goes_on_once_mended(pusher) -> None:
    push = pusher(assignees=["nobody.of.that.name"])
    with pytest.raises(SettingsError, match=r"'nobody\.of\.that\.name'"):
        push.push()
    (task,) = push.tasks()
    push.assignees = ()
    assert push.push().task == str(task["id"])
    assert len(push.tasks()) == 1


def test_a_task_without_frames_is_removed_and_made_anew(pusher) -> None:
    push = pusher()
    project = push.connection.call(
        "POST", "/api/projects", body={"name": "half", "labels": [{"name": "x"}]}
    )
    half = push.connection.call(
        "POST",
        "/api/tasks",
        body={
            "name": "half",
            "project_id": project["id"],
            "bug_tracker": f"{tasks.mark(push.planned.batch_id)}:unfinished",
        },
    )
    push.connection.call("POST", f"/api/tasks/{half['id']}/data/", headers={"Upload-Start": ""})
    batch = push.push()
    (task,) = push.tasks()
    assert str(task["id"]) == batch.task != str(half["id"])
    push.connection.call("DELETE", f"/api/projects/{project['id']}")


def test_a_request_of_an_earlier_task_of_that_number_is_not_believed(pusher) -> None:
    """As after the server went back to a backup: what is asked for is lost, and seems done."""
    push = pusher()
    inside = push.cvat.stand_in.inside
    first = push.push()
    known = inside.app.state.works.known
    number = int(first.task) + 1
    known[f"action=create&target=task&target_id={number}"] = dataclasses.replace(
        known[f"action=create&target=task&target_id={first.task}"], task_id=number
    )
    push.connection.call("DELETE", f"/api/tasks/{first.task}")
    # The task's data are begun and sent; that all is there is what the server does not hear.
    push.cvat.faults.next(Kind.SLOW, 2, method="POST", path="/data/")
    push.cvat.faults.next(Kind.ERROR, method="POST", path="/data/")
    batch = push.push()
    assert batch.image_ids == first.image_ids
    (task,) = push.tasks()
    assert (str(task["id"]), task["size"]) == (batch.task, len(batch.image_ids))
    assert task["id"] > number


def test_a_task_with_frames_is_finished_and_peoples_labels_in_it_stay(pusher) -> None:
    push = pusher()
    batch = push.push()
    path = f"/api/tasks/{batch.task}"
    unfinished = {"bug_tracker": f"{tasks.mark(batch.batch_id)}:unfinished"}
    push.connection.call("PATCH", path, body=unfinished)
    push.connection.call("PUT", f"{path}/annotations/", body={"version": 0})
    assert push.push().task == batch.task
    assert push.held(path, batch) == push.sent(batch)
    drawn = push.connection.call("GET", f"{path}/annotations/")
    drawn["shapes"] = [one for one in drawn["shapes"] if one["type"] == "rectangle"][:1]
    drawn["shapes"][0]["source"] = "manual"
    del drawn["shapes"][0]["id"]
    push.connection.call(
        "PUT", f"{path}/annotations/", body={"version": 0, "shapes": drawn["shapes"]}
    )
    push.connection.call("PATCH", path, body=unfinished)
    assert push.push().task == batch.task
    assert [
        one["source"] for one in push.connection.call("GET", f"{path}/annotations/")["shapes"]
    ] == ["manual"]


def test_of_tasks_made_twice_one_is_kept(pusher) -> None:
    push = pusher()
    batch = push.push()
    double = push.connection.call(
        "POST",
        "/api/tasks",
        body={
            "name": "double",
            "project_id": int(batch.project),
            "bug_tracker": f"{tasks.mark(batch.batch_id)}:unfinished",
        },
    )
    assert push.push() == batch
    assert double["id"] not in [task["id"] for task in push.tasks()]


def test_a_batch_without_images_leaves_nothing_half_made(pusher) -> None:
    push = pusher()
    batch = push.push()
    push.connection.call(
        "PATCH",
        f"/api/tasks/{batch.task}",
        body={"bug_tracker": f"{tasks.mark(batch.batch_id)}:unfinished"},
    )
    empty = push.push(push.planned.model_copy(update={"image_ids": ()}))
    assert (empty.state, empty.task) == ("returned", "")
    assert push.tasks() == []


def test_a_filter_that_is_lost_on_the_way_costs_nobody_a_task(
    pusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a proxy that drops queries: the server then lists other people's tasks as well."""
    push = pusher()
    theirs = {"name": "theirs", "labels": [{"name": "x"}], "bug_tracker": "TRACK-1"}
    their_id = push.connection.call("POST", "/api/tasks", body=theirs)["id"]
    filtered = Connection.pages

    def unfiltered(self: Connection, path: str, query: dict | None = None):
        return filtered(self, path, {k: v for k, v in (query or {}).items() if k != "filter"})

    monkeypatch.setattr(Connection, "pages", unfiltered)
    batch = push.push()
    assert push.push() == batch
    gone = batch.image_ids[0]
    left = erase_from_task(push.connection, batch, {gone}, push.pictures)
    assert left.image_ids == batch.image_ids[1:]
    listed = {task["id"]: task["bug_tracker"] for task in filtered(push.connection, "/api/tasks")}
    assert listed[their_id] == "TRACK-1"
    assert listed[int(left.task)] == tasks.mark(batch.batch_id)
    tasks.remove(push.connection, their_id)


def test_one_broken_picture_is_rejected_and_the_others_go(pusher, tmp_path: Path) -> None:
    push = pusher()
    image_id = push.planned.image_ids[0]
    blobs = BlobStore(str(tmp_path))
    for content in push.pictures.values():
        blobs.put(content)
    (file,) = tmp_path.rglob(image_id)
    file.write_bytes(file.read_bytes()[:-20])
    ready, rejected = sendable(push.planned, push.pictures.records(), blobs, push.labels, SCHEMA)
    assert [(one.item_id, one.reason) for one in rejected] == [(image_id, Reason.CHECKSUM)]
    batch = push.push(ready)
    assert sorted(batch.image_ids) == sorted(set(push.planned.image_ids) - {image_id})
    assert push.held(f"/api/tasks/{batch.task}", batch) == push.sent(batch)


def test_a_picture_that_only_the_server_cannot_read_is_left_out(pusher) -> None:
    push = pusher()
    image_id = push.planned.image_ids[0]
    push.pictures[image_id] = b"no picture at all"
    batch = push.push()
    assert sorted(batch.image_ids) == sorted(set(push.planned.image_ids) - {image_id})
    assert len(push.tasks()) == 1


def test_many_pictures_that_cannot_be_read_are_left_out_whether_the_server_names_them_or_not(
    pusher,
) -> None:
    """A server names one at a time, and of one that is cut off in its head it says a traceback."""
    push = pusher(12)
    broken = push.planned.image_ids[:9]
    for number, image_id in enumerate(broken):
        push.pictures[image_id] = b"no picture" if number % 2 else push.pictures[image_id][:60]
    batch = push.push()
    assert sorted(batch.image_ids) == sorted(set(push.planned.image_ids) - set(broken))
    assert len(push.tasks()) == 1


def test_what_only_the_server_calls_broken_is_left_out_one_after_the_other(
    pusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than there are tries: what is left out is no try without effect."""
    push = pusher(10)
    broken = push.planned.image_ids[:7]
    for image_id in broken:
        push.pictures[image_id] = b"no picture"
    monkeypatch.setattr(tasks, "decode", lambda content: content)
    batch = push.push()
    assert sorted(batch.image_ids) == sorted(set(push.planned.image_ids) - set(broken))
    assert len(push.tasks()) == 1


def test_where_nothing_is_left_no_task_is_either(pusher) -> None:
    push = pusher(3)
    for image_id in push.planned.image_ids:
        push.pictures[image_id] = b"no picture"
    with pytest.raises(UnavailableError, match="cannot identify image file"):
        push.push()
    assert push.tasks() == []


def test_same_pixels_in_two_files_are_kept_apart(pusher) -> None:
    push = pusher(1)
    (content,) = push.pictures.values()
    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).save(buffer, "PNG", compress_level=0)
    other = Pictures(push.pictures)
    other[hashlib.sha256(buffer.getvalue()).hexdigest()] = buffer.getvalue()
    push.pictures = other
    push.labels = [label_of(image_id) for image_id in other]
    push.planned = make_batch(list(other), SCHEMA.version)
    assert len(push.push().image_ids) == 2


def labelled_badly(label: Annotation, **face: object) -> Annotation:
    return label.model_copy(update={"faces": (label.faces[0].model_copy(update=face),)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda face: {"box": (40.0, 4.0, 8.0, 44.0)}, "inverted"),
        (lambda face: {"box": (8.0, 4.0, 90.0, 44.0)}, "out of the image"),
        (lambda face: {"attributes": {"glasses": "monocle"}}, "monocle"),
    ],
)
def test_labels_are_judged_before_they_leave(change, said: str) -> None:
    pictures = Pictures.plain(2)
    labels = [label_of(image_id) for image_id in pictures]
    face: Face = labels[0].faces[0]
    labels[0] = labelled_badly(labels[0], **change(face))
    ready, (rejected,) = sendable(
        make_batch(list(pictures), SCHEMA.version), pictures.records(), pictures, labels, SCHEMA
    )
    assert ready.image_ids == (labels[1].image_id,)
    assert (rejected.item_id, rejected.reason) == (labels[0].image_id, Reason.CHECK_FAILED)
    assert said in rejected.detail


def test_frames_of_many_bytes_go_in_several_requests(
    pusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = pusher(7)
    monkeypatch.setattr(tasks, "_UPLOAD_FILES", 2)
    batch = push.push()
    assert len(batch.image_ids) == 7
    assert push.held(f"/api/tasks/{batch.task}", batch) == push.sent(batch)
