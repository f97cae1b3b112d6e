"""Shapes and a server's JSON: what goes out comes back, and what a real server answered reads."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_strategies import (
    HEIGHT,
    SCHEMA,
    WIDTH,
    annotated,
    face_lists,
    hostile_texts,
    mask_lists,
    shuffled,
    tag_sets,
)

from annotation.archive import read_archive, write_archive
from annotation.conversion import Labels, from_shapes, to_shapes
from annotation.cvat.shape_json import Frame, ServerLabels, from_annotations, to_annotations
from annotation.schema import cvat_labels
from annotation.shapes import Element, ForeignShape, ImageShapes, MaskShape, Rectangle, Skeleton
from mirrorset.errors import InputError
from mirrorset.records import Annotation, Face, Mask, Rejected

Json = dict[str, Any]
FRAME = Frame(name="a.jpg", width_px=WIDTH, height_px=HEIGHT)


def numbered(labels: list[Json], ids: Iterator[int]) -> list[Json]:
    """The labels as the server lists them: everything that has a name has a number."""
    return [
        label
        | {
            "id": next(ids),
            "attributes": [one | {"id": next(ids)} for one in label["attributes"]],
            "sublabels": numbered(label.get("sublabels", []), ids),
        }
        for label in labels
    ]


LABELS = ServerLabels(numbered(cvat_labels(SCHEMA), count(7)))


def served(sent: Json) -> Json:
    """What a server makes of it: text and back, numbers as doubles, ids, nothing in order."""
    answer: Json = json.loads(json.dumps(sent))
    ids = count(1000)
    for shape in answer["shapes"]:
        shape["elements"] = [
            element | {"id": next(ids)} for element in reversed(shape.get("elements", []))
        ]
        for one in (shape, *shape["elements"]):
            one["points"] = [float(value) for value in one["points"]]
    for kind in ("shapes", "tags"):
        answer[kind] = [one | {"id": next(ids)} for one in reversed(answer[kind])]
    return answer


@given(face_lists(), mask_lists(), tag_sets, st.integers(0, 1000))
def test_through_a_servers_json_nothing_changes(
    faces: tuple[Face, ...], masks: tuple[Mask, ...], tags: dict[str, str], seed: int
) -> None:
    shapes = to_shapes(annotated(faces, masks, tags), FRAME.name, WIDTH, HEIGHT, SCHEMA)
    sent = to_annotations({3: shuffled(shapes, seed)}, LABELS)
    back = from_annotations(served(sent), {3: FRAME}, LABELS)
    labels = from_shapes("ab" * 32, back[3], SCHEMA)
    assert labels == Labels(faces=faces, tags=tags, masks=masks)


@given(face_lists(), mask_lists(), tag_sets)
def test_through_an_archive_nothing_changes(
    tmp_path_factory: pytest.TempPathFactory,
    faces: tuple[Face, ...],
    masks: tuple[Mask, ...],
    tags: dict[str, str],
) -> None:
    label = annotated(faces, masks, tags)
    path = tmp_path_factory.mktemp("archive") / "task.zip"
    shapes = to_shapes(label, FRAME.name, WIDTH, HEIGHT, SCHEMA)
    write_archive(path, [shapes], [], SCHEMA, name="b", at=label.made_at)
    (back,) = read_archive(path).images
    assert from_shapes("ab" * 32, back, SCHEMA) == Labels(faces=faces, tags=tags, masks=masks)


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=68),
    st.floats(0, 360),
    st.booleans(),
    hostile_texts,
)
def test_the_servers_doubles_are_kept_to_the_last_bit(
    points: list[tuple[float, float]], rotation_deg: float, is_occluded: bool, text: str
) -> None:
    """What an annotator's mouse leaves is no round number."""
    box = Rectangle(
        label="face",
        source="manual",
        attributes={"face_id": text},
        box=(*points[0], *points[-1]),
        is_occluded=is_occluded,
        rotation_deg=rotation_deg,
    )
    skeleton = Skeleton(
        label="ibug68",
        source="semi-auto",
        attributes={"face_id": text},
        elements=tuple(
            Element(
                label=SCHEMA.point_names[index],
                point=point,
                is_occluded=is_occluded,
                is_outside=not is_occluded,
            )
            for index, point in enumerate(points)
        ),
    )
    image = ImageShapes(
        name="a.jpg", width_px=WIDTH, height_px=HEIGHT, rectangles=(box,), skeletons=(skeleton,)
    )
    sent = json.loads(json.dumps(to_annotations({0: image}, LABELS)))
    assert from_annotations(sent, {0: FRAME}, LABELS) == {0: image}


