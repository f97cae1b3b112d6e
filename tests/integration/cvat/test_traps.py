"""How a real CVAT server surprises: every trap that was recorded, with the test that shows it.

`TRAPS` is the list. A trap that no other test concerns is shown here: the stand-in does what was
recorded, and our code deals with it or, as `NEEDED` says, never makes that call.
"""

import io
import re
import secrets
import time
import unicodedata
import zipfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from cvat_annotator import Annotator, Pictures
from cvat_labels import SCHEMA, label_of
from cvat_room import Room
from PIL import Image
from scripted_server import Told, scripted
from standin.server import Cvat

from annotation.batches import make_batch
from annotation.checks import CheckParams, verdicts
from annotation.cvat import tasks, waiting
from annotation.cvat.connection import NEEDED, AnswerError, Connection, connect
from annotation.cvat.shape_json import Frame, ServerLabels, from_annotations, to_annotations
from annotation.exchange import BY_PEOPLE, image_name
from annotation.outgoing import sendable, unfit
from annotation.review import ReviewParams, accept
from annotation.shapes import ImageShapes, MaskShape
from mirrorset.blobs import BlobStore
from mirrorset.errors import InputError, SettingsError
from mirrorset.pixels import decode
from mirrorset.records import Reason, Rejected

TESTS = Path(__file__).parents[2]

