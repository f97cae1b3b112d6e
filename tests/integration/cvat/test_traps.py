"""How a real CVAT server surprises: every trap that was recorded, with the test that shows it.

`TRAPS` is the list. A trap that no other test concerns is shown here: the stand-in does what was
recorded, and our code deals with it or, as `NEEDED` says, never makes that call.
"""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from cvat_annotator import Pictures
from cvat_labels import SCHEMA
from cvat_room import Room
from PIL import Image
from standin.server import Cvat

from annotation.cvat import tasks, waiting
from annotation.cvat.connection import NEEDED, AnswerError, Connection, connect
from annotation.exchange import BY_PEOPLE, image_name
from annotation.outgoing import unfit
from annotation.shapes import ImageShapes, MaskShape
from mirrorset.errors import SettingsError

TESTS = Path(__file__).parents[2]

#: The trap, and file and name of its test.
TRAPS = {
    "a session's POST without CSRF token is 403": "traps:sessions_and_read_only_tokens",
    "a read-only token is 403 on write": "traps:sessions_and_read_only_tokens",
    "expired, revoked and unknown tokens are the same 401": "traps:bad_tokens_are_one_401",
    "tokens cannot mint tokens": "traps:bad_tokens_are_one_401",
    "without X-Organization everything is shown": "schema:an_organisation_has_a_project_of_its_own",
    "the order of a skeleton's elements is not kept": (
        "unit/annotation/cvat/test_shape_json:recorded_skeletons_of_68_points_come_back_exactly"
    ),
    "visibility is occluded and outside": (
        "unit/annotation/test_conversion:visibility_is_cvats_flags"
    ),
    "shapes have no score": "pull:one_point_moved_arrives_exactly_with_its_provenance",
    "a grouped rectangle is exported under its category": (
        "unit/annotation/cvat/test_shape_json:nothing_is_grouped"
    ),
    "the server checks neither values nor boxes": "push:labels_are_judged_before_they_leave",
    "... nor what it gives back": (
        "unit/annotation/cvat/test_shape_json:a_shape_that_cannot_be_read_costs_its_image_only"
    ),
    "a frame out of range is 200 and vanishes": "traps:a_frame_out_of_range_vanishes",
    "slow polling takes most of a push": (
        "unit/annotation/cvat/test_waiting:it_is_asked_quickly_at_first_and_then_more_rarely"
    ),
    "finished requests expire": (
        "unit/annotation/cvat/test_waiting:an_unknown_or_expired_request_is_gone"
    ),
    "a second export is 409 with the first's id": (
        "unit/annotation/cvat/test_waiting:what_is_under_way_already_is_joined"
    ),
    "names may be given twice": "schema:the_project_is_found_by_its_mark_whatever_it_is_called",
    "create appends": (
        "unit/annotation/cvat/test_connection:appending_is_making_and_replacing_is_not"
    ),
    "a failed upload leaves an empty task": "push:a_task_without_frames_is_removed_and_made_anew",
    "a second upload is 400": "traps:a_task_is_filled_once",
    "file names of an upload are kept whole": "push:names_say_nothing_of_where_a_picture_came_from",
    "two files of one base name are 500": "traps:two_files_of_one_name",
    "a broken picture fails the whole task": (
        "push:a_picture_that_only_the_server_cannot_read_is_left_out"
    ),
    "frames are sorted unless predefined": "push:the_worst_labelled_frame_is_shown_first",
    "an import replaces all and its source is file": "traps:what_is_never_called",
    "jobs are listed newest first": "traps:lists_are_newest_first_whatever_is_asked",
    "an unknown sort is ignored": "traps:lists_are_newest_first_whatever_is_asked",
    "a change of stage resets the state": "pull:stage_and_state_decide",
    "an assignee may set state, not stage": "traps:an_assignee_may_set_state_alone",
    "ground truth is padded with placeholders": "traps:ground_truth_is_padded",
    "a task's annotations lack ground truth": "schema:what_only_a_ground_truth_job_has_counts",
    "a task has one ground-truth job": "traps:ground_truth_is_padded",
    "quality without finished ground truth is 400": "traps:what_is_never_called",
    "replicas are jobs of their own": "pull:replicas_and_ground_truth_come_back_as_such",
    "a merge of replicas overwrites the parent": "traps:what_is_never_called",
    "the SDK's typed answers fail to parse": "traps:what_is_never_called",
    "webhooks are signed": "unit/annotation/cvat/test_webhook:a_good_delivery_is_news",
    "... and not without a secret": "unit/annotation/cvat/test_webhook:nothing_unsigned_is_heard",
    "webhooks may be silent": "traps:issues_and_deleted_frames_bump_nothing",
    "a 500 of the receiver is not tried again": "traps:a_delivery_that_failed_is_not_repeated",
    "a guide has one owner, is in no list, and a second is 500": (
        "schema:a_guide_belongs_to_one_project_or_task_and_is_in_no_list"
    ),
    "an asset without a link is deleted": (
        "schema:a_changed_guide_keeps_the_pictures_that_are_there"
    ),
    "assets are made smaller, SVG refused": (
        "unit/annotation/cvat/test_guide:"
        "pictures_that_the_server_refuses_or_makes_smaller_are_refused"
    ),
    "update replaces a whole skeleton": "traps:update_replaces_revives_and_appends",
    "update makes a deleted id again, and appends without one": (
        "traps:update_replaces_revives_and_appends"
    ),
    "PUT and create refuse ids": (
        "unit/annotation/cvat/test_shape_json:ids_of_a_server_are_never_sent"
    ),
    "masks that do not fit are taken": "traps:masks_that_do_not_fit_are_taken_and_rejected_here",
    "an import of COCO adds rectangles and drops tags": "traps:what_is_never_called",
    "overlapping jobs keep a copy each": "pull:of_overlapping_jobs_the_furthest_counts",
    "a task's update on an overlap is 400": "traps:a_task_does_not_update_an_overlap",
    "saving the same bumps": "pull:a_look_that_changes_nothing_brings_nothing",
    "issues and deleted frames bump nothing": "traps:issues_and_deleted_frames_bump_nothing",
    "a task's PUT bumps every job": "traps:a_tasks_put_bumps_every_job",
    "deleting a label deletes its annotations": "schema:a_label_in_use_is_not_deleted",
    "changed options keep old values": "schema:an_option_in_use_is_not_taken_away",
    "a number with fractions is text": "schema:a_range_that_leaves_values_outside_is_refused",
    "a new attribute fills its default in": (
        "unit/annotation/cvat/test_changes:a_new_attribute_filled_its_default_in_and_harms_nothing"
    ),
    "points go with their elements, new ones are ignored": (
        "schema:points_of_skeletons_in_use_neither_come_nor_go"
    ),
    "a changed svg is ignored": "schema:a_drawing_that_the_server_ignores_is_kept_and_said",
    "resumable uploads want an Origin": (
        "unit/annotation/cvat/test_connection:"
        "calls_carry_token_organisation_and_origin_over_one_connection"
    ),
    "subfolders only in a zip, unknown extensions dropped": "traps:folders_and_unknown_extensions",
    "NFC and NFD are two names": "traps:names_are_ours_so_none_is_long_or_accented",
    "long names are refused": "traps:names_are_ours_so_none_is_long_or_accented",
    "turned pictures report the turned size": "traps:a_turned_picture_reports_its_turned_size",
    "empty files fail, cut ones are taken": "push:one_broken_picture_is_rejected_and_the_others_go",
    "annotations on deleted frames are kept": "pull:deleted_frames_and_foreign_names_are_rejected",
}


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_has_a_test(trap: str) -> None:
    file, _, name = TRAPS[trap].partition(":")
    path = TESTS / (f"{file}.py" if "/" in file else f"integration/cvat/test_{file}.py")
    found = re.findall(rf"^def test_{name}\(", path.read_text("utf-8"), re.MULTILINE)
    assert len(found) == 1, f"{path.name} has no test_{name}, which shows that {trap}"


