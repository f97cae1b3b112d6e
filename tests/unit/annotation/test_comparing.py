"""Agreement of two annotations against values worked out by hand."""

import math

import numpy as np
import pytest

from annotation.comparing import compare
from faces.masks import encode
from faces.schema import load_schema
from mirrorset.geometry import area
from mirrorset.records import Annotation, Face, Landmarks


def shifted(face: Face, dx: float, visibility: tuple[int, ...] = (2,) * 68) -> Face:
    points = tuple((x + dx, y) for x, y in face.landmarks["ibug68"].points)
    moved = Landmarks(points=points, visibility=visibility, confidence=(1.0,) * 68)
    return face.model_copy(update={"landmarks": {"ibug68": moved}})


def interocular(face: Face) -> float:
    return load_schema("ibug68").interocular_px(face.landmarks["ibug68"].points)


def with_tags(annotation: Annotation, **tags: str) -> Annotation:
    return annotation.model_copy(update={"tags": tags})


def test_an_annotation_agrees_with_itself(make_annotation, schema) -> None:
    annotation = make_annotation()
    compared = compare(annotation, annotation, schema, is_truth=True)
    assert compared.values["ibug68", "nme"] == 0
    assert compared.values["ibug68", "oks"] == 1
    assert compared.values["ibug68", "pose_error_deg"] == pytest.approx(0, abs=1e-5)
    assert compared.values["face", "box_iou"] == compared.values["face", "faces_matched"] == 1
    assert compared.values["person", "mask_iou"] == 1
    for table in compared.tables.values():
        assert np.trace(table, axis1=-2, axis2=-1).sum() == table.sum()


def test_points_against_the_formulae(make_annotation, make_face, schema) -> None:
    face = make_face()
    compared = compare(
        make_annotation("ab" * 32, shifted(face, 4)),
        make_annotation("ab" * 32, shifted(face, 0)),
        schema,
        is_truth=True,
    )
    assert compared.values["ibug68", "nme"] == pytest.approx(4 / interocular(face))
    assert compared.values["ibug68.jaw", "nme"] == pytest.approx(4 / interocular(face))
    sigmas = load_schema("ibug68").sigmas
    size = float(area(face.box)[0])
    similarity = [math.exp(-(4**2) / (2 * size * (2 * sigma) ** 2)) for sigma in sigmas]
    assert compared.values["ibug68", "oks"] == pytest.approx(sum(similarity) / 68)
    # A shift within the picture is no turn of the head.
    assert compared.values["ibug68", "pose_error_deg"] == pytest.approx(0, abs=1e-5)


def test_between_equals_neither_is_the_measure(make_annotation, make_face, schema) -> None:
    small, large = make_face(side=200), make_face(side=220)
    first, second = make_annotation("ab" * 32, small), make_annotation("ab" * 32, large)
    there = compare(first, second, schema, is_truth=False)
    back = compare(second, first, schema, is_truth=False)
    assert there.values == pytest.approx(back.values)
    as_truth = compare(first, second, schema, is_truth=True)
    ratio = 2 * interocular(large) / (interocular(small) + interocular(large))
    assert there.values["ibug68", "nme"] == pytest.approx(ratio * as_truth.values["ibug68", "nme"])


def test_a_point_that_one_side_does_not_give_counts_for_visibility_alone(
    make_annotation, make_face, schema
) -> None:
    face = make_face()
    hidden = (0, 1, *(2,) * 66)
    compared = compare(
        make_annotation("ab" * 32, shifted(face, 0, hidden)),
        make_annotation("ab" * 32, shifted(face, 0)),
        schema,
        is_truth=True,
    )
    assert compared.values["ibug68", "nme"] == 0
    assert compared.tables["ibug68", "visibility_kappa"][:, 2].tolist() == [1, 1, 66]
    assert compared.tables["ibug68.jaw", "visibility_kappa"][:, 2].tolist() == [1, 1, 15]
    points = compared.tables["ibug68", "point_visibility_kappa"]
    assert points.shape == (68, 3, 3)
    assert (points.sum(axis=(1, 2)) == 1).all()
    assert points.sum(axis=0).tolist() == compared.tables["ibug68", "visibility_kappa"].tolist()


def test_faces_missed_and_invented(make_annotation, make_face, schema) -> None:
    one, two, three = make_face("0"), make_face("1", left=350), make_face("2", left=600)
    compared = compare(
        make_annotation("ab" * 32, one, two),
        make_annotation("ab" * 32, one, three),
        schema,
        is_truth=True,
    )
    assert compared.values["face", "faces_matched"] == pytest.approx(1 / 3)
    empty = make_annotation().model_copy(update={"faces": ()})
    assert compare(empty, empty, schema, is_truth=True).values["face", "faces_matched"] == 1


def test_masks_of_one_label_count_together(make_annotation, schema) -> None:
    whole = np.zeros((20, 20), dtype=bool)
    whole[2:12, 2:12] = True
    left, right = whole.copy(), whole.copy()
    left[:, 7:], right[:, :7] = False, False
    annotation = make_annotation()

    def masked(*masks: np.ndarray) -> Annotation:
        shapes = tuple(shape for mask in masks if (shape := encode(mask, "person")))
        return annotation.model_copy(update={"masks": shapes})

    def overlap(a: Annotation, b: Annotation) -> float | None:
        return compare(a, b, schema, is_truth=True).values.get(("person", "mask_iou"))

    assert overlap(masked(left, right), masked(whole)) == 1
    assert overlap(masked(left), masked(whole)) == pytest.approx(0.5)
    assert overlap(masked(), masked(whole)) == 0
    assert overlap(masked(), masked()) is None


def test_tags_and_attributes_are_answers(make_annotation, make_face, schema) -> None:
    glasses = make_face().model_copy(update={"attributes": {"glasses": "clear"}})
    a = with_tags(make_annotation("ab" * 32, glasses), lighting="left", blurred="true")
    b = with_tags(make_annotation(), lighting="right")
    tables = compare(a, b, schema, is_truth=True).tables
    sides = ["absent", *schema.label("lighting", "tag").attributes[0].values]
    found = np.argwhere(tables["lighting", "tag_kappa"])
    assert found.tolist() == [[sides.index("left"), sides.index("right")]]
    assert np.argwhere(tables["blurred", "tag_kappa"]).tolist() == [[1, 0]]
    assert np.argwhere(tables["do_not_use", "tag_kappa"]).tolist() == [[0, 0]]
    assert ("reviewed", "tag_kappa") not in tables
    options = next(one.values for one in schema.face.attributes if one.name == "glasses")
    found = np.argwhere(tables["face.glasses", "attribute_kappa"])
    assert found.tolist() == [[options.index("clear"), options.index("unknown")]]