#: The trap, and file and name of its test.
TRAPS = {
    "a session's POST without CSRF token is 403": "traps:sessions_and_read_only_tokens",
    "a read-only token is 403 on write": "traps:sessions_and_read_only_tokens",
    "expired, revoked and unknown tokens are the same 401": "traps:bad_tokens_are_one_401",
    "tokens cannot mint tokens": "traps:a_token_mints_no_token",
    "without X-Organization everything is shown": (
        "traps:an_empty_organisation_is_the_personal_workspace"
    ),
    "an empty X-Organization is the personal workspace only": (
        "traps:an_empty_organisation_is_the_personal_workspace"
    ),
    "the order of a skeleton's elements is not kept": (
        "unit/annotation/cvat/test_shape_json:recorded_skeletons_of_68_points_come_back_exactly"
    ),
    "visibility is occluded and outside": (
        "unit/annotation/test_conversion:visibility_is_cvats_flags"
    ),
    "shapes have no score": "traps:a_score_is_an_attribute",
    "a grouped rectangle is exported under its category": (
        "unit/annotation/cvat/test_shape_json:nothing_is_grouped"
    ),
    "the server checks neither values nor boxes": "traps:what_does_not_fit_is_taken",
    "... so we do, before they leave": "push:labels_are_judged_before_they_leave",
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
    "a second export is 409 with the first's id": "traps:a_second_export_is_joined",
    "names may be given twice": "schema:the_project_is_found_by_its_mark_whatever_it_is_called",
    "create appends": (
        "unit/annotation/cvat/test_connection:appending_is_making_and_replacing_is_not"
    ),
    "a failed upload leaves an empty task": "push:a_task_without_frames_is_removed_and_made_anew",
    "a bad file stays in its task": "traps:a_bad_file_stays_in_its_task",
    "a second upload is 400": "traps:a_task_is_filled_once",
    "file names of an upload tell local folders": (
        "push:names_say_nothing_of_where_a_picture_came_from"
    ),
    "two files of one base name are 500": "traps:two_files_of_one_name",
    "a broken picture fails the whole task": (
        "push:a_picture_that_only_the_server_cannot_read_is_left_out"
    ),
    "frames are sorted unless predefined": "push:the_worst_labelled_frame_is_shown_first",
    "an import replaces all and its source is file": "traps:an_import_replaces_all_and_bumps_all",
    "a format is called otherwise in exports and imports": (
        "traps:an_import_replaces_all_and_bumps_all"
    ),
    "frame numbers are the task's in every job": "traps:frames_of_a_job_are_numbered_in_its_task",
    "jobs are listed newest first": "traps:lists_are_newest_first_whatever_is_asked",
    "an unknown sort is ignored": "traps:lists_are_newest_first_whatever_is_asked",
    "a change of stage resets the state": "traps:a_new_stage_resets_the_state",
    "an assignee may set state, not stage": "traps:an_assignee_may_set_state_alone",
    "ground truth is padded with placeholders": "traps:ground_truth_is_padded",
    "a task's annotations lack ground truth": "schema:what_only_a_ground_truth_job_has_counts",
    "a task has one ground-truth job": "traps:ground_truth_is_padded",
    "quality without finished ground truth is 400": "traps:what_is_never_called",
    "replicas are jobs of their own": "pull:replicas_and_ground_truth_come_back_as_such",
    "a merge of replicas overwrites the parent": "pull:a_merge_of_replicas_is_not_one_more_look",
    "the SDK's typed answers fail to parse": "traps:what_is_never_called",
    "webhooks are signed": "annotate_flows:the_servers_own_deliveries_are_heard",
    "... and not without a secret": "traps:a_delivery_that_failed_is_not_repeated",
    "... so nothing unsigned is heard": (
        "unit/annotation/cvat/test_webhook:nothing_unsigned_is_heard"
    ),
    "webhooks may be silent": "traps:a_label_is_renamed_in_silence_and_polling_finds_it",
    "a save and an import are told of for job, task and project": (
        "traps:deliveries_tell_of_saves_of_the_same_as_well"
    ),
    "saving the same is told of": "traps:deliveries_tell_of_saves_of_the_same_as_well",
    "a change of state is told with what it was": (
        "traps:deliveries_tell_of_saves_of_the_same_as_well"
    ),
    "a 500 of the receiver is not tried again": "traps:a_delivery_that_failed_is_not_repeated",
    "a guide has one owner, is in no list, and a second is 500": (
        "schema:a_guide_belongs_to_one_project_or_task_and_is_in_no_list"
    ),
    "an asset without a link is deleted": (
        "schema:a_guide_that_somebody_edited_is_put_right_with_its_lost_pictures"
    ),
    "assets are made smaller, SVG refused": (
        "unit/annotation/cvat/test_guide:"
        "pictures_that_the_server_refuses_or_makes_smaller_are_refused"
    ),
    "update replaces a whole skeleton": "traps:update_replaces_revives_and_appends",
    "update makes a deleted id again, and appends without one": (
        "traps:update_replaces_revives_and_appends"
    ),
    "PUT and create refuse ids": "traps:ids_are_refused_and_ours_sends_none",
    "a mask ends with its box, inclusive": (
        "unit/annotation/cvat/test_shape_json:a_mask_ends_with_its_box_inclusive"
    ),
    "masks that do not fit are taken": "traps:masks_that_do_not_fit_are_taken_and_rejected_here",
    "an import of COCO adds rectangles and drops tags": "traps:what_is_never_called",
    "overlapping jobs keep a copy each": "pull:of_overlapping_jobs_the_furthest_counts",
    "... of which a task shows equal ones once, and both where one was edited": (
        "traps:a_task_shows_both_copies_once_one_is_edited"
    ),
    "a task's update on an overlap is 400": "traps:a_task_does_not_update_an_overlap",
    "a save bumps job, task and project": "traps:a_save_bumps_all_and_a_state_the_job_alone",
    "state and stage bump the job alone": "traps:a_save_bumps_all_and_a_state_the_job_alone",
    "there is no ETag": "traps:a_save_bumps_all_and_a_state_the_job_alone",
    "saving the same bumps": "pull:a_look_that_changes_nothing_brings_nothing",
    "issues and deleted frames bump nothing": "traps:issues_and_deleted_frames_bump_nothing",
    "a task's PUT bumps every job": "traps:a_tasks_put_bumps_every_job",
    "an import bumps every job": "traps:an_import_replaces_all_and_bumps_all",
    "a label's new name bumps every job": (
        "traps:a_label_is_renamed_in_silence_and_polling_finds_it"
    ),
    "deleting a label deletes its annotations": (
        "unit/annotation/cvat/test_changes:a_deleted_label_had_the_annotations_that_were_counted"
    ),
    "... so one in use stays": "schema:a_label_in_use_is_not_deleted",
    "changed options keep old values": (
        "unit/annotation/cvat/test_changes:values_outside_the_options_stayed_as_they_were_counted"
    ),
    "... so an option in use stays": "schema:an_option_in_use_is_not_taken_away",
    "a number with fractions is text": "schema:a_range_that_leaves_values_outside_is_refused",
    "a new attribute fills its default in": (
        "unit/annotation/cvat/test_changes:a_new_attribute_filled_its_default_in_and_harms_nothing"
    ),
    "points go with their elements": (
        "unit/annotation/cvat/test_changes:"
        "a_deleted_point_was_stripped_from_the_skeletons_that_were_counted"
    ),
    "new points are ignored": (
        "unit/annotation/cvat/test_changes:"
        "new_points_that_were_answered_with_200_and_ignored_are_seen"
    ),
    "... so points in use neither come nor go": (
        "schema:points_of_skeletons_in_use_neither_come_nor_go"
    ),
    "a changed svg is ignored": (
        "unit/annotation/cvat/test_changes:a_drawing_that_was_answered_with_200_and_ignored_is_seen"
    ),
    "... and that is said": "schema:a_drawing_that_the_server_ignores_is_kept_and_said",
    "a 200 is no proof of a change": (
        "schema:a_change_that_was_answered_well_and_ignored_is_an_error"
    ),
    "resumable uploads want an Origin": "traps:a_resumable_upload_wants_an_origin",
    "... which every call of ours has": (
        "unit/annotation/cvat/test_connection:"
        "calls_carry_token_organisation_and_origin_over_one_connection"
    ),
    "a name twice is 409 to a resumable upload": "traps:a_resumable_upload_wants_an_origin",
    "subfolders only in a zip, unknown extensions dropped": "traps:folders_and_unknown_extensions",
    "NFC and NFD are two names": "traps:accented_names_are_two_and_long_ones_refused",
    "long names are refused": "traps:accented_names_are_two_and_long_ones_refused",
    "... so names are ours": "traps:names_are_ours_so_none_is_long_or_accented",
    "turned pictures report the turned size": "traps:a_turned_picture_reports_its_turned_size",
    "the original of a turned picture is encoded anew": (
        "traps:an_original_is_as_sent_unless_it_is_turned"
    ),
    "empty files fail, cut ones are taken": "traps:empty_files_fail_and_cut_ones_are_taken",
    "... and neither is sent": "traps:neither_empty_files_nor_cut_ones_are_sent",
    "annotations on deleted frames are kept": "traps:annotations_on_deleted_frames_are_kept",
    "... and are rejected here": "pull:deleted_frames_and_foreign_names_are_rejected",
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
Json = dict[str, Any]


def new_task(connection: Connection, **spec: object) -> int:
    labels = [{"name": "face", "type": "rectangle", "attributes": []}]
    body = {"name": "trap", "labels": labels, **spec}
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


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def original(connection: Connection, task: int, frame: int) -> bytes:
    query = {"type": "frame", "number": frame, "quality": "original"}
    return bytes(connection.call("GET", f"/api/tasks/{task}/data/", query=query))


def logged_in(cvat: Cvat) -> requests.Session:
    """A session of the administrator, of whom only the stand-in's password is known."""
    assert cvat.stand_in.is_stand_in
    session = requests.Session()
    login = {"username": "admin", "password": "admin-password"}
    session.post(f"{cvat.url}/api/auth/login", json=login, timeout=9).raise_for_status()
    return session


def minted(cvat: Cvat, session: requests.Session, **body: object) -> Json:
    session.headers["X-CSRFToken"] = session.cookies["csrftoken"]
    answer = session.post(f"{cvat.url}/api/auth/access_tokens", json={"name": "t", **body})
    assert answer.status_code == 201
    return dict(answer.json())


def changed_at(here: Room) -> dict[str, str]:
    """When the server says that the batch's jobs, its task and its project were changed."""
    jobs = [f"/api/jobs/{job['id']}" for job in here.annotator.jobs(here.batch)]
    paths = (*jobs, f"/api/tasks/{here.batch.task}", f"/api/projects/{here.project}")
    return {path: here.connection.call("GET", path)["updated_date"] for path in paths}


def bumped(here: Room, before: dict[str, str]) -> list[str]:
    """What has changed since, as "jobs", "tasks", "projects"."""
    return [path.split("/")[2] for path, at in changed_at(here).items() if at > before[path]]


def hooked(cvat: Cvat, here: Room, url: str, *events: str) -> str:
    """Where the deliveries of a new webhook are listed; a real server's come too late to count."""
    assert cvat.stand_in.is_stand_in
    hook = {"target_url": url, "type": "project", "project_id": here.project, "events": events}
    made = here.connection.call("POST", "/api/webhooks", body=hook)
    return f"/api/webhooks/{made['id']}/deliveries"


def delivered(here: Room, path: str, count: int) -> list[Json]:
    """The deliveries, oldest first, once so many have their receiver's answer."""
    for _ in range(200):
        told = sorted(here.connection.pages(path), key=lambda one: one["id"])
        if sum(one["status_code"] is not None for one in told) >= count:
            break
        time.sleep(0.02)
    assert len(told) == count, [one["event"] for one in told]
    return told


def test_what_is_never_called() -> None:
    """Traps of imports, exports, merges, quality reports and partial saves: none is ours."""
    of_ours = "\n".join(NEEDED)
    for word in ("quality", "consensus", "dataset", "webhooks", "access_tokens", "auth"):
        assert word not in of_ours
    assert not [one for one in NEEDED if "annotations" in one and one[:3] not in ("GET", "PUT")]
    assert "file" not in BY_PEOPLE


def test_sessions_and_read_only_tokens(cvat: Cvat) -> None:
    session = logged_in(cvat)
    body = {"name": "t", "labels": []}
    assert session.post(f"{cvat.url}/api/tasks", json=body, timeout=9).status_code == 403
    reads = minted(cvat, session, read_only=True)
    with pytest.raises(AnswerError, match="is the token not a read-only one"):
        new_task(connect(cvat.url, reads["value"]))


def test_bad_tokens_are_one_401(cvat: Cvat) -> None:
    session = logged_in(cvat)
    expired = minted(cvat, session, expiry_date="2020-01-01T00:00:00Z")
    revoked = minted(cvat, session)
    connect(cvat.url, revoked["value"]).call("GET", "/api/users/self")
    path = f"{cvat.url}/api/auth/access_tokens/{revoked['id']}"
    assert session.delete(path, timeout=9).status_code == 204
    said = set()
    for token in (expired["value"], revoked["value"], "no-such-token"):
        bearer = {"Authorization": f"Bearer {token}"}
        answer = requests.get(f"{cvat.url}/api/users/self", headers=bearer, timeout=9)
        said.add((answer.status_code, answer.text))
        with pytest.raises(SettingsError, match="does not accept the token: make an access token"):
            new_task(connect(cvat.url, token))
    assert said == {(401, '{"detail":"Invalid token."}')}


def test_a_token_mints_no_token(cvat: Cvat) -> None:
    connection = connect(cvat.url, cvat.token)
    assert refused(connection, "POST", "/api/auth/access_tokens", body={"name": "another"}) == 403


def test_an_empty_organisation_is_the_personal_workspace(cvat: Cvat) -> None:
    """Ours sends no header there, is shown everything, and picks out its own."""
    personal = connect(cvat.url, cvat.token)
    slug = f"o{secrets.token_hex(4)}"
    organisation = personal.call("POST", "/api/organizations", body={"slug": slug})
    inside = connect(cvat.url, cvat.token, slug)
    theirs = new_task(inside, bug_tracker=tasks.mark(slug))
    own = new_task(personal)

    def seen(**headers: str) -> set[int]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = personal.call("GET", "/api/tasks", headers=named)
        return {one["id"] for one in answer["results"]} & {theirs, own}

    assert seen() == {theirs, own}
    assert seen(X_Organization="") == {own}
    assert seen(X_Organization=slug) == {theirs}
    assert tasks.find(personal, slug) is None
    assert (tasks.find(inside, slug) or {})["id"] == theirs
    tasks.remove(personal, own)
    personal.call("DELETE", f"/api/organizations/{organisation['id']}")


def test_a_score_is_an_attribute(room: Make) -> None:
    here = room(1)
    (job,) = here.annotator.jobs(here.batch)
    (face,) = here.annotator.shapes(job, 0, "face")
    (skeleton,) = here.annotator.shapes(job, 0, "ibug68")
    for shape in (face, skeleton, *skeleton["elements"]):
        assert not {"score", "confidence"} & shape.keys()
    specs = {one["name"]: one["id"] for one in here.annotator.label("face")["attributes"]}
    values = {one["spec_id"]: one["value"] for one in face["attributes"]}
    assert values[specs["score"]] == "0.87"
    here.annotator.tag(job, 0, "reviewed")
    here.annotator.finish(job)
    returned = here.pull()
    assert returned is not None
    (image,) = returned.images
    assert image.shapes.rectangles[0].attributes["score"] == "0.87"


def wrong_option(annotator: Annotator, job: Json) -> None:
    (face,) = annotator.shapes(job, 0, "face")
    glasses = next(
        one["id"] for one in annotator.label("face")["attributes"] if one["name"] == "glasses"
    )

    def wear(shape: Json) -> None:
        for one in shape["attributes"]:
            one["value"] = "monocle" if one["spec_id"] == glasses else one["value"]

    annotator.change(job, face, wear)


def twice_one_point(annotator: Annotator, job: Json) -> None:
    (skeleton,) = annotator.shapes(job, 0, "ibug68")
    first, second = skeleton["elements"][:2]
    same = {key: first[key] for key in ("label_id", "attributes")}
    annotator.change(job, skeleton, lambda _: second.update(same))


def without_one_point(annotator: Annotator, job: Json) -> None:
    (skeleton,) = annotator.shapes(job, 0, "ibug68")
    annotator.change(job, skeleton, lambda shape: shape["elements"].pop())


def box_at(*points: float) -> Callable[[Annotator, Json], None]:
    def move(annotator: Annotator, job: Json) -> None:
        (face,) = annotator.shapes(job, 0, "face")
        annotator.change(job, face, lambda shape: shape.update(points=list(points)))

    return move


def polygon_as_face(annotator: Annotator, job: Json) -> None:
    annotator.draw(job, 0, "face", "polygon", [1, 1, 9, 1, 9, 9])


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (wrong_option, "rejected"),
        (polygon_as_face, "rejected"),
        (twice_one_point, "rejected"),
        (without_one_point, "skeleton_complete"),
        (box_at(40.0, 4.0, 8.0, 44.0), "box_inside"),
        (box_at(-50.0, 4.0, 640.0, 480.0), "box_inside"),
    ],
)
def test_what_does_not_fit_is_taken(
    room: Make, wrong: Callable[[Annotator, Json], None], found: str
) -> None:
    """What no record can say is rejected here, and the rest fails a check."""
    here = room(1)
    (job,) = here.annotator.jobs(here.batch)
    before = here.annotator.load(job)
    wrong(here.annotator, job)
    assert here.annotator.load(job) != before
    here.annotator.tag(job, 0, "reviewed")
    here.annotator.finish(job)
    returned = here.pull()
    assert returned is not None
    (image,) = here.pictures.records()
    label = label_of(image.image_id)
    record, *_ = accept(here.batch, returned, [image], [label], SCHEMA, params=ReviewParams())
    if found == "rejected":
        assert isinstance(record, Rejected)
        return
    sent, back = (
        {one.check: one for one in verdicts(labels, 64, 48, SCHEMA, CheckParams())}[found]
        for labels in (label, record)
    )
    assert sent != back
    assert not back.passed


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