def refused(connection: Connection, method: str, path: str, **options: object) -> int:
    """The status of the error that a call is answered with."""
    with pytest.raises(AnswerError) as error:
        connection.call(method, path, **options)  # type: ignore[arg-type]
    return error.value.status


Make = Callable[..., Room]


def new_task(connection: Connection) -> int:
    body = {"name": "trap", "labels": [{"name": "face", "type": "rectangle", "attributes": []}]}
    return int(connection.call("POST", "/api/tasks", body=body)["id"])


def filled(connection: Connection, task: int, *files: tuple[str, bytes]) -> list[dict]:
    """The frames that files become."""
    path = f"/api/tasks/{task}/data/"
    connection.call("POST", path, headers={"Upload-Start": ""})
    sent = [
        (f"client_files[{n}]", (name, content, "image/png"))
        for n, (name, content) in enumerate(files)
    ]
    connection.call("POST", path, files=sent, headers={"Upload-Multiple": ""})
    body = {"image_quality": 70}
    started = connection.call("POST", path, body=body, headers={"Upload-Finish": ""})
    waiting.wait(connection, started["rq_id"], "making a task")
    return list(connection.call("GET", f"/api/tasks/{task}/data/meta")["frames"])


def png() -> bytes:
    return next(iter(Pictures.plain(1).values()))


