"""The detection function, called by CVAT's own driver and client, on real photographs."""

import hashlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cvat_sdk import auto_annotation as cvataa
from cvat_sdk.core.client import AccessTokenCredentials, Client, Config
from cvat_sdk.masks import decode_mask
from PIL import Image
from standin.server import Cvat

from annotation.conversion import to_shapes
from annotation.cvat.connection import connect
from annotation.cvat.functions import LabellingFunction, create
from annotation.prelabel import PrelabelParams, prelabel
from annotation.schema import cvat_labels, load_label_schema
from faces.masks import decode
from faces.profiles import PROFILES, Profile
from mirrorset.records import Annotation, utc_now

SCHEMA = load_label_schema()
LABELS = cvat_labels(SCHEMA)


# det_10g comes from an address that a machine may not reach.
@pytest.fixture(scope="module", params=sorted(set(PROFILES) - {"research-10g"}))
def function(request: pytest.FixtureRequest, model_cache: Path) -> LabellingFunction:
    """Every profile's function, made as cvat-cli makes it."""
    return create(profile=request.param, models=str(model_cache))


@pytest.fixture(scope="module")
def profile(function: LabellingFunction) -> Profile:
    return function._profile


@pytest.fixture(scope="module")
def frames(shared_data: Path) -> dict[str, bytes]:
    """A portrait, another that its phone says is turned, and a cup of coffee."""
    photos = shared_data / "photos"
    upright = Image.open(photos / "frl_zoom_cc0" / "45cm.jpg")
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(turned, "JPEG", quality=95, exif=exif)
    return {
        "astronaut.png": (photos / "pd_portraits" / "astronaut.png").read_bytes(),
        "phone.jpg": turned.getvalue(),
        "coffee.png": (photos / "negatives_skimage" / "coffee.png").read_bytes(),
    }


@dataclass
class Annotated:
    """What a server holds of a task that the driver annotated.

    labels: of its project, with their ids. frames: by name, as the server hands them out.
    """

    labels: list[dict[str, Any]]
    frames: dict[str, bytes]
    shapes: list[dict[str, Any]]
    tags: list[dict[str, Any]]


def annotated(
    cvat: Cvat,
    function: LabellingFunction,
    frames: dict[str, bytes],
    folder: Path,
    labels: Sequence[Any] = LABELS,
    **options: Any,
) -> Annotated:
    """A task with these frames and labels, annotated by the driver through the SDK's client."""
    connection = connect(cvat.url, cvat.token)
    project = {"name": "by a function", "labels": list(labels)}
    project_id = connection.call("POST", "/api/projects", body=project)["id"]
    paths = [folder / name for name in frames]
    for path in paths:
        path.write_bytes(frames[path.name])
    config = Config(status_check_period=0.05, cache_dir=folder / "cache")
    with Client(cvat.url, config=config, check_server_version=False) as client:
        client.login(AccessTokenCredentials(cvat.token))
        task = client.tasks.create_from_data(
            spec={"name": "t", "project_id": project_id},
            resources=paths,
            data_params={"image_quality": 95, "sorting_method": "predefined"},
        )
        cvataa.annotate_task(client, task.id, function, **options)
        held = connection.call("GET", f"/api/tasks/{task.id}/annotations/")
        return Annotated(
            labels=list(connection.pages("/api/labels", {"project_id": project_id})),
            frames={
                name: task.get_frame(number, quality="original").read()
                for number, name in enumerate(frames)
            },
            shapes=held["shapes"],
            tags=held["tags"],
        )


def labelled(content: bytes, profile: Profile) -> Annotation:
    image_id = hashlib.sha256(content).hexdigest()
    annotation, *_ = prelabel(image_id, content, profile, PrelabelParams(), utc_now())
    assert isinstance(annotation, Annotation)
    return annotation