def test_a_second_export_is_joined(cvat: Cvat, room: Make) -> None:
    here = room(1)
    cvat.stand_in.takes_at_least(0.5)
    path = f"/api/tasks/{here.batch.task}/dataset/export"
    query = {"format": "CVAT for images 1.1"}
    first = here.connection.call("POST", path, query=query)
    with pytest.raises(AnswerError) as error:
        here.connection.call("POST", path, query=query)
    assert (error.value.status, error.value.answer) == (409, first)
    done = waiting.run(here.connection, path, "an export", query=query)
    assert done["id"] == first["rq_id"]


def test_a_task_is_filled_once(cvat: Cvat) -> None:
    connection = connect(cvat.url, cvat.token)
    task = new_task(connection)
    filled(connection, task, ("a.png", png()))
    path = f"/api/tasks/{task}/data/"
    assert refused(connection, "POST", path, headers={"Upload-Finish": ""}, body={}) == 400
    tasks.remove(connection, task)


def test_a_bad_file_stays_in_its_task(cvat: Cvat) -> None:
    """Ours removes the task and makes it anew; see the pushes of broken pictures."""
    connection = connect(cvat.url, cvat.token)
    task = new_task(connection)
    for files in ([("a.png", b"no picture")], [("b.png", png())]):
        with pytest.raises(waiting.FailedError, match=r"a\.png"):
            filled(connection, task, *files)
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