def test_what_is_never_called() -> None:
    """Traps of imports, exports, merges, quality reports and partial saves: none is ours."""
    of_ours = "\n".join(NEEDED)
    for word in ("quality", "consensus", "dataset", "webhooks", "access_tokens", "auth"):
        assert word not in of_ours
    assert not [one for one in NEEDED if "annotations" in one and one[:3] not in ("GET", "PUT")]
    assert "file" not in BY_PEOPLE


def test_sessions_and_read_only_tokens(cvat: Cvat) -> None:
    session = requests.Session()
    login = {"username": "admin", "password": "admin-password"}
    assert cvat.stand_in.is_stand_in
    session.post(f"{cvat.url}/api/auth/login", json=login, timeout=9).raise_for_status()
    body = {"name": "t", "labels": []}
    assert session.post(f"{cvat.url}/api/tasks", json=body, timeout=9).status_code == 403
    made = session.post(
        f"{cvat.url}/api/auth/access_tokens",
        json={"name": "reads", "read_only": True},
        headers={"X-CSRFToken": session.cookies["csrftoken"]},
        timeout=9,
    ).json()
    with pytest.raises(AnswerError, match="is the token not a read-only one"):
        new_task(connect(cvat.url, made["value"]))


def test_bad_tokens_are_one_401(cvat: Cvat) -> None:
    with pytest.raises(SettingsError, match="does not accept the token"):
        new_task(connect(cvat.url, "no-such-token"))
    body = {"name": "another"}
    assert (
        refused(connect(cvat.url, cvat.token), "POST", "/api/auth/access_tokens", body=body) == 403
    )


def test_a_frame_out_of_range_vanishes(room: Make) -> None:
    here = room(2)
    (job,) = here.annotator.jobs(here.batch)
    path = f"/api/tasks/{here.batch.task}/annotations/"
    before = here.connection.call("GET", path)
    tag = here.annotator._new(99, "noisy")
    query = {"action": "create"}
    body = {"version": 0, "tags": [tag], "shapes": [], "tracks": []}
    here.connection.call("PATCH", path, query=query, body=body)
    assert here.connection.call("GET", path)["tags"] == before["tags"]
    here.annotator.tag(job, 0, "reviewed")
    here.annotator.finish(job)
    assert here.frames(here.pull()) == [0]


def test_a_task_is_filled_once(cvat: Cvat) -> None:
    connection = connect(cvat.url, cvat.token)
    task = new_task(connection)
    filled(connection, task, ("a.png", png()))
    path = f"/api/tasks/{task}/data/"
    assert refused(connection, "POST", path, headers={"Upload-Finish": ""}, body={}) == 400
    tasks.remove(connection, task)