def expected(
    content: bytes, profile: Profile, labels: Sequence[dict[str, Any]]
) -> tuple[Annotation, list[dict[str, Any]]]:
    """The labels that the catalogue would have, and their shapes as the server names them."""
    annotation = labelled(content, profile)
    ids = {label["name"]: label for label in labels}

    def values(label: dict[str, Any], attributes: dict[str, str]) -> list[dict[str, Any]]:
        """Those that are said, and the others as they are by themselves."""
        return [
            {"spec_id": one["id"], "value": attributes.get(one["name"], one["default_value"])}
            for one in label["attributes"]
        ]

    shapes = to_shapes(annotation, "x", 10_000, 10_000, SCHEMA)
    rows: list[dict[str, Any]] = []
    for box in shapes.rectangles:
        label = ids[box.label]
        rows.append(
            {"type": "rectangle", "label_id": label["id"], "points": list(box.box)}
            | {"attributes": values(label, box.attributes)}
        )
    for skeleton in shapes.skeletons:
        label = ids[skeleton.label]
        points = {one["name"]: one for one in label["sublabels"]}
        elements = [
            {
                "type": "points",
                "label_id": points[one.label]["id"],
                "points": list(one.point),
                "occluded": one.is_occluded,
                "outside": one.is_outside,
                "attributes": values(points[one.label], one.attributes),
            }
            for one in skeleton.elements
        ]
        rows.append(
            {"type": "skeleton", "label_id": label["id"], "elements": elements}
            | {"attributes": values(label, skeleton.attributes)}
        )
    return annotation, in_order(rows)