def test_frames_of_a_job_are_numbered_in_its_task(room: Make) -> None:
    here = room(4, segment_size=2)
    _, second = here.annotator.jobs(here.batch)
    assert {one["frame"] for one in here.annotator.load(second)["shapes"]} == {2, 3}
    path = f"/api/jobs/{second['id']}/data"
    assert refused(here.connection, "GET", path, query={"type": "frame", "number": 0}) == 400
    here.annotator.tag(second, 2, "reviewed")
    here.annotator.finish(second)
    assert here.frames(here.pull()) == [2]


def test_a_new_stage_resets_the_state(room: Make) -> None:
    here = room(1)
    (job,) = here.annotator.jobs(here.batch)
    here.annotator.tag(job, 0, "reviewed")
    here.annotator.finish(job)
    here.annotator.set(job, stage="validation")
    (after,) = here.annotator.jobs(here.batch)
    assert (after["stage"], after["state"]) == ("validation", "new")
    assert here.frames(here.pull("annotation")) == [0]


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


def test_annotations_on_deleted_frames_are_kept(room: Make) -> None:
    here = room(1)
    (job,) = here.annotator.jobs(here.batch)
    path = f"/api/tasks/{here.batch.task}/data/meta"
    here.connection.call("PATCH", path, body={"deleted_frames": [0]})
    before = len(here.annotator.load(job)["tags"])
    here.annotator.tag(job, 0, "reviewed")
    assert len(here.annotator.load(job)["tags"]) == before + 1