def test_two_files_of_one_name(cvat: Cvat) -> None:
    connection = connect(cvat.url, cvat.token)
    task = new_task(connection)
    with pytest.raises(AnswerError) as error:
        filled(connection, task, ("one/a.png", png()), ("two/a.png", png()))
    assert error.value.status == 500
    tasks.remove(connection, task)
    names = [image_name(image) for image in Pictures.plain(300).records()]
    assert len(set(names)) == len(names)


def test_lists_are_newest_first_whatever_is_asked(room: Make) -> None:
    here = room(4, segment_size=1)
    for query in ({}, {"sort": "no_such_field"}):
        listed = here.connection.pages("/api/jobs", {"task_id": here.batch.task, **query})
        ids = [job["id"] for job in listed]
        assert ids == sorted(ids, reverse=True)
    for job in here.annotator.jobs(here.batch):
        here.annotator.tag(job, job["start_frame"], "reviewed")
        here.annotator.finish(job)
    assert here.frames(here.pull()) == [0, 1, 2, 3]


def test_an_assignee_may_set_state_alone(cvat: Cvat, room: Make) -> None:
    stand_in = cvat.stand_in
    here = room(2)
    (job,) = here.annotator.jobs(here.batch)
    theirs = connect(cvat.url, stand_in.token_of("annotator1"))
    user = theirs.call("GET", "/api/users/self")["id"]
    here.annotator.set(job, assignee=user)
    path = f"/api/jobs/{job['id']}"
    assert theirs.call("PATCH", path, body={"state": "completed"})["state"] == "completed"
    assert refused(theirs, "PATCH", path, body={"stage": "acceptance"}) == 403


def test_ground_truth_is_padded(room: Make) -> None:
    here = room(4)
    body = {
        "type": "ground_truth",
        "task_id": int(here.batch.task),
        "frame_selection_method": "manual",
        "frames": [2],
    }
    gold = here.connection.call("POST", "/api/jobs", body=body, find=lambda: None)
    assert refused(here.connection, "POST", "/api/jobs", body=body) == 400
    meta = here.connection.call("GET", f"/api/jobs/{gold['id']}/data/meta")
    assert [one["name"] for one in meta["frames"]].count("placeholder.jpg") == 3
    here.annotator.tag(gold, 2, "reviewed")
    here.annotator.finish(gold)
    returned = here.pull()
    assert here.frames(returned) == [2]
    assert returned is not None
    assert [image.origin for image in returned.images] == ["gold"]


def test_issues_and_deleted_frames_bump_nothing(room: Make) -> None:
    here = room(2)
    (job,) = here.annotator.jobs(here.batch)
    body = {"job": job["id"], "frame": 0, "position": [1, 1, 2, 2], "message": "look"}
    here.connection.call("POST", "/api/issues", body=body)
    path = f"/api/tasks/{here.batch.task}/data/meta"
    here.connection.call("PATCH", path, body={"deleted_frames": [1]})
    (after,) = here.annotator.jobs(here.batch)
    assert after["updated_date"] == job["updated_date"]
    here.annotator.tag(job, 0, "reviewed")
    here.annotator.finish(job)
    assert here.frames(here.pull()) == [0]


def test_a_tasks_put_bumps_every_job(room: Make) -> None:
    here = room(4, segment_size=2)
    here.pull()
    before = {job["id"]: job["updated_date"] for job in here.annotator.jobs(here.batch)}
    path = f"/api/tasks/{here.batch.task}/annotations/"
    held = here.connection.call("GET", path)
    body = {"version": 0, "tags": held["tags"][:1], "shapes": [], "tracks": []}
    for tag in body["tags"]:
        del tag["id"]
    here.connection.call("PUT", path, body=body)
    after = {job["id"]: job["updated_date"] for job in here.annotator.jobs(here.batch)}
    assert all(after[number] > moment for number, moment in before.items())


