"""A label schema becomes a project, is kept up to, and never costs an annotation."""

import contextlib
import io
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cvat_annotator import Pictures, make_task
from PIL import Image
from standin.faults import ANYTHING, Kind
from standin.server import Cvat
from urllib3.exceptions import ProtocolError

from annotation.batches import make_batch
from annotation.cvat import guide as guides
from annotation.cvat.connection import AnswerError, Connection, connect
from annotation.cvat.project import Applied, apply, difference, find, labels, mark, ready
from annotation.schema import AttributeSpec, LabelSchema, LabelSpec, load_label_schema
from mirrorset.errors import IntegrityError, MirrorsetError, SettingsError, UnavailableError
from mirrorset.records import Annotation, Face, Landmarks, Mask


@pytest.fixture
def connection(cvat: Cvat) -> Connection:
    return connect(cvat.url, cvat.token)


@pytest.fixture
def schema(connection: Connection) -> Iterator[LabelSchema]:
    """The schema selfie under a name of this test's own: a real server may have the project."""
    own = load_label_schema().model_copy(update={"name": f"test-{secrets.token_hex(4)}"})
    yield own
    for project in list(connection.pages("/api/projects")):
        if project["bug_tracker"] == mark(own):
            connection.call("DELETE", f"/api/projects/{project['id']}")


def with_label(schema: LabelSchema, name: str, **changed: object) -> LabelSchema:
    """The schema with other fields of one label."""
    return schema.model_copy(
        update={
            "labels": tuple(
                one.model_copy(update=changed) if one.name == name else one for one in schema.labels
            )
        }
    )


def without(schema: LabelSchema, name: str) -> LabelSchema:
    return schema.model_copy(
        update={"labels": tuple(one for one in schema.labels if one.name != name)}
    )


def with_attribute(schema: LabelSchema, name: str, **changed: object) -> LabelSchema:
    """The schema with other fields of one attribute of the face."""
    attributes = tuple(
        one.model_copy(update=changed) if one.name == name else one
        for one in schema.face.attributes
    )
    return with_label(schema, "face", attributes=attributes)


def annotate(connection: Connection, schema: LabelSchema, project: int, **spec: object) -> int:
    """A task of two images in the project, each with a face, points, a mask and tags."""
    pictures = Pictures.plain(2)
    points = tuple((round(8 + x * 0.4, 2), round(4 + y * 0.4, 2)) for x, y in schema.layout)
    drawn = [
        Annotation(
            image_id=image_id,
            faces=(
                Face(
                    face_id="0",
                    box=(8.0, 4.0, 48.0, 44.0),
                    score=0.87,
                    landmarks={
                        "ibug68": Landmarks(
                            points=points,
                            visibility=(2,) * len(points),
                            confidence=(0.9,) * len(points),
                        )
                    },
                    attributes={"glasses": "dark"},
                ),
            ),
            tags={"lighting": "left", "blurred": "true"},
            masks=(Mask(label="person", left=1, top=2, right=4, bottom=3, rle=(1, 2, 2, 3)),),
            origin="model",
            by="research",
            schema_version=schema.version,
            made_at=datetime(2026, 11, 23, tzinfo=UTC),
        )
        for image_id in pictures
    ]
    batch = make_batch(list(pictures), schema.version)
    made = make_task(connection, project, batch, pictures, drawn, schema, **spec)
    return int(made.task)


def annotations(connection: Connection, task: int) -> tuple[int, int]:
    content = connection.call("GET", f"/api/tasks/{task}/annotations/")
    return len(content["shapes"]), len(content["tags"])


# --- making ------------------------------------------------------------------------------------