def test_a_save_bumps_all_and_a_state_the_job_alone(cvat: Cvat, room: Make) -> None:
    here = room(4, segment_size=2)
    first, _ = here.annotator.jobs(here.batch)
    before = changed_at(here)
    here.annotator.tag(first, 0, "reviewed")
    assert bumped(here, before) == ["jobs", "tasks", "projects"]
    here.pull()
    for change in ({"state": "completed"}, {"stage": "validation"}):
        before = changed_at(here)
        here.annotator.set(first, **change)
        assert bumped(here, before) == ["jobs"]
        assert here.frames(here.pull()) == [0]
    bearer = {"Authorization": f"Bearer {cvat.token}"}
    for path in before:
        answer = requests.get(f"{here.connection.url}{path}", headers=bearer, timeout=9)
        assert answer.ok
        assert "ETag" not in answer.headers


def test_an_import_replaces_all_and_bumps_all(room: Make) -> None:
    """An import is never ours: what somebody else's leaves is nobody's look."""
    here = room(4, segment_size=2)
    task = f"/api/tasks/{here.batch.task}"
    out, back = {"format": "CVAT for images 1.1"}, {"format": "CVAT 1.1"}
    assert refused(here.connection, "POST", f"{task}/dataset/export", query=back) == 400
    done = waiting.run(here.connection, f"{task}/dataset/export", "an export", query=out)
    content = here.connection.call("GET", done["result_url"].removeprefix(here.connection.url))
    job, _ = here.annotator.jobs(here.batch)
    here.annotator.tag(job, 0, "reviewed")
    files = [("annotation_file", ("a.zip", content, "application/zip"))]
    path = f"{task}/annotations/"
    assert refused(here.connection, "POST", path, query=out, files=files) == 400
    before = changed_at(here)
    started = here.connection.call("POST", path, query=back, files=files)
    waiting.wait(here.connection, started["rq_id"], "an import")
    assert bumped(here, before) == ["jobs", "jobs", "tasks", "projects"]
    held = here.connection.call("GET", path)
    assert here.annotator.label("reviewed")["id"] not in {one["label_id"] for one in held["tags"]}
    assert {one["source"] for one in (*held["shapes"], *held["tags"])} == {"file"}
    assert "file" not in BY_PEOPLE
    here.annotator.finish(*here.annotator.jobs(here.batch))
    assert here.frames(here.pull()) == []


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


