"""What a schema would change in a project: on labels of dicts, and on what a real server did."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from annotation.cvat.changes import Stake, Use, changes, count, limits, plan, stakes
from annotation.schema import LabelSchema, cvat_labels, load_label_schema

Labels = list[dict[str, Any]]


def on_server(labels: Labels) -> Labels:
    """As GET /api/labels gives them: with ids, and a template that names points by id."""
    ids = iter(range(100, 100_000))
    there = copy.deepcopy(labels)
    for label in there:
        label["id"] = next(ids)
        for attribute in label["attributes"]:
            attribute["id"] = next(ids)
        for point in label.setdefault("sublabels", []):
            point["id"] = next(ids)
            for attribute in point["attributes"]:
                attribute["id"] = next(ids)
            if "svg" in label:
                name, by_id = f'data-label-name="{point["name"]}"', f'data-label-id="{point["id"]}"'
                label["svg"] = label["svg"].replace(name, by_id)
    return there


@pytest.fixture
def wanted(schema: LabelSchema) -> Labels:
    return cvat_labels(schema)


def named(labels: Labels, name: str) -> dict[str, Any]:
    return next(label for label in labels if label["name"] == name)


def attribute(labels: Labels, label: str, name: str) -> dict[str, Any]:
    return next(one for one in named(labels, label)["attributes"] if one["name"] == name)


def shape(label: dict[str, Any], frame: int = 0, **values: str) -> dict[str, Any]:
    ids = {one["name"]: one["id"] for one in label["attributes"]}
    return {
        "label_id": label["id"],
        "frame": frame,
        "attributes": [{"spec_id": ids[name], "value": value} for name, value in values.items()],
    }


def drawn(*shapes: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    return [(1, {"tags": [], "shapes": list(shapes), "tracks": []})]


def planned(wanted: Labels, there: Labels, annotated=()):
    listed = changes(wanted, there)
    return plan(listed, count(stakes(listed), there, annotated))


@pytest.mark.parametrize("name", ["selfie", "selfie-parsing"])
def test_what_was_applied_differs_in_nothing(name: str) -> None:
    labels = cvat_labels(load_label_schema(name))
    assert changes(labels, on_server(labels)) == []


def test_everything_is_new_to_an_empty_project(wanted: Labels) -> None:
    assert [(one.label, one.how) for one in changes(wanted, [])] == [
        (label["name"], "add") for label in wanted
    ]


def add_label(labels: Labels) -> None:
    labels.append({"name": "hat", "color": "#000000", "type": "mask", "attributes": []})


def recolour(labels: Labels) -> None:
    named(labels, "face")["color"] = "#123456"


def add_option(labels: Labels) -> None:
    attribute(labels, "face", "glasses")["values"].append("broken")


def add_attribute(labels: Labels) -> None:
    new = {**attribute(labels, "face", "glasses"), "name": "beard"}
    named(labels, "face")["attributes"].append(new)


def change_default(labels: Labels) -> None:
    attribute(labels, "face", "glasses")["default_value"] = "none"


def make_mutable(labels: Labels) -> None:
    attribute(labels, "face", "glasses")["mutable"] = True


def free_text(labels: Labels) -> None:
    attribute(labels, "face", "glasses").update(input_type="text", values=[""])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (add_label, "hat: new mask"),
        (recolour, "face: colour #f5a623 becomes #123456"),
        (add_option, "face: attribute glasses: new options broken"),
        (add_attribute, "face: new attribute beard"),
        (change_default, "face: attribute glasses: default 'unknown' becomes 'none'"),
        (make_mutable, "face: attribute glasses: mutable False becomes True"),
        (free_text, "face: attribute glasses: select becomes text"),
    ],
)
def test_what_harms_nothing_is_done_without_counting(
    wanted: Labels, change: Callable[[Labels], None], says: str
) -> None:
    there = on_server(wanted)
    change(wanted)
    listed = changes(wanted, there)
    assert [str(one) for one in listed] == [says]
    assert stakes(listed) == set()
    assert plan(listed, {}).done == tuple(listed)


def test_a_label_that_goes_takes_its_annotations_along(wanted: Labels) -> None:
    there = on_server(wanted)
    tag = shape(named(there, "blurred"))
    tags = [(7, {"tags": [tag, {**tag, "frame": 3}], "shapes": []}), (8, {"tags": [tag]})]
    without = [label for label in wanted if label["name"] != "blurred"]
    ((change, use),) = planned(without, there, tags).broken
    assert (str(change), use) == ("blurred: label goes", Use(annotations=3, images=3))
    assert [one.how for one in planned(without, there).done] == ["remove"]


def test_an_option_that_goes_is_refused_while_it_is_set(wanted: Labels) -> None:
    there = on_server(wanted)
    attribute(wanted, "face", "glasses")["values"] = ["unknown", "none", "clear"]
    face = named(there, "face")
    dark = drawn(shape(face, glasses="dark"), shape(face, glasses="dark"), shape(face, 1))
    ((change, use),) = planned(wanted, there, dark).broken
    assert str(change) == "face: attribute glasses: option dark goes"
    assert use == Use(annotations=2, images=1)
    clear = planned(wanted, there, drawn(shape(face, glasses="clear")))
    assert (clear.broken, len(clear.done)) == ((), 1)


def test_a_track_counts_with_the_values_of_its_frames(wanted: Labels) -> None:
    there = on_server(wanted)
    attribute(wanted, "face", "glasses")["values"] = ["unknown", "none", "clear"]
    face = named(there, "face")
    track = {**shape(face), "shapes": [shape(face, 4, glasses="dark")]}
    assert planned(wanted, there, [(1, {"tracks": [track]})]).broken[0][1].annotations == 1


def test_an_attribute_that_goes_stays_on_the_server(wanted: Labels) -> None:
    there = on_server(wanted)
    face = named(there, "face")
    named(wanted, "face")["attributes"].pop()
    unset = planned(wanted, there, drawn(shape(face, expression="unknown")))
    assert [str(one) for one in unset.kept] == ["face: attribute expression goes"]
    assert unset.done == unset.broken == ()
    ((_, use),) = planned(wanted, there, drawn(shape(face, expression="smile"))).broken
    assert use.annotations == 1
    assert [one.how for one in planned(wanted, there).done] == ["remake"]


def test_points_change_only_where_nothing_is_drawn(wanted: Labels) -> None:
    there = on_server(wanted)
    skeleton = named(wanted, "ibug68")
    gone = skeleton["sublabels"].pop()
    skeleton["sublabels"].append({**gone, "name": "tongue"})
    listed = [str(one) for one in changes(wanted, there)]
    assert listed == ["ibug68: points new: tongue", "ibug68: points gone: lips_inner_7"]
    annotated = drawn(shape(named(there, "ibug68")), shape(named(there, "ibug68"), 1))
    broken = planned(wanted, there, annotated).broken
    assert [use for _, use in broken] == [Use(annotations=2, images=2)] * 2
    assert {one.how for one in planned(wanted, there).done} == {"remake"}


def test_attributes_of_points_change_only_where_nothing_is_drawn(wanted: Labels) -> None:
    there = on_server(wanted)
    for point in named(wanted, "ibug68")["sublabels"]:
        point["attributes"][0]["default_value"] = "0.5"
    (change,) = changes(wanted, there)
    assert str(change) == "ibug68: attributes of 68 points change"
    assert planned(wanted, there, drawn(shape(named(there, "ibug68")))).broken


def test_looks_that_the_server_ignores_are_kept_as_they_are(wanted: Labels) -> None:
    there = on_server(wanted)
    skeleton = named(wanted, "ibug68")
    skeleton["svg"] = skeleton["svg"].replace('cx="50.0"', 'cx="51.0"')
    skeleton["sublabels"][0]["color"] = "#000000"
    result = planned(wanted, there, drawn(shape(named(there, "ibug68"))))
    assert [str(one) for one in result.kept] == [
        "ibug68: colours of 1 points change",
        "ibug68: drawing of the template changes",
    ]
    assert len(planned(wanted, there).done) == 2


def test_another_shape_is_refused_where_something_is_drawn(wanted: Labels) -> None:
    there = on_server(wanted)
    named(wanted, "person")["type"] = "polygon"
    ((change, _),) = planned(wanted, there, drawn(shape(named(there, "person")))).broken
    assert str(change) == "person: mask becomes polygon"


def ranged(schema: LabelSchema, label: str, field: str, name: str, *values: str) -> LabelSchema:
    """The schema with another range of one number."""
    labels = []
    for one in schema.labels:
        attributes = tuple(
            each.model_copy(update={"values": values}) if each.name == name else each
            for each in getattr(one, field)
        )
        labels.append(one.model_copy(update={field: attributes}) if one.name == label else one)
    return schema.model_copy(update={"labels": tuple(labels)})


def held_to(schema: LabelSchema, there: Labels, *shapes: dict[str, Any]) -> list[tuple[str, Use]]:
    """What the schema's limits would break; no limit is ever a thing to be done."""
    listed = limits(schema, there)
    result = plan(listed, count(stakes(listed), there, drawn(*shapes)))
    assert result.done == result.kept == ()
    return [(str(change), use) for change, use in result.broken]


