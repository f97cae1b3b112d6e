"""Shapes drawn over a picture lie where the labels say."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faces.masks import encode
from mirrorset.records import Face, Landmarks, Pose
from reports.overlays import marks, outline

AXES = ("side", "top", "nose")


def a_face(**changed: object) -> Face:
    landmarks = Landmarks(
        points=((10, 10), (20, 10), (20, 20), (30, 30), (0, 0)),
        visibility=(2, 2, 1, 2, 0),
        confidence=(0.9, 0.2, 0.9, 0.9, 0.1),
    )
    fields = {"face_id": "0", "box": (5, 6, 45, 66), "score": 0.5, "landmarks": {"x": landmarks}}
    return Face.model_validate(fields | changed)


def direction(axes: tuple[float, ...], name: str) -> tuple[float, float]:
    x0, y0, *ends = axes
    place = 2 * AXES.index(name)
    return ends[place] - x0, ends[place + 1] - y0


def test_a_face_without_landmarks_or_pose_is_a_box() -> None:
    shapes = marks(a_face(landmarks={}), "x")
    assert shapes.box == (5, 6, 40, 60)
    assert (shapes.points, shapes.seen, shapes.axes) == ((), "", ())


def test_weak_points_are_told_apart_from_those_outside_the_picture() -> None:
    shapes = marks(a_face(), "x")
    assert shapes.points == (10, 10, 20, 10, 20, 20, 30, 30, 0, 0)
    assert shapes.seen == ".?..-"


@pytest.mark.parametrize(
    ("pose", "axis", "expected"),
    [
        ((0, 0, 0), "nose", (0, 0)),
        ((0, 0, 0), "top", (0, -27)),
        ((0, 0, 0), "side", (27, 0)),
        ((90, 0, 0), "nose", (27, 0)),
        ((-90, 0, 0), "nose", (-27, 0)),
        ((0, 90, 0), "nose", (0, -27)),
        ((0, 0, 90), "top", (27, 0)),
        ((0, 0, 90), "side", (0, 27)),
    ],
)
def test_axes_follow_the_pose_convention(
    pose: tuple[float, float, float], axis: str, expected: tuple[float, float]
) -> None:
    yaw_deg, pitch_deg, roll_deg = pose
    pose_given = Pose(yaw_deg=yaw_deg, pitch_deg=pitch_deg, roll_deg=roll_deg)
    axes = marks(a_face(pose=pose_given), "x").axes
    assert direction(axes, axis) == pytest.approx(expected, abs=0.15)


@given(st.floats(-80, 80), st.floats(-80, 80), st.floats(-170, 170))
def test_mirroring_the_head_mirrors_its_axes(
    yaw_deg: float, pitch_deg: float, roll_deg: float
) -> None:
    seen, mirrored = (
        marks(
            a_face(
                pose=Pose(yaw_deg=sign * yaw_deg, pitch_deg=pitch_deg, roll_deg=sign * roll_deg)
            ),
            "x",
        ).axes
        for sign in (1, -1)
    )
    # The head's side axis is itself the one that mirroring turns round.
    for axis, flip_x, flip_y in (("top", -1, 1), ("nose", -1, 1), ("side", 1, -1)):
        x, y = direction(seen, axis)
        expected = (flip_x * x, flip_y * y)
        assert direction(mirrored, axis) == pytest.approx(expected, abs=0.25)


def test_an_outline_surrounds_its_region() -> None:
    pixels = np.zeros((100, 120), dtype=np.bool_)
    pixels[20:60, 30:90] = True
    mask = encode(pixels, "person")
    assert mask is not None
    corners = re.findall(r"[\d.]+", outline(mask, 100, 120))
    x, y = np.array(corners, dtype=float).reshape(-1, 2).T
    assert (x.min(), x.max(), y.min(), y.max()) == (30.5, 89.5, 20.5, 59.5)


def test_a_hole_has_an_outline_of_its_own() -> None:
    pixels = np.zeros((100, 100), dtype=np.bool_)
    pixels[10:90, 10:90] = True
    pixels[40:60, 40:60] = False
    mask = encode(pixels, "person")
    assert mask is not None
    assert outline(mask, 100, 100).count("M") == 2


def test_a_mask_without_area_has_no_outline() -> None:
    pixels = np.zeros((10, 10), dtype=np.bool_)
    pixels[5, 5] = True
    mask = encode(pixels, "person")
    assert mask is not None
    assert outline(mask, 10, 10) == ""