def in_order(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Shapes in an order of their own: a server keeps none, nor of elements and attributes."""
    sorted_ = [
        row
        | {"attributes": sorted(row["attributes"], key=lambda one: one["spec_id"])}
        | ({"elements": in_order(row["elements"])} if "elements" in row else {})
        for row in rows
    ]
    return sorted(sorted_, key=lambda row: (row["label_id"], row.get("points", [])))


def bare(shape: dict[str, Any]) -> dict[str, Any]:
    """A shape without what the SDK and a server add."""
    kept = ("type", "label_id", "points", "attributes", "elements", "occluded", "outside")
    row = {name: value for name, value in shape.items() if name in kept}
    if row.get("elements"):
        row["elements"] = [bare(one) for one in row["elements"]]
        row.pop("points", None)
    if shape["type"] != "points":
        row.pop("occluded", None)
        row.pop("outside", None)
        if not row.get("elements"):
            row.pop("elements", None)
    return row


def test_the_spec_is_the_schema_but_for_what_people_say(function: LabellingFunction) -> None:
    declared = {label.name: label for label in function.spec.labels}
    assert set(declared) == {one.name for one in SCHEMA.labels} - {"reviewed", "do_not_use"}
    assert [one.name for one in declared["ibug68"].sublabels] == list(SCHEMA.point_names)


def test_a_task_gets_the_labels_that_the_catalogue_would_have(
    cvat: Cvat,
    function: LabellingFunction,
    profile: Profile,
    frames: dict[str, bytes],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    held = annotated(cvat, function, frames, tmp_path)
    tags = {label["id"]: label["name"] for label in held.labels if label["type"] == "tag"}
    person = next(label for label in held.labels if label["name"] == "person")
    for number, name in enumerate(("astronaut.png", "phone.jpg")):
        labels, rows = expected(held.frames[name], profile, held.labels)
        found = [bare(one) for one in held.shapes if one["frame"] == number]
        assert in_order([one for one in found if one["type"] != "mask"]) == rows
        (mask,) = [one for one in found if one["type"] == "mask"]
        assert mask["label_id"] == person["id"]
        size = max(labels.masks[0].right, labels.masks[0].bottom) + 1
        assert (
            decode_mask(mask["points"], image_width=size, image_height=size)
            == decode(labels.masks[0], size, size)
        ).all()
        set_here = [one for one in held.tags if one["frame"] == number]
        assert {tags[one["label_id"]]: one["attributes"][0]["value"] for one in set_here} == (
            labels.tags
        )
    assert {one["source"] for one in (*held.shapes, *held.tags)} == {"auto"}
    assert {one["frame"] for one in held.shapes} == {0, 1}
    (warning,) = [one for one in caplog.messages if "coffee.png" in one]
    assert warning == f"coffee.png is not labelled: {profile.name} found no face."


def test_masks_become_polygons_where_the_label_is_one(
    cvat: Cvat, function: LabellingFunction, frames: dict[str, bytes], tmp_path: Path
) -> None:
    labels = [one | {"type": "polygon"} if one["name"] == "person" else one for one in LABELS]
    one_frame = {"astronaut.png": frames["astronaut.png"]}
    held = annotated(cvat, function, one_frame, tmp_path, labels=labels, conv_mask_to_poly=True)
    kinds = [shape["type"] for shape in held.shapes]
    assert "polygon" in kinds
    assert "mask" not in kinds
    for shape in held.shapes:
        if shape["type"] == "polygon":
            assert len(shape["points"]) >= 6
            assert 0 <= min(shape["points"]) <= max(shape["points"]) <= 512


class Context(cvataa.DetectionFunctionContext):
    """What a driver hands over with a frame."""

    frame_name = "frame.png"
    conv_mask_to_poly = False
    conf_threshold: float | None = None

    def __init__(self, conf_threshold: float | None = None) -> None:
        self.conf_threshold = conf_threshold


def test_faces_below_the_threshold_are_left_out(
    function: LabellingFunction, profile: Profile, frames: dict[str, bytes]
) -> None:
    image = Image.open(io.BytesIO(frames["astronaut.png"]))
    score = labelled(frames["astronaut.png"], profile).faces[0].score
    everything = function.detect(Context(), image)
    assert len(function.detect(Context(score), image)) == len(everything)
    assert function.detect(Context(min(1, score + 0.001)), image) == []


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_any_mode_are_labelled(
    function: LabellingFunction, frames: dict[str, bytes], mode: str
) -> None:
    portrait = Image.open(io.BytesIO(frames["astronaut.png"])).convert("RGB")
    if mode == "I;16":
        grey = portrait.convert("L")
        picture = Image.frombytes(
            "I;16", grey.size, b"".join(bytes((0, value)) for value in grey.tobytes())
        )
    else:
        picture = portrait.convert(mode)
    kinds = {one.type.value for one in function.detect(Context(), picture) if hasattr(one, "type")}
    assert kinds == {"rectangle", "skeleton", "mask"}


def test_doubt_of_age_is_a_warning_without_a_figure(
    profile: Profile, frames: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    strict = LabellingFunction(profile, PrelabelParams(max_minor_probability=1e-9))
    image = Image.open(io.BytesIO(frames["astronaut.png"]))
    with caplog.at_level(logging.WARNING):
        assert strict.detect(Context(), image)
    said = [one.message for one in caplog.records if one.name.startswith("annotation")]
    assert said == [
        "frame.png may show a minor: look at it first, and set the tag do_not_use where it does."
    ]


def test_an_intimate_frame_has_no_shapes_and_is_not_named(
    function: LabellingFunction,
    frames: dict[str, bytes],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "faces.nudity.NudityDetector.is_intimate", lambda _, pictures: [True] * len(pictures)
    )
    image = Image.open(io.BytesIO(frames["astronaut.png"]))
    with caplog.at_level(logging.WARNING):
        assert function.detect(Context(), image) == []
    said = [one.message for one in caplog.records if one.name.startswith("annotation")]
    assert said == ["A frame is not labelled: it is intimate. Take it out of the task."]


def test_a_task_without_a_label_of_the_schema_is_refused_unless_told(
    cvat: Cvat, function: LabellingFunction, frames: dict[str, bytes], tmp_path: Path
) -> None:
    others = [label for label in LABELS if label["name"] != "person"]
    one_frame = {"coffee.png": frames["coffee.png"]}
    with pytest.raises(cvataa.BadFunctionError, match="'person' is not in dataset"):
        annotated(cvat, function, one_frame, tmp_path, labels=others)
    held = annotated(
        cvat, function, one_frame, tmp_path, labels=others, allow_unmatched_labels=True
    )
    assert held.shapes == []
