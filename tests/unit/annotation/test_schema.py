import json
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

import annotation.schema
from annotation.schema import (
    AttributeSpec,
    LabelSchema,
    LabelSpec,
    cvat_labels,
    load_label_schema,
    skeleton_svg,
)
from faces.parsing import CLASSES
from faces.schema import load_schema
from mirrorset.errors import SettingsError
from mirrorset.records import AgeBand, Tone


def test_skeleton_is_the_landmark_schema(schema: LabelSchema) -> None:
    landmarks = load_schema("ibug68")
    assert schema.point_names == landmarks.names
    assert schema.edges == landmarks.edges
    assert len(schema.layout) == 68


def test_layout_is_symmetric_as_the_mirror_says(schema: LabelSchema) -> None:
    mirror = load_schema("ibug68").mirror
    for index, (x, y) in enumerate(schema.layout):
        other_x, other_y = schema.layout[mirror[index]]
        assert (other_x, other_y) == pytest.approx((100 - x, y))


def test_svg_has_a_circle_a_point_and_a_line_an_edge(schema: LabelSchema) -> None:
    svg = skeleton_svg(schema)
    assert svg.count("<circle ") == 68
    assert svg.count("<line ") == len(schema.edges)
    assert 'data-element-id="68" data-node-id="68" data-label-name="lips_inner_7"' in svg
    assert 'data-node-from="1" data-node-to="2"' in svg


def test_labels_have_the_fields_a_real_project_was_made_with(
    schema: LabelSchema, shared_data
) -> None:
    lines = (shared_data / "cvat" / "transcript2.jsonl").read_text().splitlines()
    project = next(
        entry["request_json"]
        for entry in map(json.loads, lines)
        if entry["step"] == "project_68" and entry["method"] == "POST"
    )
    real = {label["type"]: label for label in project["labels"]}
    ours = {label["type"]: label for label in cvat_labels(schema)}
    for kind in ("rectangle", "skeleton", "mask", "tag"):
        assert set(real[kind]) <= set(ours[kind])
    assert set(real["skeleton"]["sublabels"][0]) == set(ours["skeleton"]["sublabels"][0])
    assert set(real["rectangle"]["attributes"][0]) == set(ours["rectangle"]["attributes"][0])


def test_stop_tag_has_the_reasons(schema: LabelSchema) -> None:
    stop = schema.label("do_not_use", "tag")
    assert stop is not None
    (reason,) = stop.attributes
    assert {"minor", "intimate", "distress", "not_consented"} < set(reason.values)
    assert reason.accepts("minor")
    assert not reason.accepts("ugly")


def test_light_has_a_side_and_a_level(schema: LabelSchema) -> None:
    for name, values in (("lighting", {"left", "back"}), ("light_level", {"low", "high"})):
        tag = schema.label(name, "tag")
        assert tag is not None
        assert values < set(tag.attributes[0].values)


def test_what_belongs_to_the_person_stays_through_a_track(schema: LabelSchema) -> None:
    mutable = {one["name"]: one["mutable"] for one in cvat_labels(schema)[0]["attributes"]}
    assert mutable == {
        "face_id": False,
        "score": True,
        "occlusion": True,
        "glasses": False,
        "expression": True,
    }


def test_left_and_right_points_have_different_colours(schema: LabelSchema) -> None:
    points = {one["name"]: one["color"] for one in cvat_labels(schema)[1]["sublabels"]}
    assert points["eye_left_0"] != points["eye_right_0"]
    assert points["brow_left_4"] == schema.skeleton.point_colours["brow_left"]


def test_a_point_without_a_group_has_the_labels_colour() -> None:
    label = LabelSpec(
        name="s", shape="skeleton", colour="#000001", point_colours={"eye": "#000002"}
    )
    assert [label.point_colour(one) for one in ("eye_3", "nose")] == ["#000002", "#000001"]


def test_coverage_is_two_tags_of_the_values_that_are_counted(schema: LabelSchema) -> None:
    coverage = load_label_schema("selfie-coverage")
    assert coverage.labels[: len(schema.labels)] == schema.labels
    for name, values in (("tone", get_args(Tone)), ("age_band", get_args(AgeBand))):
        tag = coverage.label(name, "tag")
        assert tag is not None
        assert [attribute.values for attribute in tag.attributes] == [values]