def test_a_project_is_made_with_all_labels_and_the_guide(
    connection: Connection, schema: LabelSchema
) -> None:
    assert difference(connection, schema).project_id is None
    made = apply(connection, schema)
    assert (made.is_new, made.is_guide_new, made.kept) == (True, True, ())
    assert len(made.done) == len(schema.labels)
    there = {label["name"]: label for label in labels(connection, made.project_id)}
    assert set(there) == {label.name for label in schema.labels}
    points = {one["name"]: one["color"] for one in there["ibug68"]["sublabels"]}
    assert tuple(points) == schema.point_names
    assert points["eye_left_0"] == schema.skeleton.point_colours["eye_left"]
    assert there["light_level"]["attributes"][0]["default_value"] == "normal"


def test_the_schema_for_parsing_is_a_project_as_well(
    connection: Connection, schema: LabelSchema
) -> None:
    parsing = load_label_schema("selfie-parsing").model_copy(update={"name": schema.name})
    made = apply(connection, parsing)
    assert {"hair", "l_brow", "face"} <= {
        one["name"] for one in labels(connection, made.project_id)
    }


def test_applying_again_changes_nothing(connection: Connection, schema: LabelSchema) -> None:
    first = apply(connection, schema)
    before = connection.call("GET", f"/api/projects/{first.project_id}")
    again = apply(connection, schema)
    assert again == Applied(
        project_id=first.project_id, is_new=False, done=(), kept=(), is_guide_new=False
    )
    assert connection.call("GET", f"/api/projects/{first.project_id}") == before
    found = difference(connection, schema)
    assert (found.plan.done, found.plan.broken, found.is_guide_current) == ((), (), True)


def test_the_project_is_found_by_its_mark_whatever_it_is_called(
    connection: Connection, schema: LabelSchema
) -> None:
    """Trap: duplicate names are allowed, so a name finds nothing."""
    made = apply(connection, schema).project_id
    other = connection.call("POST", "/api/projects", body={"name": f"mirrorset {schema.name}"})
    connection.call("PATCH", f"/api/projects/{made}", body={"name": "Faces of spring"})
    assert ready(connection, schema)[0] == made
    connection.call("DELETE", f"/api/projects/{other['id']}")


def test_two_projects_with_the_mark_are_refused(
    connection: Connection, schema: LabelSchema
) -> None:
    made = apply(connection, schema).project_id
    twin = {"name": "a backup put back", "bug_tracker": mark(schema)}
    other = connection.call("POST", "/api/projects", body=twin)["id"]
    with pytest.raises(SettingsError, match=f"Projects {made} and {other}"):
        apply(connection, schema)


def test_an_organisation_has_a_project_of_its_own(cvat: Cvat, schema: LabelSchema) -> None:
    """Trap: without X-Organization the server shows everything."""
    personal = connect(cvat.url, cvat.token)
    slug = f"o{secrets.token_hex(4)}"
    organisation = personal.call("POST", "/api/organizations", body={"slug": slug})
    inside = connect(cvat.url, cvat.token, slug)
    try:
        shared = ready(inside, schema)[0]
        own = ready(personal, schema)[0]
        assert shared != own
        assert (ready(inside, schema)[0], ready(personal, schema)[0]) == (shared, own)
        inside.call("DELETE", f"/api/projects/{shared}")
    finally:
        personal.call("DELETE", f"/api/organizations/{organisation['id']}")


def test_an_organisation_that_is_not_there_is_refused(cvat: Cvat, schema: LabelSchema) -> None:
    """Even while the server holds no project at all."""
    slug = f"o{secrets.token_hex(4)}"
    outside = connect(cvat.url, cvat.token, slug)
    for ask in (difference, apply, ready):
        with pytest.raises(SettingsError, match=f"has no organisation '{slug}': set cvat_organ"):
            ask(outside, schema)


# --- changing ----------------------------------------------------------------------------------