def test_a_range_with_fractions_is_held_though_the_server_has_text(
    schema: LabelSchema, wanted: Labels
) -> None:
    there = on_server(wanted)
    face = named(there, "face")
    shapes = shape(face, score="0.87"), shape(face, 1, score="0.5"), shape(face, 2, score="1")
    assert held_to(schema, there, *shapes) == []
    narrow = ranged(schema, "face", "attributes", "score", "0", "0.5", "0.0001")
    assert changes(cvat_labels(narrow), there) == []
    assert held_to(narrow, there, *shapes) == [
        ("face: attribute score: values outside 0…0.5", Use(annotations=2, images=2))
    ]
    assert held_to(narrow, there, shapes[1]) == []


def test_an_attribute_that_becomes_a_fraction_is_held_to_it(
    schema: LabelSchema, wanted: Labels
) -> None:
    attribute(wanted, "face", "score").update(
        input_type="select", values=["low", "1"], default_value="1"
    )
    there = on_server(wanted)
    face = named(there, "face")
    assert held_to(schema, there, shape(face, score="low"), shape(face, score="1")) == [
        ("face: attribute score: values outside 0…1", Use(annotations=1, images=1))
    ]


def test_a_skeleton_and_its_points_have_ranges_of_their_own(
    schema: LabelSchema, wanted: Labels
) -> None:
    there = on_server(wanted)
    skeleton = named(there, "ibug68")
    points = [shape(point, confidence="0.9") for point in skeleton["sublabels"][:2]]
    whole = {**shape(skeleton, confidence="0.4"), "elements": points}
    for field, low, high, owner in (
        ("attributes", "0.5", "1", "attribute"),
        ("point_attributes", "0", "0.5", "points' attribute"),
    ):
        narrow = ranged(schema, "ibug68", field, "confidence", low, high, "0.0001")
        assert held_to(narrow, there, whole) == [
            (
                f"ibug68: {owner} confidence: values outside {low}…{high}",
                Use(annotations=1, images=1),
            )
        ]