def test_parsing_masks_have_labels_beside_all_of_selfie(schema: LabelSchema) -> None:
    parsing = load_label_schema("selfie-parsing")
    assert parsing.labels[: len(schema.labels)] == schema.labels
    assert all(parsing.label(name, "mask") for name in CLASSES[1:])
    assert not any(schema.label(name, "mask") for name in CLASSES[1:])
    assert parsing.layout == schema.layout
    assert parsing.version != schema.version


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "select", "values": ["a"], "default": "b"}, "own default"),
        ({"kind": "select", "values": ["a", " b"], "default": "a"}, "one line without margins"),
        ({"kind": "select", "values": ["a", "b\nc"], "default": "a"}, "one line without margins"),
        ({"kind": "number", "values": ["0", "1"], "default": "0"}, "lowest, highest and step"),
        ({"kind": "number", "values": ["0", "1", "1"], "default": "2"}, "own default"),
        ({"kind": "number", "values": ["1", "0", "1"], "default": "1"}, "not below its highest"),
        ({"kind": "number", "values": ["a", "b", "c"], "default": "a"}, "not below its highest"),
        ({"kind": "number", "values": ["nan", "1", "1"], "default": "1"}, "not below its highest"),
        ({"kind": "select", "values": ["a", "b" * 5000], "default": "a"}, "5000 characters"),
    ],
)
def test_an_attribute_with_an_illegal_default_is_refused(fields: dict, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        AttributeSpec.model_validate({"name": "x", **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"colour": "red"},  # the server takes it, and its editor draws in no colour
        {"colour": "#FF0000"},  # it may give back another spelling than it was sent
        {"name": "n" * 65},  # it answers 400: 64 letters at the most
        {"attributes": [{"name": "q", "kind": "text", "default": ""}] * 2},  # 400: twice
    ],
)
def test_a_label_that_the_server_would_not_draw_is_refused(fields: dict) -> None:
    good = {"name": "hair", "shape": "mask", "colour": "#6d4c41"}
    assert LabelSpec.model_validate(good)
    with pytest.raises(ValidationError):
        LabelSpec.model_validate(good | fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("labels:\n\t- a", "mine.yaml is no YAML: .*line 2"),
        ("", "mine.yaml has no list `labels`"),
        ("[1, 2]", "mine.yaml has no list `labels`"),
        ("version: x-1", "mine.yaml has no list `labels`"),
        ("extends: selfie\nlabels: [7]", "mine.yaml: label [0-9]+: "),
        ("extends: mine\nlabels: []", "mine.yaml extends itself"),
        ("labels: []\x00", "mine.yaml is no YAML"),
        (
            "extends: selfie\nlabels: [{name: scar, shape: tag, colour: red}]",
            "mine.yaml: label 'scar': colour: 'red' is no colour: write #rrggbb, in small letters",
        ),
        ("extends: selfie\nguides: [../../README.md]\nlabels: []", "mine.yaml: guides"),
        (
            "extends: selfie\nlabels: [{name: person, shape: mask, colour: '#abcdef'}]",
            "two labels are named person",
        ),
        ("version: x-1\nlayout: []\nlabels: []", "exactly one rectangle"),
    ],
)
def test_a_broken_schema_is_named_with_the_place(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in annotation.schema._SCHEMAS.glob("*.yaml"):
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.setattr(annotation.schema, "_SCHEMAS", tmp_path)
    with pytest.raises(SettingsError, match=said) as refusal:
        load_label_schema.__wrapped__("mine")
    assert "\n" not in str(refusal.value)


def edited(schema: LabelSchema, label: str, field: str, *values: object) -> dict:
    """The schema's fields with another field of one label."""
    labels = [
        one.model_dump() | {field: list(values)} if one.name == label else one.model_dump()
        for one in schema.labels
    ]
    return schema.model_dump() | {"labels": labels}


def test_what_records_need_or_have_no_place_for_is_refused(schema: LabelSchema) -> None:
    """Else it would be applied, pushed, and what people did could not be read."""
    face_id, score, *_ = (one.model_dump() for one in schema.face.attributes)
    number = {"name": "age", "kind": "number", "values": ["0", "99", "1"], "default": "0"}
    text = {"name": "note", "kind": "text", "default": ""}
    confidence = schema.skeleton.point_attributes[0].model_dump()
    for fields, said in (
        (edited(schema, "face", "attributes", face_id), "face: there is no attribute score"),
        (edited(schema, "face", "attributes", score), "face: there is no attribute face_id"),
        (edited(schema, "face", "attributes", face_id, score, number), "age needs a default"),
        (edited(schema, "ibug68", "attributes", face_id), "have to be confidence and face_id"),
        (edited(schema, "ibug68", "point_attributes"), "points of ibug68: .* be confidence"),
        (edited(schema, "ibug68", "point_attributes", confidence, text), "points of ibug68"),
        (edited(schema, "person", "attributes", text), "person: the attributes have to be none"),
    ):
        with pytest.raises(ValidationError, match=said):
            LabelSchema.model_validate(fields)
    assert LabelSchema.model_validate(edited(schema, "face", "attributes", face_id, score, text))


@pytest.mark.parametrize("tag", ["reviewed", "do_not_use"])
def test_annotators_can_always_say_that_they_looked_and_that_they_stop(
    schema: LabelSchema, tag: str
) -> None:
    labels = [one.model_dump() for one in schema.labels if one.name != tag]
    with pytest.raises(ValidationError, match=f"there is no tag {tag}, by which annotators"):
        LabelSchema.model_validate(schema.model_dump() | {"labels": labels})


@pytest.mark.parametrize("place", [(5, 5), (float("nan"), 0), (101, 3)])
def test_a_layout_that_draws_nothing_is_refused(
    schema: LabelSchema, place: tuple[float, float]
) -> None:
    fields = schema.model_dump() | {"layout": [place] * len(schema.layout)}
    with pytest.raises(ValidationError, match="not spread over its 100×100"):
        LabelSchema.model_validate(fields)


def test_a_name_is_no_path() -> None:
    with pytest.raises(SettingsError, match="no label schema"):
        load_label_schema("../schemas/selfie")


def test_unknown_schema_names_the_known() -> None:
    with pytest.raises(
        SettingsError, match="choose one of selfie, selfie-coverage, selfie-parsing"
    ):
        load_label_schema("passport")


@pytest.mark.parametrize(("value", "is_fine"), [("0.93", True), ("1.5", False), ("high", False)])
def test_numbers_are_held_to_their_range(schema: LabelSchema, value: str, is_fine: bool) -> None:
    (score,) = [one for one in schema.face.attributes if one.name == "score"]
    assert score.accepts(value) is is_fine
