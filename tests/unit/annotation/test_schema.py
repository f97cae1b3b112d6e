import json

import pytest

from annotation.schema import LabelSchema, cvat_labels, load_label_schema, skeleton_svg
from faces.schema import load_schema
from mirrorset.errors import SettingsError


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


def test_unknown_schema_names_the_known() -> None:
    with pytest.raises(SettingsError, match="choose one of selfie"):
        load_label_schema("passport")


@pytest.mark.parametrize(("value", "is_fine"), [("0.93", True), ("1.5", False), ("high", False)])
def test_numbers_are_held_to_their_range(schema: LabelSchema, value: str, is_fine: bool) -> None:
    (score,) = [one for one in schema.face.attributes if one.name == "score"]
    assert score.accepts(value) is is_fine