def test_a_number_without_a_range_on_the_server_is_any_number(wanted: Labels) -> None:
    number = {"input_type": "number", "values": ["0", "10", "1"], "default_value": "0"}
    attribute(wanted, "face", "glasses").update(number)
    there = on_server(wanted)
    attribute(there, "face", "glasses")["values"] = []
    inside, outside = (shape(named(there, "face"), glasses=value) for value in ("10", "11"))
    assert planned(wanted, there, drawn(inside)).broken == ()
    ((change, use),) = planned(wanted, there, drawn(inside, outside)).broken
    assert str(change) == "face: attribute glasses: range none becomes 0…10"
    assert use == Use(annotations=1, images=1)


# --- what a real server did --------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> list[dict[str, Any]]:
    lines = (shared_data / "cvat" / "transcript2.jsonl").read_text().splitlines()
    steps = [one for one in map(json.loads, lines) if one["step"] == "label_schema_changes"]
    assert len(steps) == 65
    return steps


def labels_at(recorded: list[dict[str, Any]], number: int) -> Labels:
    """The labels that the last GET up to this exchange told."""
    lists = [one for one in recorded[:number] if one["path"] == "/api/labels"]
    return lists[-1]["response_json"]["results"]


def annotated_at(recorded: list[dict[str, Any]], number: int) -> Iterator[tuple[int, dict]]:
    told = [one for one in recorded[:number] if one["path"].endswith("34/annotations")]
    yield 34, next(one["response_json"] for one in reversed(told) if one["method"] == "GET")


