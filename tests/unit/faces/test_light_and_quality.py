"""Lighting and quality on a drawn face: flat halves of known brightness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faces.lighting import LightingParams, lighting
from faces.quality import quality
from faces.region import FaceRegion, face_region
from mirrorset.records import Pose

SIDE = 200


def drawn_points() -> NDArray[np.float64]:
    """68 points of an upright symmetric face whose midline is x = 100."""
    points = np.full((68, 2), 100.0)
    turns = np.linspace(0, np.pi, 17)
    points[:17] = np.column_stack([100 - 60 * np.cos(turns), 90 + 90 * np.sin(turns)])
    points[17:27] = np.column_stack([np.linspace(50, 150, 10), np.full(10, 60)])
    points[27] = (100, 80)
    points[36:42, 0], points[42:48, 0] = 70, 130
    points[36:48, 1] = 80
    points[36, 0], points[45, 0] = 60, 140
    return points


def halves(left: int, right: int) -> NDArray[np.uint8]:
    image = np.full((SIDE, SIDE, 3), left, dtype=np.uint8)
    image[:, SIDE // 2 :] = right
    return image


@given(st.integers(1, 255), st.integers(1, 255))
def test_evenness_is_the_ratio_of_the_halves(left: int, right: int) -> None:
    measured = lighting(face_region(halves(left, right), drawn_points()))
    assert measured.evenness == pytest.approx(min(left, right) / max(left, right), abs=0.03)
    assert min(left, right) / 255 - 0.001 <= measured.level <= max(left, right) / 255 + 0.001


@pytest.mark.parametrize(
    ("left", "right", "side"), [(200, 100, "left"), (100, 200, "right"), (190, 200, "even")]
)
def test_the_side_is_the_brighter_one(left: int, right: int, side: str) -> None:
    assert lighting(face_region(halves(left, right), drawn_points())).side == side


def test_the_threshold_is_a_parameter() -> None:
    region = face_region(halves(190, 200), drawn_points())
    assert lighting(region, LightingParams(min_evenness=0.99)).side == "right"


def test_no_light_at_all_is_even() -> None:
    measured = lighting(face_region(halves(0, 0), drawn_points()))
    assert (measured.side, measured.evenness, measured.level) == ("even", 1, 0)


def test_a_profile_of_one_half_is_even() -> None:
    whole = face_region(halves(90, 90), drawn_points())
    one_half = FaceRegion(whole.luminance, whole.is_face, np.ones_like(whole.is_left))
    measured = lighting(one_half)
    assert (measured.side, measured.evenness) == ("even", 1)


def test_quality_of_a_flat_face() -> None:
    image, points, box = halves(128, 128), drawn_points(), (40, 50, 160, 180)
    measured = quality(image, box, points, face_region(image, points))
    eyes = points[42:48].mean(axis=0)[0] - points[36:42].mean(axis=0)[0]
    assert measured.inter_eye_distance_px == pytest.approx(eyes, abs=0.01)
    assert measured.head_size == 0.65
    assert measured.sharpness == 0
    assert measured.luminance_mean == pytest.approx(128 / 255, abs=1e-4)
    assert measured.luminance_variance == 0
    assert (measured.under_exposure, measured.over_exposure) == (0, 0)


def test_a_turned_head_has_its_eyes_further_apart_than_they_look() -> None:
    image, points, box = halves(128, 128), drawn_points(), (40, 50, 160, 180)
    region = face_region(image, points)
    straight = quality(image, box, points, region, Pose(yaw_deg=0, pitch_deg=0, roll_deg=0))
    turned = quality(image, box, points, region, Pose(yaw_deg=60, pitch_deg=0, roll_deg=0))
    assert turned.inter_eye_distance_px == pytest.approx(2 * straight.inter_eye_distance_px, 1e-3)


def test_exposure_shares() -> None:
    image, points, box = halves(10, 250), drawn_points(), (40, 50, 160, 180)
    measured = quality(image, box, points, face_region(image, points))
    assert measured.under_exposure == pytest.approx(0.5, abs=0.02)
    assert measured.over_exposure == pytest.approx(0.5, abs=0.02)


def test_sharpness_falls_with_blur() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    soft = np.repeat(np.repeat(noise[::8, ::8], 8, axis=0), 8, axis=1)
    points, box = drawn_points(), (40, 50, 160, 180)
    sharp, blurred = (
        quality(image, box, points, face_region(image, points)).sharpness for image in (noise, soft)
    )
    assert sharp > 2 * blurred