def test_ids_are_refused_and_ours_sends_none(room: Make) -> None:
    here = room(1)
    path = f"/api/tasks/{here.batch.task}/annotations/"
    held = here.connection.call("GET", path)
    assert refused(here.connection, "PUT", path, body=held) == 400
    assert refused(here.connection, "PATCH", path, query={"action": "create"}, body=held) == 400
    labels = ServerLabels(here.connection.pages("/api/labels", {"project_id": here.project}))
    frames = {0: Frame(name="a.png", width_px=64, height_px=48)}
    ours = to_annotations(from_annotations(held, frames, labels), labels)
    here.connection.call("PUT", path, body=ours)
    assert len(here.connection.call("GET", path)["shapes"]) == len(held["shapes"])


@pytest.mark.parametrize(
    ("counts", "box", "said"),
    [
        ((1, 2), (0, 0, 9, 9), "do not fill"),
        ((0, 100), (60, 44, 69, 53), "out of the image"),
        ((100,), (0, 0, 9, 9), "empty"),
    ],
)
def test_masks_that_do_not_fit_are_taken_and_rejected_here(
    room: Make, counts: tuple[int, ...], box: tuple[int, int, int, int], said: str
) -> None:
    here = room(1)
    (job,) = here.annotator.jobs(here.batch)
    before = len(here.annotator.shapes(job, 0, "person"))
    here.annotator.draw(job, 0, "person", "mask", [*counts, *box])
    assert len(here.annotator.shapes(job, 0, "person")) == before + 1
    mask = MaskShape(label="person", left=box[0], top=box[1], width=10, height=10, rle=counts)
    shapes = ImageShapes(name="a.png", width_px=64, height_px=48, masks=(mask,))
    assert said in (unfit(shapes, SCHEMA) or "")


def test_a_task_shows_both_copies_once_one_is_edited(room: Make) -> None:
    """Ours reads job by job, and decides by rule; see the pull of overlapping jobs."""
    here = room(5, segment_size=3, overlap=1)
    first, second = here.annotator.jobs(here.batch)
    path = f"/api/tasks/{here.batch.task}/annotations/"

    def boxes() -> int:
        return len(here.annotator.on_frame(here.connection.call("GET", path), 2, "face"))

    copies = [here.annotator.shapes(job, 2, "face") for job in (first, second)]
    assert ([len(one) for one in copies], boxes()) == ([1, 1], 1)
    here.annotator.change(second, copies[1][0], lambda shape: shape.update(points=[5, 4, 48, 44]))
    assert boxes() == 2


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