def test_what_harms_nothing_is_done_and_loses_no_annotation(
    connection: Connection, schema: LabelSchema
) -> None:
    project = apply(connection, schema).project_id
    task = annotate(connection, schema, project)
    before = annotations(connection, task)
    hat = LabelSpec(name="hat", shape="mask", colour="#37474f")
    beard = AttributeSpec(name="beard", kind="select", values=("no", "yes"), default="no")
    wider = with_attribute(schema, "glasses", values=("unknown", "none", "clear", "dark", "broken"))
    wider = with_label(wider, "face", attributes=(*wider.face.attributes, beard), colour="#123456")
    wider = wider.model_copy(update={"labels": (*wider.labels, hat)})
    assert set(apply(connection, wider).done) == {
        "face: colour #f5a623 becomes #123456",
        "face: attribute glasses: new options broken",
        "face: new attribute beard",
        "hat: new mask",
    }
    assert annotations(connection, task) == before
    assert apply(connection, wider).done == ()
    assert ready(connection, wider)[0] == project


def test_a_label_in_use_is_not_deleted(connection: Connection, schema: LabelSchema) -> None:
    """Trap: deleting a label deletes its annotations."""
    project = apply(connection, schema).project_id
    task = annotate(connection, schema, project)
    before = annotations(connection, task)
    narrower = without(schema, "blurred")
    with pytest.raises(SettingsError, match=r"blurred: label goes \(2 annotations on 2 images\)"):
        apply(connection, narrower)
    ((change, use),) = difference(connection, narrower).plan.broken
    assert (change.label, use.images) == ("blurred", 2)
    assert annotations(connection, task) == before
    assert apply(connection, without(schema, "noisy")).done == ("noisy: label goes",)
    assert annotations(connection, task) == before


def test_what_is_broken_keeps_all_else_from_being_done(
    connection: Connection, schema: LabelSchema
) -> None:
    project = apply(connection, schema).project_id
    annotate(connection, schema, project)
    both = with_label(without(schema, "blurred"), "person", colour="#000000")
    before = labels(connection, project)
    with pytest.raises(SettingsError, match="project of its own"):
        apply(connection, both)
    assert labels(connection, project) == before


def test_an_option_in_use_is_not_taken_away(connection: Connection, schema: LabelSchema) -> None:
    """Trap: changed options keep old values."""
    project = apply(connection, schema).project_id
    annotate(connection, schema, project)
    fewer = with_attribute(schema, "glasses", values=("unknown", "none", "clear"))
    with pytest.raises(SettingsError, match=r"option dark goes \(2 annotations on 2 images\)"):
        apply(connection, fewer)
    unused = with_attribute(schema, "glasses", values=("unknown", "none", "dark"))
    assert apply(connection, unused).done == ("face: attribute glasses: option clear goes",)


@pytest.mark.parametrize("default", ["1", "0.5"])
def test_a_range_that_leaves_values_outside_is_refused(
    connection: Connection, schema: LabelSchema, default: str
) -> None:
    """Trap: a number with fractions is text to CVAT, so the server's words tell no range."""
    project = apply(connection, schema).project_id
    annotate(connection, schema, project)
    narrow = with_attribute(schema, "score", values=("0", "0.5", "0.0001"), default=default)
    before = labels(connection, project)
    outside = r"face: attribute score: values outside 0…0.5 \(2 annotations on 2 images\)"
    with pytest.raises(SettingsError, match=outside):
        apply(connection, narrow)
    ((change, use),) = difference(connection, narrow).plan.broken
    assert (change.label, use.annotations, use.images) == ("face", 2, 2)
    assert labels(connection, project) == before
    fits = with_attribute(schema, "score", values=("0.5", "1", "0.0001"), default="0.9")
    assert apply(connection, fits).done == ("face: attribute score: default '1' becomes '0.9'",)
    assert apply(connection, fits).done == ()


