"""The detection function, called by CVAT's own driver and client, on real photographs."""

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import pytest
from cvat_sdk import auto_annotation as cvataa
from cvat_sdk.masks import decode_mask
from cvat_task import CvatTask, cvat_task, with_ids
from PIL import Image

from annotation.conversion import to_shapes
from annotation.cvat.functions import LabellingFunction, create
from annotation.prelabel import PrelabelParams, prelabel
from annotation.schema import cvat_labels, load_label_schema
from faces.masks import decode
from faces.profiles import PROFILES, Profile
from mirrorset.records import Annotation, utc_now

SCHEMA = load_label_schema()
LABELS = with_ids(cvat_labels(SCHEMA))


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


def annotated(
    function: LabellingFunction,
    frames: dict[str, bytes],
    shared_data: Path,
    cache: Path,
    labels: list[dict[str, Any]] = LABELS,
    **options: Any,
) -> dict[str, list[dict[str, Any]]]:
    """What the driver sends as the annotations of a task with these frames."""
    recorded = shared_data / "cvat" / "transcript.jsonl"
    with cvat_task(recorded, frames, labels, cache) as (client, task):
        cvataa.annotate_task(client, 1, function, **options)
    (sent,) = task.kept
    return sent


def expected(
    content: bytes, profile: Profile, labels: list[dict[str, Any]] = LABELS
) -> tuple[Annotation, list[dict[str, Any]]]:
    """The labels that the catalogue would have, and their shapes as the server names them."""
    image_id = hashlib.sha256(content).hexdigest()
    annotation, *_ = prelabel(image_id, content, profile, PrelabelParams(), utc_now())
    assert isinstance(annotation, Annotation)
    ids = {label["name"]: label for label in labels}

    def values(label: dict[str, Any], attributes: dict[str, str]) -> list[dict[str, Any]]:
        by_name = {one["name"]: one["id"] for one in label["attributes"]}
        return [{"spec_id": by_name[name], "value": said} for name, said in attributes.items()]

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
    return annotation, rows


def bare(shape: dict[str, Any]) -> dict[str, Any]:
    """A shape without what the driver and the SDK's defaults add."""
    kept = ("type", "label_id", "points", "attributes", "elements", "occluded", "outside")
    row = {name: value for name, value in shape.items() if name in kept}
    if "elements" in row:
        row["elements"] = [bare(one) for one in row["elements"]]
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
    function: LabellingFunction,
    profile: Profile,
    frames: dict[str, bytes],
    shared_data: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = annotated(function, frames, shared_data, tmp_path)
    tags = {label["id"]: label["name"] for label in LABELS if label["type"] == "tag"}
    person = next(label for label in LABELS if label["name"] == "person")
    for number, name in enumerate(("astronaut.png", "phone.jpg")):
        labels, rows = expected(frames[name], profile)
        found = [bare(one) for one in sent["shapes"] if one["frame"] == number]
        assert [one for one in found if one["type"] != "mask"] == rows
        (mask,) = [one for one in found if one["type"] == "mask"]
        assert mask["label_id"] == person["id"]
        size = max(labels.masks[0].right, labels.masks[0].bottom) + 1
        assert (
            decode_mask(mask["points"], image_width=size, image_height=size)
            == decode(labels.masks[0], size, size)
        ).all()
        set_here = [one for one in sent["tags"] if one["frame"] == number]
        assert {tags[one["label_id"]]: one["attributes"][0]["value"] for one in set_here} == (
            labels.tags
        )
    assert {one["source"] for one in (*sent["shapes"], *sent["tags"])} == {"auto"}
    assert {one["frame"] for one in sent["shapes"]} == {0, 1}
    (warning,) = [one for one in caplog.messages if "coffee.png" in one]
    assert warning == f"coffee.png is not labelled: {profile.name} found no face."


def test_masks_become_polygons_where_the_label_is_one(
    function: LabellingFunction,
    profile: Profile,
    frames: dict[str, bytes],
    shared_data: Path,
    tmp_path: Path,
) -> None:
    labels = [one | {"type": "polygon"} if one["name"] == "person" else one for one in LABELS]
    one_frame = {"astronaut.png": frames["astronaut.png"]}
    sent = annotated(
        function, one_frame, shared_data, tmp_path, labels=labels, conv_mask_to_poly=True
    )
    kinds = [shape["type"] for shape in sent["shapes"]]
    assert "polygon" in kinds
    assert "mask" not in kinds
    for shape in sent["shapes"]:
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
    labels, _ = expected(frames["astronaut.png"], profile)
    score = labels.faces[0].score
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
    function: LabellingFunction, frames: dict[str, bytes], shared_data: Path, tmp_path: Path
) -> None:
    others = [label for label in LABELS if label["name"] != "person"]
    one_frame = {"coffee.png": frames["coffee.png"]}
    with pytest.raises(cvataa.BadFunctionError, match="'person' is not in dataset"):
        annotated(function, one_frame, shared_data, tmp_path, labels=others)
    recorded = shared_data / "cvat" / "transcript.jsonl"
    with cvat_task(recorded, one_frame, others, tmp_path / "b") as (client, task):
        assert isinstance(task, CvatTask)
        cvataa.annotate_task(client, 1, function, allow_unmatched_labels=True)
    assert task.kept[0]["shapes"] == []
