"""Lighting of a drawn face whose light is known."""

import numpy as np
import pytest
from drawn_face import EYES_ROW, MIDDLE, SIDE, UNIT, drawn_points, flat
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from relit import coded

from faces.lighting import (
    LightingParams,
    LightRatios,
    level_of,
    light_ratios,
    lighting,
    side_of,
)
from faces.region import face_region, linear
from mirrorset.records import Lighting

lights = st.floats(0.02, 1)
few = settings(max_examples=20, deadline=None)


def lit(light: NDArray[np.float64]) -> Lighting:
    """The lighting of the drawn face, grey, under `light` (H, W) or (H, W, 3), linear."""
    whole = np.broadcast_to(light if light.ndim == 3 else light[..., None], (SIDE, SIDE, 3))
    return lighting(face_region(coded(whole), drawn_points()))


def halves(left: float, right: float) -> NDArray[np.float64]:
    return np.where(np.arange(SIDE) < MIDDLE, left, right)[None, :] * np.ones((SIDE, 1))


def ratios(**given: float) -> LightRatios:
    none = dict.fromkeys(LightRatios._fields, 0.0) | {"behind_eyes": -1.0, "behind_face": -1.0}
    return LightRatios(**(none | given))


@few
@given(lights, lights)
def test_evenness_is_the_ratio_of_the_sides(left: float, right: float) -> None:
    measured = lit(halves(left, right))
    assert measured.evenness == pytest.approx(min(left, right) / max(left, right), abs=0.06)
    assert min(left, right) * 0.9 <= measured.level <= max(left, right) * 1.02


@few
@given(lights, lights)
def test_mirrored_light_comes_from_the_other_side(left: float, right: float) -> None:
    one, other = lit(halves(left, right)), lit(halves(right, left))
    assert other.evenness == pytest.approx(one.evenness, abs=0.01)
    assert other.side == {"left": "right", "right": "left"}.get(one.side, one.side)


@pytest.mark.parametrize(
    ("left", "right", "side"), [(0.6, 0.3, "left"), (0.3, 0.6, "right"), (0.5, 0.6, "front")]
)
def test_the_side_is_the_brighter_one(left: float, right: float, side: str) -> None:
    assert lit(halves(left, right)).side == side


def test_light_that_falls_off_downwards_is_from_the_top() -> None:
    rows = np.linspace(0, SIDE / UNIT, SIDE)[:, None] * np.ones((1, SIDE))
    assert lit(0.9 * 2.0**-rows).side == "top"
    assert lit(0.1 * 2.0**rows).side == "front"


def test_two_lamps_are_mixed() -> None:
    across = np.abs(np.arange(SIDE) - MIDDLE) / UNIT * np.ones((SIDE, 1))
    assert lit(0.1 * 2.0 ** (4 * across)).side == "mixed"
    warm_and_cold = halves(0.4, 0.2)[..., None] * (1, 0, 0) + halves(0.2, 0.4)[..., None] * (
        0,
        0.75,
        1,
    )
    assert lit(warm_and_cold).side == "mixed"


def test_a_window_behind_is_not_a_dark_skin_before_a_wall() -> None:
    wall, face = 0.8, 0.05
    beside = np.abs(np.arange(SIDE) - MIDDLE) > 0.9 * UNIT
    backlit = np.where(beside, wall, face)[None, :] * np.ones((SIDE, 1))
    assert lit(backlit).side == "back"
    dark_skin = backlit.copy()
    eyes = np.s_[EYES_ROW - 4 : EYES_ROW + 5]
    dark_skin[eyes, MIDDLE - UNIT // 2 : MIDDLE + UNIT // 2] = 0.4
    assert lit(dark_skin).side == "front"


def test_without_a_background_nothing_is_behind() -> None:
    cut = slice(MIDDLE - UNIT, MIDDLE + UNIT)
    region = face_region(flat(9)[:, cut], drawn_points() - (MIDDLE - UNIT, 0))
    assert region.background is None
    assert np.isnan(light_ratios(region).behind_eyes)
    assert lighting(region).side == "front"


def test_no_light_at_all_is_even() -> None:
    dark = lit(np.zeros((SIDE, SIDE)))
    assert dark == Lighting(side="front", level=0, evenness=1, colour_cast=0)


@pytest.mark.parametrize(("rgb", "cast"), [((99, 99, 99), 0), ((255, 200, 188), 1)])
def test_the_colour_cast_is_red_over_blue(rgb: tuple[int, int, int], cast: float) -> None:
    measured = lighting(face_region(flat(*rgb), drawn_points()))
    assert measured.colour_cast == pytest.approx(cast, abs=0.02)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_the_picture_changes_no_measure(turns: int) -> None:
    image = coded(halves(0.7, 0.2)[..., None] * (1, 0.9, 0.8))
    points = drawn_points()
    straight = lighting(face_region(image, points))
    for _ in range(turns):
        points = np.column_stack([points[:, 1], SIDE - points[:, 0]])
    turned = lighting(face_region(np.ascontiguousarray(np.rot90(image, turns)), points))
    assert turned.side == straight.side
    assert turned.evenness == pytest.approx(straight.evenness, abs=0.02)
    assert turned.level == pytest.approx(straight.level, abs=0.02)


@pytest.mark.parametrize(
    ("seen", "side"),
    [
        (ratios(), "front"),
        (ratios(across=0.6, down=0.7), "top"),
        (ratios(across=-0.7, down=0.6), "right"),
        (ratios(across=0.6, colour=-1.2), "mixed"),
        (ratios(across=1.6, colour=-1.2), "left"),
        (ratios(rims=1.1), "mixed"),
        (ratios(behind_eyes=2.5, behind_face=1), "back"),
        (ratios(behind_eyes=1.5, behind_face=2), "front"),
        (ratios(behind_eyes=np.nan, behind_face=np.nan, colour=np.nan, rims=np.nan), "front"),
    ],
)
def test_what_weighs_more_decides(seen: LightRatios, side: str) -> None:
    assert side_of(seen, LightingParams()) == side


def test_the_thresholds_are_parameters() -> None:
    assert side_of(ratios(across=0.1), LightingParams(sided_from=0.05)) == "left"


@pytest.mark.parametrize(
    ("luminance", "level"),
    [(0.0, "low"), (0.02, "low"), (0.05, "normal"), (0.33, "normal"), (0.7, "high")],
)
def test_the_level_is_told_only_where_skin_cannot_be_the_reason(
    luminance: float, level: str
) -> None:
    measured = Lighting(side="front", level=luminance, evenness=1, colour_cast=0)
    assert level_of(measured) == level


def test_light_is_decoded_srgb() -> None:
    grey = np.array([[[0, 0, 0], [128, 188, 255]]], dtype=np.uint8)
    assert linear(grey)[0, 1] == pytest.approx([0.2159, 0.5029, 1], abs=1e-4)
    assert (coded(linear(grey)) == grey).all()
