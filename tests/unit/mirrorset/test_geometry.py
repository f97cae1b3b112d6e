"""Geometry: boxes from the empty list up, and maps that undo each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorset.geometry import (
    expand,
    interocular_distance,
    invert,
    iou,
    similarity,
    square_around,
    transform,
)

coordinates = st.floats(-1000, 1000, allow_nan=False)
boxes = st.tuples(coordinates, coordinates, st.floats(1, 500), st.floats(1, 500)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)


def test_iou_of_no_boxes_is_empty() -> None:
    assert iou(np.empty((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)


def test_iou_of_known_boxes() -> None:
    values = iou([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [1, 1, 1, 1]])
    assert values[0] == pytest.approx([1, 1 / 3, 0, 0])


@given(boxes, boxes)
def test_iou_is_symmetric_and_within_bounds(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    value = iou([a], [b])[0, 0]
    assert 0 <= value <= 1
    assert value == pytest.approx(iou([b], [a])[0, 0])


@given(boxes, st.floats(0.1, 10))
def test_expanding_and_shrinking_gives_the_box_back(box: tuple[float, ...], factor: float) -> None:
    assert expand(expand(box, factor), 1 / factor) == pytest.approx(np.array(box), abs=1e-6)


@given(boxes)
def test_a_square_has_equal_sides_about_the_same_centre(box: tuple[float, ...]) -> None:
    left, top, right, bottom = square_around(box, 1.5)
    assert right - left == pytest.approx(bottom - top)
    assert right - left == pytest.approx(1.5 * max(box[2] - box[0], box[3] - box[1]))
    assert (left + right) / 2 == pytest.approx((box[0] + box[2]) / 2)


@given(
    st.floats(0.1, 10),
    st.floats(-3.1, 3.1),
    st.tuples(coordinates, coordinates),
    st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=9, unique=True),
)
def test_similarity_finds_the_map_that_was_applied(
    scale: float, angle: float, shift: tuple[float, float], points: list[tuple[float, float]]
) -> None:
    source = np.array(points)
    if np.ptp(source, axis=0).max() < 1:  # nearly one point: no direction to find
        return
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    target = transform(source, [[cos, -sin, shift[0]], [sin, cos, shift[1]]])
    found = similarity(source, target)
    assert transform(source, found) == pytest.approx(target, abs=1e-5)
    assert transform(target, invert(found)) == pytest.approx(source, abs=1e-4)


def test_similarity_never_mirrors() -> None:
    found = similarity([[0, 0], [1, 0], [0, 1]], [[0, 0], [-1, 0], [0, 1]])
    assert np.linalg.det(found[:, :2]) > 0


@pytest.mark.parametrize("source", [[[1, 1]], [[1, 1], [1, 1]], [[0, 0], [1, 1], [2, 2]]])
def test_similarity_refuses_what_has_no_answer(source: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="points"):
        similarity(source, [[0, 0], [1, 1]])


def test_interocular_distance_is_between_the_means() -> None:
    points = [[0, 0], [2, 0], [10, 3], [10, 5]]
    assert interocular_distance(points, [0, 1], [2, 3]) == pytest.approx(np.hypot(9, 4))