def test_a_mask_ends_with_its_box_inclusive() -> None:
    mask = MaskShape(label="person", left=10, top=20, width=4, height=2, rle=(1, 2, 2, 3))
    image = ImageShapes(name="a.jpg", width_px=WIDTH, height_px=HEIGHT, masks=(mask,))
    (sent,) = to_annotations({0: image}, LABELS)["shapes"]
    assert sent["points"] == [1, 2, 2, 3, 10, 20, 13, 21]


def test_nothing_is_grouped() -> None:
    """Trap: a rectangle grouped with a skeleton is exported under the rectangle's category."""
    faces = (Face(face_id="0", box=(1, 1, 9, 9), score=1),)
    shapes = to_shapes(annotated(faces, (), {"blurred": "true"}), "a.jpg", WIDTH, HEIGHT, SCHEMA)
    sent = to_annotations({0: shapes}, LABELS)
    assert {one["group"] for one in (*sent["shapes"], *sent["tags"])} == {0}


def test_ids_of_a_server_are_never_sent() -> None:
    """Trap: PUT and create refuse ids."""
    faces = (Face(face_id="0", box=(1, 1, 9, 9), score=1),)
    shapes = to_shapes(annotated(faces, (), {}), "a.jpg", WIDTH, HEIGHT, SCHEMA)
    answer = served(to_annotations({0: shapes}, LABELS))
    again = to_annotations(from_annotations(answer, {0: FRAME}, LABELS), LABELS)
    assert '"id"' not in json.dumps(again)


def test_frames_without_shapes_are_there_and_others_are_not(
    make_annotation: Callable[..., Annotation],
) -> None:
    shapes = to_shapes(make_annotation(), "a.jpg", WIDTH, HEIGHT, SCHEMA)
    sent = served(to_annotations({0: shapes, 5: shapes}, LABELS))
    back = from_annotations(sent, {4: FRAME, 5: FRAME}, LABELS)
    assert [number for number, image in back.items() if image.every()] == [5]
    assert list(back) == [4, 5]


def test_what_the_project_lacks_is_named() -> None:
    faces = (Face(face_id="0", box=(1, 1, 9, 9), score=1),)
    shapes = to_shapes(annotated(faces, (), {}), "a.jpg", WIDTH, HEIGHT, SCHEMA)
    for labels, words in [
        ([], "no label 'face'"),
        ([{"id": 1, "name": "face", "attributes": []}], "no attribute 'face_id'"),
    ]:
        with pytest.raises(InputError, match=words):
            to_annotations({0: shapes}, ServerLabels(labels))


def unreadable(label: str, **raw: object) -> Json:
    common = {"frame": 0, "label_id": LABELS.of(label).label_id, "source": "manual"}
    return common | {"occluded": False, "outside": False, "attributes": [], **raw}


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (unreadable("person", type="mask", points=[1, 2, 3]), "mask that cannot be read"),
        (unreadable("person", type="mask", points=[0.5, 1, 0, 0, 0, 0]), "mask that cannot"),
        (unreadable("face", type="rectangle", points=[1, 2, 3]), "rectangle that cannot"),
        (
            unreadable("face", type="rectangle", points=[1, 2, 3, float("nan")]),
            "rectangle that cannot",
        ),
        (unreadable("face", type="polygon", points=[1, 2, 3, 4, 5, 6]), "polygon"),
        (unreadable("ibug68", type="skeleton", elements=[{"points": [1, 2]}]), "skeleton that"),
        (unreadable("face", type="rectangle", points=None), "rectangle that"),
    ],
)
def test_a_shape_that_cannot_be_read_costs_its_image_only(raw: Json, kind: str) -> None:
    """Trap: the server takes and keeps nearly everything."""
    answer = {"shapes": [raw, unreadable("face", type="rectangle", points=[1, 2, 3, 4], frame=1)]}
    back = from_annotations(answer, {0: FRAME, 1: FRAME}, LABELS)
    (foreign,) = back[0].foreign
    assert foreign.kind.startswith(kind)
    refused = from_shapes("ab" * 32, back[0], SCHEMA)
    assert isinstance(refused, Rejected)
    assert kind in refused.detail
    assert isinstance(from_shapes("ab" * 32, back[1], SCHEMA), Labels)


