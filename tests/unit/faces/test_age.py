"""The calibration of the minor gate's figure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faces.age import calibrated, chip

CHANCES = st.floats(0, 1)


@given(CHANCES, CHANCES, st.floats(-3, 3), st.floats(0.1, 3))
def test_the_order_stays(a: float, b: float, offset: float, slope: float) -> None:
    low, high = calibrated(sorted([a, b]), offset, slope)
    assert 0 < low <= high < 1


@given(st.floats(0.001, 0.999))
def test_a_calibration_of_nothing_changes_nothing(chance: float) -> None:
    assert calibrated([chance], 0, 1)[0] == pytest.approx(chance)


def test_logits_lie_on_a_line() -> None:
    (found,) = calibrated([0.8], -0.5, 2)
    assert np.log(found / (1 - found)) == pytest.approx(-0.5 + 2 * np.log(4))


def test_a_chip_is_upright_whatever_the_roll() -> None:
    """A face turned in the plane gives the chip of the face as it stood."""
    rgb = np.zeros((400, 400, 3), dtype=np.uint8)
    points = np.zeros((68, 2))
    points[[36, 39, 42, 45, 33]] = [(140, 150), (180, 152), (220, 152), (260, 150), (200, 240)]
    rgb[140:162, 130:270], rgb[230:250, 190:210] = 255, 90
    turned = np.rot90(rgb)
    again = np.column_stack([points[:, 1], 400 - points[:, 0]])
    upright = chip(rgb, points, 0.2, 64, 4)
    assert upright.shape == (64, 64, 3)
    same = np.abs(upright.astype(int) - chip(turned, again, 0.2, 64, 4))
    assert same.mean() < 2