def test_a_resumable_upload_wants_an_origin(cvat: Cvat) -> None:
    """We upload whole files in forms; other clients of the server may not."""
    assert not [call for call in NEEDED if call.startswith("PATCH") and "/data/{" in call]
    connection = connect(cvat.url, cvat.token)
    task = new_task(connection)
    path = f"/api/tasks/{task}/data/"
    connection.call("POST", path, headers={"Upload-Start": ""})
    name = b64encode(b"a.png").decode()
    head = {"Tus-Resumable": "1.0.0", "Upload-Metadata": f"filename {name}"}
    sent = {**head, "Upload-Length": str(len(png()))}
    bearer = {"Authorization": f"Bearer {cvat.token}"}
    answer = requests.post(f"{cvat.url}{path}", headers=sent | bearer, timeout=9)
    assert answer.status_code == 500
    started = requests.post(
        f"{cvat.url}{path}", headers=sent | bearer | {"Origin": cvat.url}, timeout=9
    )
    assert started.status_code == 201
    piece = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    where = started.headers["Location"].removeprefix(cvat.url)
    connection.call("PATCH", where, headers=head | piece, body=png())
    assert refused(connection, "POST", path, headers=sent) == 409
    tasks.remove(connection, task)


def test_accented_names_are_two_and_long_ones_refused(cvat: Cvat) -> None:
    connection = connect(cvat.url, cvat.token)
    assert refused(connection, "POST", "/api/tasks", body={"name": "n" * 257, "labels": []}) == 400
    task = new_task(connection)
    names = [unicodedata.normalize(form, "Zo\u00eb.png") for form in ("NFC", "NFD")]
    frames = filled(connection, task, *((name, png()) for name in names))
    assert {one["name"] for one in frames} == set(names)
    tasks.remove(connection, task)
    task = new_task(connection)
    path = f"/api/tasks/{task}/data/"
    name = "n" * 252 + ".png"
    connection.call("POST", path, headers={"Upload-Start": ""})
    files = [("client_files[0]", (name, png(), "image/png"))]
    connection.call("POST", path, files=files, headers={"Upload-Multiple": ""})
    body = {"sorting_method": "predefined", "upload_file_order": [name]}
    assert refused(connection, "POST", path, body=body, headers={"Upload-Finish": ""}) == 400
    tasks.remove(connection, task)


def test_names_are_ours_so_none_is_long_or_accented() -> None:
    for image in Pictures.plain(3).records():
        name = image_name(image)
        assert name.isascii()
        assert len(name) < 64


def turned_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.radial_gradient("L").resize((64, 48)), "JPEG", exif=exif)


def test_a_turned_picture_reports_its_turned_size(cvat: Cvat) -> None:
    connection = connect(cvat.url, cvat.token)
    task = new_task(connection)
    (frame,) = filled(connection, task, ("a.jpg", turned_jpeg()))
    assert (frame["width"], frame["height"]) == (48, 64)
    assert decode(turned_jpeg()).shape[:2] == (64, 48)
    tasks.remove(connection, task)


def test_an_original_is_as_sent_unless_it_is_turned(cvat: Cvat) -> None:
    connection = connect(cvat.url, cvat.token)
    task = new_task(connection)
    gradient = Image.radial_gradient("L").resize((64, 48))
    untagged = encoded(gradient, "JPEG", quality=40)
    clear = gradient.convert("RGBA")
    clear.putalpha(gradient)
    filled(
        connection,
        task,
        ("a.jpg", turned_jpeg()),
        ("b.jpg", untagged),
        ("c.png", encoded(clear, "PNG")),
    )
    anew = original(connection, task, 0)
    assert anew != turned_jpeg()
    upright = Image.open(io.BytesIO(anew))
    assert (upright.size, upright.getexif().get(0x0112, 1)) == ((48, 64), 1)
    assert original(connection, task, 1) == untagged
    assert original(connection, task, 2) == encoded(clear, "PNG")
    tasks.remove(connection, task)