def test_update_replaces_revives_and_appends(room: Make) -> None:
    """Ours replaces a whole job by PUT; `test_what_is_never_called` says so."""
    here = room(1)
    (job,) = here.annotator.jobs(here.batch)
    (skeleton,) = here.annotator.shapes(job, 0, "ibug68")
    one = {**skeleton, "elements": skeleton["elements"][:1]}
    here.annotator._save(job, "update", shapes=[one])
    (left,) = here.annotator.shapes(job, 0, "ibug68")
    assert len(left["elements"]) == 1
    here.annotator.delete(job, left)
    assert here.annotator.shapes(job, 0, "ibug68") == []
    here.annotator._save(job, "update", shapes=[skeleton])
    (back,) = here.annotator.shapes(job, 0, "ibug68")
    assert back["id"] == skeleton["id"]
    (face,) = here.annotator.shapes(job, 0, "face")
    here.annotator._save(job, "update", shapes=[{k: v for k, v in face.items() if k != "id"}])
    assert len(here.annotator.shapes(job, 0, "face")) == 2


def test_masks_that_do_not_fit_are_taken_and_rejected_here(room: Make) -> None:
    here = room(1)
    (job,) = here.annotator.jobs(here.batch)
    before = len(here.annotator.shapes(job, 0, "person"))
    here.annotator.draw(job, 0, "person", "mask", [1, 2, 0, 0, 9, 9])
    assert len(here.annotator.shapes(job, 0, "person")) == before + 1
    mask = MaskShape(label="person", left=0, top=0, width=10, height=10, rle=(1, 2))
    shapes = ImageShapes(name="a.png", width_px=64, height_px=48, masks=(mask,))
    assert "do not fill" in (unfit(shapes, SCHEMA) or "")


def test_a_task_does_not_update_an_overlap(room: Make) -> None:
    here = room(5, segment_size=3, overlap=1)
    path = f"/api/tasks/{here.batch.task}/annotations/"
    shape = next(one for one in here.connection.call("GET", path)["shapes"] if one["frame"] == 2)
    body = {"version": 0, "shapes": [shape], "tags": [], "tracks": []}
    assert refused(here.connection, "PATCH", path, query={"action": "update"}, body=body) == 400


def test_folders_and_unknown_extensions(cvat: Cvat) -> None:
    connection = connect(cvat.url, cvat.token)
    task = new_task(connection)
    inside = io.BytesIO()
    with zipfile.ZipFile(inside, "w") as archive:
        archive.writestr("folder/b.png", png())
    files = ("folder/a.png", png()), ("notes.xyz", b"no picture"), ("c.zip", inside.getvalue())
    assert [one["name"] for one in filled(connection, task, *files)] == ["a.png", "folder/b.png"]
    tasks.remove(connection, task)
    assert {Path(image_name(one)).suffix for one in Pictures.plain(3).records()} == {".png"}


def test_names_are_ours_so_none_is_long_or_accented() -> None:
    for image in Pictures.plain(3).records():
        name = image_name(image)
        assert name.isascii()
        assert len(name) < 64


def test_a_turned_picture_reports_its_turned_size(cvat: Cvat) -> None:
    connection = connect(cvat.url, cvat.token)
    task = new_task(connection)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = io.BytesIO()
    Image.new("RGB", (64, 48)).save(turned, "JPEG", exif=exif)
    (frame,) = filled(connection, task, ("a.jpg", turned.getvalue()))
    assert (frame["width"], frame["height"]) == (48, 64)
    tasks.remove(connection, task)


def test_a_delivery_that_failed_is_not_repeated(cvat: Cvat, room: Make) -> None:
    assert cvat.stand_in.is_stand_in
    here = room(1)
    hook = {
        "target_url": "http://127.0.0.1:9/",
        "type": "project",
        "project_id": here.project,
        "events": ["update:job"],
    }
    made = here.connection.call("POST", "/api/webhooks", body=hook)
    (job,) = here.annotator.jobs(here.batch)
    here.annotator.tag(job, 0, "reviewed")
    here.annotator.finish(job)
    # Whatever became of the deliveries, the poll finds what was done.
    assert here.frames(here.pull()) == [0]
    told = list(here.connection.pages(f"/api/webhooks/{made['id']}/deliveries"))
    assert len(told) == 2
    assert not any(one["redelivery"] for one in told)
