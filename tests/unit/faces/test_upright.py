"""Views of leaning faces: points go there and come back, matrices turn with them."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faces.align import ARCFACE_112
from faces.detection import Detection, Image
from faces.mesh import Mesh
from faces.pose import head_pose
from faces.upright import View, found_lying, lean_deg, upright
from mirrorset.geometry import transform


def turned(points: np.ndarray, degrees: float, about: tuple[float, float]) -> np.ndarray:
    """Clockwise as seen, y being down."""
    return transform(points, _turn(degrees, about))


def _turn(degrees: float, about: tuple[float, float]) -> np.ndarray:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    linear = np.array([(cosine, -sine), (sine, cosine)])
    return np.column_stack([linear, np.array(about) - linear @ about])


def leaning(degrees: float, size: float = 1.0) -> Detection:
    points = turned((ARCFACE_112 - 56) * size + 1000, degrees, (1000, 1000))
    low, high = points.min(axis=0) - 20 * size, points.max(axis=0) + 20 * size
    return Detection(np.concatenate([low, high]), 0.9, points)


class Nobody:
    def detect(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        return [() for _ in images]


@given(st.floats(-179, 179), st.floats(0.1, 8))
def test_the_lean_is_that_of_the_points(degrees: float, size: float) -> None:
    assert lean_deg(leaning(degrees, size)) == pytest.approx(degrees, abs=1e-6)


@given(st.floats(-14.9, 14.9))
def test_a_face_that_hardly_leans_is_looked_at_as_it_is(degrees: float) -> None:
    picture = np.zeros((500, 500, 3), dtype=np.uint8)
    found = leaning(degrees)
    view = upright(picture, found, Nobody())
    assert view.rgb is picture
    assert view.scale == 1
    np.testing.assert_array_equal(view.points(found.five_points), found.five_points)


@settings(deadline=None, max_examples=25)
@given(st.floats(20, 180), st.sampled_from([-1, 1]), st.floats(0.5, 12))
def test_in_its_view_a_leaning_face_stands(degrees: float, way: int, size: float) -> None:
    """The eyes' line is level there, and its points come back to where they were."""
    found = leaning(degrees * way, size)
    picture = np.zeros((2000, 2000, 3), dtype=np.uint8)
    for point, colour in zip(found.five_points[:2], (90, 200), strict=True):
        centre = tuple(round(value) for value in point)
        cv2.circle(picture, centre, max(round(6 * size), 3), (colour,) * 3, -1)
    view = upright(picture, found, Nobody())
    assert max(view.rgb.shape) <= 1000
    eyes = []
    for colour in (90, 200):
        rows, columns = np.nonzero(np.abs(view.rgb[:, :, 0].astype(int) - colour) < 8)
        eyes.append(np.array([np.median(columns) + 0.5, np.median(rows) + 0.5]))
    level = eyes[1] - eyes[0]
    assert abs(math.degrees(math.atan2(level[1], level[0]))) < 4
    assert np.abs(view.points(np.array(eyes)) - found.five_points[:2]).max() < view.scale + 1


@given(st.floats(-180, 180), st.floats(-50, 50), st.floats(-50, 50))
def test_a_matrix_turns_with_its_picture(lean: float, yaw: float, pitch: float) -> None:
    """What looked straight in the view leans in the image; the nose turns with the picture."""
    rotation = cv2.Rodrigues(np.array([0.0, math.radians(yaw), 0.0]))[0]
    rotation = rotation @ cv2.Rodrigues(np.array([-math.radians(pitch), 0.0, 0.0]))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    mesh = Mesh(np.zeros((1, 2)), np.zeros(1), np.zeros(1), {}, matrix)
    view = View(np.zeros((1, 1, 3), dtype=np.uint8), np.zeros(4), _turn(lean, (0, 0)))
    nose = view.mesh(mesh).matrix[:2, 2] * (1, -1)
    expected = turned((rotation[:2, 2] * (1, -1))[None], lean, (0, 0))[0]
    np.testing.assert_allclose(nose, expected, atol=1e-9)
    if yaw == pitch == 0:
        pose = head_pose(view.mesh(mesh).matrix)
        assert pose.roll_deg == pytest.approx(lean, abs=0.01)


class WhiteSpot:
    """Finds the white spot of an upright picture whose top left pixel is grey, and nothing else."""

    def detect(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        return [self._detect(rgb) for rgb in images]

    def _detect(self, rgb: Image) -> tuple[Detection, ...]:
        if rgb[0, 0, 0] != 128:
            return ()
        rows, columns = np.nonzero(rgb[:, :, 0] == 255)
        low = np.array([columns.min(), rows.min()], dtype=np.float64)
        high = np.array([columns.max() + 1, rows.max() + 1], dtype=np.float64)
        return (Detection(np.concatenate([low, high]), 0.9, ARCFACE_112 + low),)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_what_is_found_in_a_lying_picture_is_told_where_it_lies(quarters: int) -> None:
    standing = np.zeros((300, 200, 3), dtype=np.uint8)
    standing[0, 0] = 128
    standing[40:70, 100:120] = 255
    lying = np.ascontiguousarray(np.rot90(standing, -quarters))
    (found,) = found_lying(lying, quarters, WhiteSpot())
    rows, columns = np.nonzero(lying[:, :, 0] == 255)
    assert found.box.tolist() == [
        columns.min(),
        rows.min(),
        columns.max() + 1,
        rows.max() + 1,
    ]
    turns = {1: 90, 2: 180, 3: -90}
    assert abs(lean_deg(found)) == pytest.approx(abs(turns[quarters]))
    if quarters != 2:
        assert lean_deg(found) == pytest.approx(turns[quarters])