def cut_jpeg() -> bytes:
    whole = encoded(Image.effect_noise((64, 48), 50), "JPEG")
    return whole[: len(whole) * 2 // 3]


def test_empty_files_fail_and_cut_ones_are_taken(cvat: Cvat) -> None:
    connection = connect(cvat.url, cvat.token)
    task = new_task(connection)
    path = f"/api/tasks/{task}/data/"
    name = b64encode(b"a.jpg").decode()
    headers = {"Upload-Length": "0", "Upload-Metadata": f"filename {name}"}
    assert refused(connection, "POST", path, headers=headers) == 500
    with pytest.raises(waiting.FailedError, match="cannot identify image file"):
        filled(connection, task, ("a.jpg", b""))
    tasks.remove(connection, task)
    task = new_task(connection)
    (frame,) = filled(connection, task, ("a.jpg", cut_jpeg()))
    assert (frame["width"], frame["height"]) == (64, 48)
    tasks.remove(connection, task)


def test_neither_empty_files_nor_cut_ones_are_sent(tmp_path: Path) -> None:
    """None gets a record, and one whose file came to harm later is left out of the batch."""
    for content in (b"", cut_jpeg()):
        with pytest.raises(InputError, match="cannot be decoded"):
            decode(content)
    pictures = Pictures.plain(3)
    empty, cut, whole = pictures
    blobs = BlobStore(str(tmp_path))
    for content in pictures.values():
        blobs.put(content)
    for image_id, content in ((empty, b""), (cut, pictures[cut][:-20])):
        (file,) = tmp_path.rglob(image_id)
        file.write_bytes(content)
    labels = [label_of(image_id) for image_id in pictures]
    batch = make_batch(list(pictures), SCHEMA.version)
    ready, rejected = sendable(batch, pictures.records(), blobs, labels, SCHEMA)
    assert ready.image_ids == (whole,)
    assert {(one.item_id, one.reason) for one in rejected} == {
        (empty, Reason.CHECKSUM),
        (cut, Reason.CHECKSUM),
    }


NOBODY = "http://127.0.0.1:9/"


def test_a_label_is_renamed_in_silence_and_polling_finds_it(cvat: Cvat, room: Make) -> None:
    here = room(4, segment_size=2)
    job, _ = here.annotator.jobs(here.batch)
    here.annotator.tag(job, 0, "reviewed")
    here.annotator.finish(job)
    assert here.frames(here.pull()) == [0]
    hook = hooked(cvat, here, NOBODY, "update:job", "update:task", "update:project")
    before = changed_at(here)
    path = f"/api/labels/{here.annotator.label('person')['id']}"
    here.connection.call("PATCH", path, body={"name": "somebody"})
    assert bumped(here, before) == ["jobs", "jobs", "tasks", "projects"]
    assert [one["event"] for one in delivered(here, hook, 1)] == ["update:project"]
    returned = here.pull()
    assert here.frames(returned) == [0]
    assert returned is not None
    assert {mask.label for mask in returned.images[0].shapes.masks} == {"somebody"}


def test_deliveries_tell_of_saves_of_the_same_as_well(cvat: Cvat, room: Make) -> None:
    here = room(1)
    (job,) = here.annotator.jobs(here.batch)
    here.pull()
    hook = hooked(cvat, here, NOBODY, "update:job", "update:task", "update:project")
    here.annotator.set(job, state="in progress")
    here.annotator.set(job, state="in progress")
    changes = [one["request"]["before_update"] for one in delivered(here, hook, 2)]
    assert [set(one) for one in changes] == [{"state", "updated_date"}, {"updated_date"}]
    assert changes[0]["state"] == "new"
    here.annotator._save(job, "update", shapes=here.annotator.load(job)["shapes"])
    events = [one["event"] for one in delivered(here, hook, 5)]
    assert events[2:] == ["update:job", "update:task", "update:project"]
    returned = here.pull()
    assert returned is not None
    assert returned.images == ()
    path = f"/api/tasks/{here.batch.task}/annotations/"
    files = [("annotation_file", ("a.xml", b"<annotations/>", "text/xml"))]
    started = here.connection.call("POST", path, query={"format": "CVAT 1.1"}, files=files)
    waiting.wait(here.connection, started["rq_id"], "an import")
    events = [one["event"] for one in delivered(here, hook, 8)]
    assert events[5:] == ["update:job", "update:task", "update:project"]


def test_a_delivery_that_failed_is_not_repeated(cvat: Cvat, room: Make) -> None:
    here = room(1)
    (job,) = here.annotator.jobs(here.batch)
    with scripted([Told(None, 500)]) as receiver:
        hook = hooked(cvat, here, receiver.url, "update:job")
        here.annotator.tag(job, 0, "reviewed")
        here.annotator.finish(job)
        told = delivered(here, hook, 2)
        assert [one["status_code"] for one in told] == [500, 500]
        assert len(receiver.heard) == 2
        # The webhook has no secret.
        assert "x-signature-256" not in receiver.heard[0].headers
        # Whatever became of the deliveries, the poll finds what was done.
        assert here.frames(here.pull()) == [0]
        here.connection.call("POST", f"{hook}/{told[1]['id']}/redelivery")
        told = delivered(here, hook, 3)
        assert [one["redelivery"] for one in told] == [False, False, True]
        assert receiver.heard[2].body == receiver.heard[1].body