def test_a_deleted_label_had_the_annotations_that_were_counted(recorded) -> None:
    before, after = labels_at(recorded, 37), labels_at(recorded, 40)
    ((change, use),) = planned(
        [one for one in before if one["name"] != "gone"], before, annotated_at(recorded, 37)
    ).broken
    assert str(change) == "gone: label goes"
    assert use == Use(annotations=3, images=3)
    assert "gone" not in {label["name"] for label in after}
    held = [len(content["shapes"]) for _, content in annotated_at(recorded, 41)]
    assert held == [len(next(annotated_at(recorded, 37))[1]["shapes"]) - use.annotations]


def test_a_deleted_point_was_stripped_from_the_skeletons_that_were_counted(recorded) -> None:
    before, wanted = labels_at(recorded, 50), labels_at(recorded, 52)
    broken = planned(wanted, before, annotated_at(recorded, 41)).broken
    assert [str(change) for change, _ in broken] == ["sk: points gone: b"]
    assert broken[0][1] == Use(annotations=3, images=3)
    ((_, content),) = annotated_at(recorded, 55)
    assert {len(one["elements"]) for one in content["shapes"] if one["elements"]} == {1}


def test_values_outside_the_options_stayed_as_they_were_counted(recorded) -> None:
    before, wanted = labels_at(recorded, 25), labels_at(recorded, 27)
    ((change, use),) = planned(wanted, before, annotated_at(recorded, 23)).broken
    assert str(change) == "face2: attribute occ: option partial goes"
    assert use == Use(annotations=3, images=3)
    ((_, after),) = annotated_at(recorded, 28)
    kept = [
        one for one in after["shapes"] if {"spec_id": 34, "value": "partial"} in one["attributes"]
    ]
    assert len(kept) == use.annotations


@pytest.mark.parametrize("number", [46, 48])
def test_new_points_that_were_answered_with_200_and_ignored_are_seen(recorded, number: int) -> None:
    exchange = recorded[number - 1]
    assert exchange["status"] == 200
    sent = exchange["request_json"].get("labels", [exchange["request_json"]])[0]
    after = labels_at(recorded, number + 1)
    wanted = copy.deepcopy(after)
    named(wanted, "sk")["sublabels"] += [one for one in sent["sublabels"] if one["name"] == "c"]
    assert [str(one) for one in changes(wanted, after)] == ["sk: points new: c"]


def test_a_drawing_that_was_answered_with_200_and_ignored_is_seen(recorded) -> None:
    after = labels_at(recorded, 49)
    wanted = copy.deepcopy(after)
    named(wanted, "sk")["svg"] = recorded[47]["request_json"]["labels"][0]["svg"]
    assert [str(one) for one in changes(wanted, after)] == ["sk: drawing of the template changes"]


def test_an_attribute_left_out_stayed(recorded) -> None:
    """PATCH with no attributes (exchange 32) answered 200 and took none away."""
    before, after = labels_at(recorded, 31), labels_at(recorded, 33)
    assert recorded[31]["request_json"] == {"attributes": []}
    wanted = copy.deepcopy(after)
    named(wanted, "face2")["attributes"] = []
    assert {str(one) for one in changes(wanted, after)} == {
        "face2: attribute occ goes",
        "face2: attribute pose goes",
    }
    assert changes(before, after) == []


def test_a_new_attribute_filled_its_default_in_and_harms_nothing(recorded) -> None:
    wanted = labels_at(recorded, 21)
    before = copy.deepcopy(wanted)
    assert named(before, "face2")["attributes"].pop()["name"] == "pose"
    ((change,), broken) = (planned(wanted, before).done, planned(wanted, before).broken)
    assert (str(change), broken) == ("face2: new attribute pose", ())
    ((_, after),) = annotated_at(recorded, 23)
    faces = [one for one in after["shapes"] if one["label_id"] == 140]
    assert all({"spec_id": 35, "value": "0"} in one["attributes"] for one in faces)


def test_a_stake_without_an_attribute_is_all_of_the_label() -> None:
    there = [{"id": 1, "name": "face", "attributes": []}]
    uses = count({Stake(label="face"), Stake(label="gone")}, there, drawn(shape(there[0])))
    assert uses == {Stake(label="face"): Use(annotations=1, images=1), Stake(label="gone"): Use()}