def test_what_only_a_ground_truth_job_has_counts(
    connection: Connection, schema: LabelSchema
) -> None:
    """Trap: a task's own annotations leave out those of its ground-truth job."""
    project = apply(connection, schema).project_id
    task = annotate(connection, schema, project)
    gold = connection.call(
        "POST",
        "/api/jobs",
        body={
            "type": "ground_truth",
            "task_id": task,
            "frame_selection_method": "manual",
            "frames": [1],
        },
    )
    (noisy,) = [one for one in labels(connection, project) if one["name"] == "noisy"]
    tag = {"label_id": noisy["id"], "frame": 1, "group": 0, "source": "manual", "attributes": []}
    connection.call(
        "PUT",
        f"/api/jobs/{gold['id']}/annotations/",
        body={"version": 0, "tags": [tag], "shapes": [], "tracks": []},
    )
    with pytest.raises(SettingsError, match=r"noisy: label goes \(1 annotations on 1 images\)"):
        apply(connection, without(schema, "noisy"))


def fewer_points(schema: LabelSchema) -> LabelSchema:
    """Without the last point of the inner lips."""
    last = len(schema.point_names) - 1
    return schema.model_copy(
        update={
            "point_names": schema.point_names[:last],
            "layout": schema.layout[:last],
            "edges": tuple(edge for edge in schema.edges if last not in edge),
        }
    )


def test_points_of_skeletons_in_use_neither_come_nor_go(
    connection: Connection, schema: LabelSchema
) -> None:
    """Traps: deleting a sublabel strips that element; adding one is ignored with 200."""
    few = fewer_points(schema)
    project = apply(connection, few).project_id
    task = annotate(connection, few, project)
    before = connection.call("GET", f"/api/tasks/{task}/annotations/")
    with pytest.raises(SettingsError, match=r"points new: lips_inner_7 \(2 annotations"):
        apply(connection, schema)
    assert connection.call("GET", f"/api/tasks/{task}/annotations/") == before
    with pytest.raises(SettingsError, match="schema diff"):
        ready(connection, schema)[0]


def test_a_skeleton_without_annotations_is_made_anew(
    connection: Connection, schema: LabelSchema
) -> None:
    project = apply(connection, fewer_points(schema)).project_id
    apply(connection, schema)
    (skeleton,) = [one for one in labels(connection, project) if one["name"] == "ibug68"]
    assert len(skeleton["sublabels"]) == 68
    assert apply(connection, schema).done == ()


def test_a_drawing_that_the_server_ignores_is_kept_and_said(
    connection: Connection, schema: LabelSchema
) -> None:
    """Trap: a changed svg is answered with 200 and ignored."""
    project = apply(connection, schema).project_id
    task = annotate(connection, schema, project)
    before = annotations(connection, task)
    moved = schema.model_copy(update={"layout": ((9.9, 18.5), *schema.layout[1:])})
    for _ in range(2):
        result = apply(connection, moved)
        assert result.kept == ("ibug68: drawing of the template changes",)
        assert result.done == ()
    assert annotations(connection, task) == before
    assert ready(connection, moved)[0] == project


class Deaf(Connection):
    """To a server that answers every change of a label with 200 and makes none."""

    def call(self, method: str, path: str, **options: Any) -> Any:
        if method == "PATCH" and path.startswith("/api/labels/"):
            return super().call("GET", path)
        return super().call(method, path, **options)


def test_a_change_that_was_answered_well_and_ignored_is_an_error(
    cvat: Cvat, connection: Connection, schema: LabelSchema
) -> None:
    apply(connection, schema)
    other = with_attribute(schema, "glasses", default="none")
    with pytest.raises(IntegrityError, match=r"did not take this .*glasses: default"):
        apply(Deaf(cvat.url, cvat.token), other)


# --- the guide ---------------------------------------------------------------------------------


def guide_of(connection: Connection, project: int) -> tuple[int, str]:
    guide_id = connection.call("GET", f"/api/projects/{project}")["guide_id"]
    return guide_id, connection.call("GET", f"/api/guides/{guide_id}")["markdown"]


