"""Alignment, crops and face regions on drawn images."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faces.align import ARCFACE_112, squared_face
from faces.crop import cut_square


def dotted(points: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Black, with a white disc at each point."""
    image = np.zeros((side, side, 3), dtype=np.uint8)
    for x, y in points:
        cv2.circle(image, (round(x), round(y)), side // 60, (255, 255, 255), -1)
    return image


@given(
    scale=st.floats(0.8, 12),
    turn_deg=st.floats(-180, 180),
)
def test_the_points_come_to_the_template(scale: float, turn_deg: float) -> None:
    turn = np.radians(turn_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    side = int(160 * scale)
    points = (ARCFACE_112 - 56) @ rotation.T * scale + side / 2
    face = squared_face(dotted(points, side), points)
    assert face is not None
    assert face.shape == (112, 112, 3)
    for x, y in ARCFACE_112.round().astype(int):
        assert face[y, x, 0] > 128
    assert face.mean() < 40


def test_a_squashed_face_is_squared() -> None:
    squash = np.array([1.0, 0.8])
    image = dotted(ARCFACE_112 * 4, 448)
    squashed = cv2.resize(image, None, fx=1, fy=0.8, interpolation=cv2.INTER_AREA)
    straight = squared_face(image, ARCFACE_112 * 4)
    again = squared_face(squashed, ARCFACE_112 * 4 * squash)
    assert straight is not None
    assert again is not None
    assert np.abs(straight.astype(int) - again).mean() < 6


def test_points_on_one_line_have_no_square() -> None:
    image = np.zeros((10, 10, 3), dtype=np.uint8)
    assert squared_face(image, np.full((5, 2), 3.0)) is None
    assert squared_face(image, np.arange(10.0).reshape(5, 2)) is None


def test_a_crop_inside_is_the_pixels_themselves() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    np.testing.assert_array_equal(cut_square(image, (5, 7, 25, 27), 20), image[7:27, 5:25])


@pytest.mark.parametrize("square", [(-8, -8, 12, 12), (40, 30, 60, 50), (-30, 0, 70, 100)])
def test_a_crop_over_the_edge_repeats_it(square: tuple[int, int, int, int]) -> None:
    image = np.full((40, 50, 3), 7, dtype=np.uint8)
    crop = cut_square(image, square, 32)
    assert crop.shape == (32, 32, 3)
    assert (crop == 7).all()
