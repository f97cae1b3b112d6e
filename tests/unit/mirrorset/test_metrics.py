"""Metrics against values worked out by hand, and the properties they must have."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorset.metrics import bootstrap_interval, mask_iou, nme, oks, wilson_interval

points = st.lists(
    st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=1, max_size=20
).map(np.array)


def test_nme_is_the_mean_distance_over_the_interocular_distance() -> None:
    assert nme([[3, 4], [0, 0]], [[0, 0], [0, 0]], 10) == pytest.approx(0.25)


@given(points, st.floats(0.1, 50))
def test_nme_does_not_depend_on_scale(truth: np.ndarray, scale: float) -> None:
    predicted = truth + 1.0
    assert nme(predicted * scale, truth * scale, 7 * scale) == pytest.approx(
        nme(predicted, truth, 7)
    )


@pytest.mark.parametrize("distance", [0, -1, float("nan")])
def test_nme_refuses_a_distance_that_is_none(distance: float) -> None:
    with pytest.raises(ValueError, match="interocular"):
        nme([[0, 0]], [[0, 0]], distance)


def test_oks_counts_only_given_points() -> None:
    far = [[0, 0], [50, 50]]
    assert oks(far, [[0, 0], [0, 0]], [2, 0], 100, [0.1, 0.1]) == 1
    one_sigma = oks([[2, 0]], [[0, 0]], [2], 100, [0.1])  # d² = (2σ)²·area
    assert one_sigma == pytest.approx(math.exp(-0.5))
    assert math.isnan(oks(far, far, [0, 0], 100, [0.1, 0.1]))


def test_two_empty_masks_agree() -> None:
    empty = np.zeros((2, 2), dtype=bool)
    assert mask_iou(empty, empty) == 1
    assert mask_iou(~empty, empty) == 0


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(7)
    covered = 0
    for seed in range(200):
        low, high = bootstrap_interval(generator.normal(3, 1, 40), seed=seed, resamples=500)
        covered += low <= 3 <= high
    assert 0.88 <= covered / 200 <= 0.99
    assert math.isnan(bootstrap_interval([])[0])
    assert bootstrap_interval([1.0, 2.0, 4.0]) == bootstrap_interval([1.0, 2.0, 4.0])


def test_wilson_against_figures_worked_out_by_hand() -> None:
    # With z = 1.96: for 0 of 10 the upper bound is z²/(10 + z²).
    assert wilson_interval(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1), abs=1e-4)
    assert wilson_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert math.isnan(wilson_interval(0, 0)[0])