def test_pictures_of_the_guide_are_the_files(connection: Connection, schema: LabelSchema) -> None:
    project = apply(connection, schema).project_id
    _, markdown = guide_of(connection, project)
    wanted = guides.read_guide(schema)
    for picture in wanted.pictures:
        asset = markdown.split(f"[sha256:{picture.sha256}]: ")[1].splitlines()[0]
        content = connection.call("GET", asset)
        assert Image.open(io.BytesIO(content)).size == Image.open(io.BytesIO(picture.content)).size
        assert f"]({asset})" in markdown


def test_a_guide_belongs_to_one_project_or_task_and_is_in_no_list(
    connection: Connection, schema: LabelSchema
) -> None:
    """Traps: exactly one of project_id and task_id; no list of guides; a second one is a 500."""
    project = apply(connection, schema).project_id
    task = connection.call("POST", "/api/tasks", body={"name": "t", "project_id": project})["id"]

    def status(method: str, body: dict[str, object] | None) -> int:
        with pytest.raises(AnswerError) as refused:
            connection.call(method, "/api/guides", body=body, is_repeatable=True)
        return refused.value.status

    assert status("POST", {"markdown": "x"}) == 400
    assert status("POST", {"markdown": "x", "project_id": project, "task_id": task}) == 400
    assert status("POST", {"markdown": "x", "project_id": project}) == 500
    assert status("GET", None) == 405
    assert apply(connection, schema).is_guide_new is False


def test_a_changed_guide_keeps_the_pictures_that_are_there(
    connection: Connection, schema: LabelSchema
) -> None:
    """Traps: a second guide is a 500; an asset whose link leaves the Markdown is deleted."""
    project = apply(connection, schema).project_id
    guide_id, before = guide_of(connection, project)
    newer = schema.model_copy(
        update={"version": "selfie-99", "guides": ("selfie.md", "parsing.md")}
    )
    assert not difference(connection, newer).is_guide_current
    requests = connection.requests
    result = apply(connection, newer)
    assert (result.is_guide_new, result.done) == (True, ())
    same_id, after = guide_of(connection, project)
    assert same_id == guide_id
    assert "selfie-99" in after
    old = {line for line in before.splitlines() if line.startswith("[sha256:")}
    new = {line for line in after.splitlines() if line.startswith("[sha256:")}
    assert old < new
    assert len(new - old) == 1
    assert connection.requests - requests < 30


def test_a_guide_that_somebody_edited_is_put_right_with_its_lost_pictures(
    connection: Connection, schema: LabelSchema
) -> None:
    project = apply(connection, schema).project_id
    guide_id, before = guide_of(connection, project)
    connection.call("PATCH", f"/api/guides/{guide_id}", body={"markdown": "# nothing"})
    connection.call("PATCH", f"/api/guides/{guide_id}", body={"markdown": before})
    assert apply(connection, schema).is_guide_new
    _, after = guide_of(connection, project)
    assert after != before
    for line in after.splitlines():
        if line.startswith("[sha256:"):
            assert connection.call("GET", line.split(": ")[1])
    assert not apply(connection, schema).is_guide_new


# --- killed ------------------------------------------------------------------------------------


class KilledError(Exception):
    """What a kill looks like from inside."""


class Dying(Connection):
    """Killed at its nth call: before it is sent, or after it has worked and before it is heard."""

    def dies(self, at: int, is_heard: bool) -> "Dying":
        self.left, self.is_heard = at, is_heard
        return self

    def call(self, method: str, path: str, **options: Any) -> Any:
        self.left -= 1
        if self.left == 0 and self.is_heard:
            raise KilledError
        answer = super().call(method, path, **options)
        if self.left == 0:
            raise KilledError
        return answer


@pytest.mark.parametrize("is_heard", [True, False], ids=["before", "after"])
def test_a_project_that_was_killed_anywhere_is_finished_once(
    cvat: Cvat, connection: Connection, schema: LabelSchema, is_heard: bool
) -> None:
    for at in (1, 2, 3, 4, 5, 6, 9, 13, 15, 18):
        with pytest.raises(KilledError):
            apply(Dying(cvat.url, cvat.token).dies(at, is_heard), schema)
        apply(connection, schema)
        again = apply(connection, schema)
        assert (again.is_new, again.done, again.is_guide_new) == (False, (), False)
        marked = [
            one for one in connection.pages("/api/projects") if one["bug_tracker"] == mark(schema)
        ]
        assert [one["id"] for one in marked] == [again.project_id]
        connection.call("DELETE", f"/api/projects/{again.project_id}")


