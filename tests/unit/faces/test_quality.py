"""Capture measures of a drawn face."""

import numpy as np
import pytest
from drawn_face import EYES_ROW, MIDDLE, SIDE, UNIT, drawn_points, face_with, flat
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faces.quality import quality, single_face
from faces.region import face_region
from mirrorset.records import Pose, Quality

BOX = (70, 50, 170, 180)


def measured(image: NDArray[np.uint8], pose: Pose | None = None) -> Quality:
    points = drawn_points()
    return quality(image, BOX, points, face_region(image, points), pose)


def halves(left: int, right: int) -> NDArray[np.uint8]:
    image = flat(left)
    image[:, MIDDLE:] = right
    return image


def test_a_flat_face() -> None:
    points = drawn_points()
    left, right = points[[36, 39]].mean(axis=0), points[[42, 45]].mean(axis=0)
    eyes, chin = right[0] - left[0], points[8, 1] - left[1]
    found = measured(flat(188))
    assert found.inter_eye_distance_px == pytest.approx(eyes, abs=0.01)
    assert found.head_size == pytest.approx(chin / SIDE, abs=1e-4)
    assert found.luminance_mean == pytest.approx(0.5029, abs=1e-4)
    assert found.margin_left == pytest.approx(left[0] / eyes, abs=1e-3)
    assert found.margin_right == pytest.approx((SIDE - right[0]) / eyes, abs=1e-3)
    assert found.margin_above == pytest.approx(left[1] / chin, abs=1e-3)
    assert found.margin_below == pytest.approx((SIDE - left[1]) / chin, abs=1e-3)
    assert found.illumination_uniformity == 1
    nothing = ("sharpness", "luminance_variance", "under_exposure", "over_exposure")
    assert [getattr(found, name) for name in (*nothing, "dynamic_range")] == [0] * 5
    assert found.eyes_open > 0.05
    assert found.mouth_closed < 0.02


def test_a_turned_head_has_its_eyes_further_apart_than_they_look() -> None:
    straight, turned = (
        measured(flat(128), Pose(yaw_deg=yaw, pitch_deg=0, roll_deg=0)) for yaw in (0, -60)
    )
    profile = measured(flat(128), Pose(yaw_deg=90, pitch_deg=0, roll_deg=0))
    assert profile.inter_eye_distance_px == turned.inter_eye_distance_px
    assert turned.inter_eye_distance_px == pytest.approx(2 * straight.inter_eye_distance_px, 1e-3)


def test_two_halves() -> None:
    found = measured(halves(10, 254))
    assert found.under_exposure == pytest.approx(0.5, abs=0.02)
    assert found.over_exposure == pytest.approx(0.5, abs=0.02)
    assert found.dynamic_range == pytest.approx(1, abs=0.2)
    assert found.illumination_uniformity == 0
    assert found.luminance_variance == pytest.approx(0.25, abs=0.02)


def test_the_darkest_skin_in_good_light_is_not_under_exposed() -> None:
    """Its reflectance is about a twentieth, five times what counts as black."""
    assert measured(flat(63)).under_exposure == 0


def test_closed_eyes_and_an_open_mouth() -> None:
    points = drawn_points()
    shut = points.copy()
    shut[[37, 38, 43, 44], 1] = shut[[41, 40, 47, 46], 1]
    one_shut = points.copy()
    one_shut[[37, 38], 1] = one_shut[[41, 40], 1]
    agape = points.copy()
    agape[65:68, 1] += UNIT / 3
    region = face_region(flat(99), points)
    seen = {
        name: quality(flat(99), BOX, which, region)
        for name, which in {"shut": shut, "one": one_shut, "agape": agape, "all": points}.items()
    }
    assert seen["shut"].eyes_open == seen["one"].eyes_open < 0.01
    assert seen["agape"].mouth_closed > seen["all"].mouth_closed + 0.2
    assert seen["agape"].eyes_open == seen["all"].eyes_open


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_a_crop_takes_from_its_margin_alone(left: int, top: int) -> None:
    whole = measured(flat(99))
    points = drawn_points() - (left, top)
    image = flat(99)[top:, left:]
    cut = quality(image, BOX, points, face_region(image, points))
    eyes = UNIT * whole.inter_eye_distance_px / UNIT
    assert cut.margin_left == pytest.approx(whole.margin_left - left / eyes, abs=1e-3)
    assert cut.margin_right == pytest.approx(whole.margin_right, abs=1e-3)
    assert cut.margin_above == pytest.approx(
        whole.margin_above * (EYES_ROW - top) / EYES_ROW, abs=0.01
    )
    assert cut.margin_below == pytest.approx(whole.margin_below, abs=1e-3)


def test_a_second_face_counts_by_its_area() -> None:
    face = face_with(drawn_points())
    half = face.model_copy(update={"box": (0, 0, 0.5, 1)})
    tiny = face.model_copy(update={"box": (0, 0, 0.1, 0.1)})
    assert single_face([face]) == 0
    assert single_face([tiny, half, face]) == 0.5
    assert single_face([face, face]) == 1
    with pytest.raises(ValueError, match="without a face"):
        single_face([])
