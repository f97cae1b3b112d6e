"""Expression distance of a drawn head, where every move is known."""

import math

import numpy as np
import pytest
from drawn_face import drawn_points, face_with
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faces.expression import expression_change, expression_distance
from faces.pose import head_model
from faces.schema import load_schema

Points = NDArray[np.float64]

MIRROR = list(load_schema("ibug68").mirror)
few = settings(max_examples=40, deadline=None)
shifts = st.floats(-0.1, 0.1)
moved_points = st.lists(st.tuples(shifts, shifts), min_size=68, max_size=68).map(
    lambda rows: head_model() + np.column_stack([np.array(rows), np.zeros(68)])
)


def smiling() -> Points:
    """The head model with the corners of its mouth up and out, in its own unit."""
    points = head_model().copy()
    for corner, outwards in ((48, -1), (60, -1), (54, 1), (64, 1)):
        points[corner, :2] += (0.06 * outwards, 0.05)
    return points


def seen(
    points: Points, yaw_deg: float = 0, pitch_deg: float = 0, *, scale: float = 50, turn: float = 0
) -> Points:
    """Head points (68, 3) before a distant camera, turned in the image by `turn` radians."""
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    about_y = [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
    about_x = [
        [1, 0, 0],
        [0, math.cos(pitch), math.sin(pitch)],
        [0, -math.sin(pitch), math.cos(pitch)],
    ]
    flat = (points @ np.array(about_x).T @ np.array(about_y).T)[:, :2] * (scale, -scale)
    sine, cosine = math.sin(turn), math.cos(turn)
    return flat @ np.array([[cosine, sine], [-sine, cosine]]) + (300, 200)


def distance(a: Points, b: Points) -> float:
    return expression_distance(face_with(a), face_with(b))


@few
@given(moved_points, moved_points, moved_points)
def test_it_is_a_metric(a: Points, b: Points, c: Points) -> None:
    first, second, third = seen(a), seen(b), seen(c)
    assert distance(first, first) == 0
    assert distance(first, second) == distance(second, first)
    assert distance(first, third) <= distance(first, second) + distance(second, third) + 1e-9


@few
@given(moved_points, st.floats(5, 500), st.floats(-math.pi, math.pi))
def test_scale_place_and_turning_change_nothing(points: Points, scale: float, turn: float) -> None:
    assert distance(seen(points), seen(points, scale=scale, turn=turn)) < 1e-3


@few
@given(st.floats(-25, 25), st.floats(-20, 20))
def test_a_turned_head_keeps_its_expression(yaw: float, pitch: float) -> None:
    changed = distance(seen(head_model()), seen(smiling()))
    assert distance(seen(smiling()), seen(smiling(), yaw, pitch)) < changed / 5
    assert distance(seen(smiling(), yaw, pitch), seen(head_model())) == pytest.approx(
        changed, rel=0.2
    )


@few
@given(moved_points, moved_points)
def test_mirroring_both_changes_nothing(a: Points, b: Points) -> None:
    def mirrored(points: Points) -> Points:
        return (points * (-1, 1) + (640, 0))[MIRROR]

    first, second = seen(a), seen(b)
    assert distance(mirrored(first), mirrored(second)) == pytest.approx(
        distance(first, second), abs=1e-6
    )


def test_a_smile_to_one_side_is_as_far_as_to_the_other() -> None:
    left, right = drawn_points(), drawn_points()
    left[[48, 60]] += (-4, -3)
    right[[54, 64]] += (4, -3)
    neutral = drawn_points()
    assert distance(left, neutral) == pytest.approx(distance(right, neutral), abs=1e-4)
    assert distance(left, right) > distance(left, neutral)


def test_each_part_is_told_apart() -> None:
    neutral = face_with(seen(head_model()))
    winking, surprised = head_model().copy(), head_model().copy()
    winking[[37, 38], 1] = winking[[41, 40], 1]
    surprised[17:27, 1] += 0.1
    smile, wink, brows = (
        expression_change(neutral, face_with(seen(points)))
        for points in (smiling(), winking, surprised)
    )
    assert smile.mouth > 0.03 > 100 * max(smile.eyes, smile.brows)
    assert wink.eyes > 0.05 > 100 * max(wink.mouth, wink.brows)
    assert brows.brows == pytest.approx(0.05, abs=1e-3)
    assert smile.distance == smile.mouth


def test_without_landmarks_there_is_no_distance() -> None:
    face = face_with(drawn_points())
    with pytest.raises(ValueError, match="face 0 has no ibug68 landmarks"):
        expression_distance(face, face.model_copy(update={"landmarks": {}}))