@pytest.mark.parametrize("is_heard", [True, False], ids=["before", "after"])
def test_a_change_that_was_killed_anywhere_is_finished_and_loses_nothing(
    cvat: Cvat, connection: Connection, schema: LabelSchema, is_heard: bool
) -> None:
    project = apply(connection, schema).project_id
    task = annotate(connection, schema, project)
    before = annotations(connection, task)
    hat = LabelSpec(name="hat", shape="mask", colour="#37474f")
    level = schema.label("light_level", "tag")
    assert level is not None
    other = without(with_attribute(schema, "glasses", default="none"), "noisy")
    other = with_label(other, "light_level", attributes=())
    other = other.model_copy(update={"labels": (*other.labels, hat)})
    for at in range(1, 100):
        try:
            apply(Dying(cvat.url, cvat.token).dies(at, is_heard), other)
        except KilledError:
            continue
        break
    assert at > 5
    assert difference(connection, other).plan.done == ()
    assert annotations(connection, task) == before


def test_a_lost_answer_makes_no_second_project(
    cvat: Cvat, connection: Connection, schema: LabelSchema
) -> None:
    class Losing(Connection):
        """The answer to the first creation of a project is lost on the way."""

        lost = 0

        def _try(self, method: str, path: str, *rest: Any) -> Any:
            response, error = super()._try(method, path, *rest)
            if (method, path, self.lost) == ("POST", "/api/projects", 0):
                self.lost = 1
                return None, ProtocolError("connection reset")
            return response, error

    losing = Losing(cvat.url, cvat.token)
    made = apply(losing, schema)
    assert losing.lost == 1
    assert find(connection, schema)["id"] == made.project_id


def test_faults_of_the_server_make_no_second_project_and_lose_nothing(
    cvat: Cvat, connection: Connection, schema: LabelSchema
) -> None:
    for seed in range(6):
        cvat.faults.at_random(0.2, seed=seed, kinds=ANYTHING)
        with contextlib.suppress(UnavailableError):
            apply(connection, schema)
        cvat.faults.clear()
        apply(connection, schema)
        marked = [
            one for one in connection.pages("/api/projects") if one["bug_tracker"] == mark(schema)
        ]
        (project,) = [one["id"] for one in marked]
        assert difference(connection, schema).plan.done == ()
        connection.call("DELETE", f"/api/projects/{project}")
    assert cvat.faults.happened


def test_a_change_whose_answer_was_lost_is_not_refused(
    cvat: Cvat, connection: Connection, schema: LabelSchema
) -> None:
    """Trap: the same labels sent twice are refused with 400, "must be unique"."""
    project = apply(connection, without(schema, "noisy")).project_id
    task = annotate(connection, schema, project)
    before = annotations(connection, task)
    cvat.faults.next(Kind.RESET_AFTER, method="PATCH", path=f"/api/projects/{project}$")
    other = with_label(schema, "person", colour="#000000")
    assert set(apply(connection, other).done) == {
        "noisy: new tag",
        "person: colour #4a78d6 becomes #000000",
    }
    assert len(cvat.faults.happened) == 1
    assert annotations(connection, task) == before


def test_errors_are_one_sentence_that_says_what_to_do(
    connection: Connection, schema: LabelSchema
) -> None:
    project = apply(connection, schema).project_id
    annotate(connection, schema, project)
    with pytest.raises(MirrorsetError) as error:
        apply(connection, without(schema, "blurred"))
    assert str(error.value).endswith("and so a project of its own.")
    assert "\n" not in str(error.value)