def test_a_track_is_no_shape_of_ours() -> None:
    track = {"frame": 0, "label_id": LABELS.of("face").label_id, "shapes": [], "attributes": []}
    back = from_annotations({"tracks": [track]}, {0: FRAME}, LABELS)
    assert back[0].foreign == (ForeignShape(label="face", source="", kind="track"),)


# --- recorded ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> list[Json]:
    return [
        json.loads(line)
        for name in ("transcript.jsonl", "transcript2.jsonl")
        for line in (shared_data / "cvat" / name).read_text().splitlines()
    ]


def answers(recorded: list[Json], step: str) -> Iterator[Json]:
    """Annotations that the server gave back in `step`."""
    for exchange in recorded:
        answer = exchange.get("response_json")
        is_read = exchange["method"] == "GET" and exchange["step"] == step
        if is_read and isinstance(answer, dict) and "shapes" in answer:
            yield answer


def project_labels(recorded: list[Json], step: str) -> ServerLabels:
    for exchange in recorded:
        if exchange["step"] == step and exchange["path"] == "/api/labels":
            return ServerLabels(exchange["response_json"]["results"])
    raise AssertionError(step)


def test_recorded_skeletons_of_68_points_come_back_exactly(recorded: list[Json]) -> None:
    """Trap: the order of elements is not kept: they are matched by label."""
    task = [
        exchange
        for exchange in recorded
        if (exchange["step"], exchange["path"]) == ("skeleton68_small", "/api/tasks/44/annotations")
    ]
    put, answer = task[0]["request_json"], task[1]["response_json"]
    frames = {shape["frame"]: FRAME for shape in put["shapes"]}
    nameless = ServerLabels([])
    sent, back = (from_annotations(one, frames, nameless) for one in (put, answer))
    pairs = [
        pair
        for frame in frames
        for pair in zip(
            sorted(sent[frame].skeletons, key=lowest),
            sorted(back[frame].skeletons, key=lowest),
            strict=True,
        )
    ]
    assert [len(before.elements) for before, _ in pairs] == [68] * len(pairs)
    assert all(flags(before) == flags(after) for before, after in pairs)
    assert any(before.elements != after.elements for before, after in pairs)


def lowest(skeleton: Skeleton) -> float:
    return min(element.point[0] for element in skeleton.elements)


def flags(skeleton: Skeleton) -> dict[str, tuple[object, ...]]:
    return {one.label: (one.point, one.is_occluded, one.is_outside) for one in skeleton.elements}


def test_every_recorded_answer_reads(recorded: list[Json]) -> None:
    labels = project_labels(recorded, "project_create")
    found = 0
    for step in dict.fromkeys(exchange["step"] for exchange in recorded):
        for answer in answers(recorded, step):
            frames = {
                one["frame"]: FRAME for kind in ("shapes", "tags", "tracks") for one in answer[kind]
            }
            read = from_annotations(answer, frames, labels)
            drawn = sum(len(image.every()) for image in read.values())
            assert drawn == sum(len(answer[kind]) for kind in ("shapes", "tags", "tracks"))
            found += drawn
    assert found > 1000


def test_a_recorded_picture_says_in_json_what_it_says_in_xml(
    recorded: list[Json], shared_data: Path
) -> None:
    labels = project_labels(recorded, "project_create")
    answer = next(answers(recorded, "annotations_put"))
    frame = Frame(name="img_0000.jpg", width_px=640, height_px=640)
    by_json = from_annotations(answer, {0: frame}, labels)[0]
    by_xml = read_archive(shared_data / "cvat" / "export_cvat_images.zip").images[0]
    assert by_json.masks[0].rle == by_xml.masks[0].rle
    assert by_json.rectangles[0].box == by_xml.rectangles[0].box
    assert by_json.rectangles[0].attributes == by_xml.rectangles[0].attributes
    assert {one.label: one.is_outside for one in by_json.skeletons[0].elements} == {
        one.label: one.is_outside for one in by_xml.skeletons[0].elements
    }
