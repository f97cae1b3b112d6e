"""Metrics against values worked out by hand, and the properties they must have."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorset.metrics import (
    bootstrap_interval,
    kappa,
    mask_iou,
    nme,
    oks,
    percentile_interval,
    rate_change_interval,
    resampled,
    resampled_kappa,
    weighted_quantile,
    wilson_interval,
)

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


_DRAWS: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "normal": (lambda generator, count: generator.normal(3, 1, count), 3.0),
    # As skewed as NMEs are; five degrees of freedom have long tails.
    "lognormal": (lambda generator, count: generator.lognormal(0, 0.5, count), math.exp(0.125)),
    "long_tails": (lambda generator, count: generator.standard_t(5, count), 0.0),
    # What a candidate adds to the NME of each image: some 5 %, more where it is large.
    "paired": (
        lambda generator, count: (
            generator.lognormal(0, 0.5, count) * (generator.lognormal(0.05, 0.2, count) - 1)
        ),
        math.exp(0.125) * (math.exp(0.07) - 1),
    ),
}


@pytest.mark.parametrize("count", [10, 30, 100])
@pytest.mark.parametrize("drawn", _DRAWS)
def test_95_percent_of_bootstrap_intervals_hold_the_mean(drawn: str, count: int) -> None:
    draw, mean = _DRAWS[drawn]
    generator = np.random.default_rng(7)
    covered = 0
    for seed in range(1000):
        low, high = bootstrap_interval(draw(generator, count), seed=seed, resamples=500)
        covered += low <= mean <= high
    assert 930 <= covered <= 970


def test_what_few_values_do_not_say_is_not_known() -> None:
    for few in ([], [1.0]):
        assert np.isnan(bootstrap_interval(few)).all()
    low, high = bootstrap_interval([1.0, 2.0])  # Student's, with 12.7 standard errors of .5
    assert (low, high) == pytest.approx((1.5 - 6.353, 1.5 + 6.353), abs=1e-3)
    low, high = bootstrap_interval([0.0] * 9 + [1.0])
    assert low < 0
    assert high > 0.3
    assert bootstrap_interval([0.25] * 5) == (0.25, 0.25)
    assert bootstrap_interval(range(5)) == bootstrap_interval(range(5))


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40), st.floats(0.1, 10))
def test_a_bootstrap_interval_holds_its_mean_and_goes_with_the_unit(
    values: list[float], scale: float
) -> None:
    low, high = bootstrap_interval(values, resamples=200)
    assert not low > np.mean(values) + 1e-9
    assert not high < np.mean(values) - 1e-9
    scaled = bootstrap_interval(np.array(values) * scale, resamples=200)
    if np.ptp(values) > 1e-6:
        assert scaled == pytest.approx((low * scale, high * scale), rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(("gain", "loss"), [(0.05, 0.05), (0.2, 0.05), (0.1, 0.3)])
@pytest.mark.parametrize("trials", [100, 360])
def test_95_percent_of_intervals_hold_the_change_of_a_rate(
    gain: float, loss: float, trials: int
) -> None:
    drawn = np.random.default_rng(3).multinomial(trials, [gain, loss, 1 - gain - loss], 1000)
    covered = 0
    for gained, lost, _ in drawn.tolist():
        low, high = rate_change_interval(gained, lost, trials)
        covered += low <= gain - loss <= high
    assert 930 <= covered <= 980


def test_no_change_in_a_handful_says_little() -> None:
    low, high = rate_change_interval(0, 0, 10)
    assert low == -high
    assert high > 0.15
    assert rate_change_interval(0, 0, 5000)[1] < 0.001
    assert math.isnan(rate_change_interval(0, 0, 0)[0])


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_95_percent_of_wilson_intervals_hold_the_rate(rate: float) -> None:
    drawn = np.random.default_rng(5).binomial(200, rate, 1000)
    intervals = [wilson_interval(int(successes), 200) for successes in drawn]
    assert 930 <= sum(low <= rate <= high for low, high in intervals) <= 970


def test_wilson_against_figures_worked_out_by_hand() -> None:
    # With z = 1.96: for 0 of 10 the upper bound is z²/(10 + z²).
    assert wilson_interval(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1), abs=1e-4)
    assert wilson_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert math.isnan(wilson_interval(0, 0)[0])
    for trials in range(1, 400):
        assert wilson_interval(0, trials)[0] == 0
        assert wilson_interval(trials, trials)[1] == 1


def test_kappa_against_figures_worked_out_by_hand() -> None:
    # 50 grant proposals: 35 equal answers; by chance (25·30 + 25·20)/50² = .5; (.7 − .5)/.5.
    assert kappa([[20, 5], [10, 15]]) == pytest.approx(0.4)
    # scikit-learn's example: negative, positive, negative, neutral, positive against the same but
    # for the last, negative. Equal .8; by chance (2·3 + 1·1 + 2·1)/25 = .36; .44/.64.
    assert kappa([[2, 0, 0], [0, 1, 0], [1, 0, 1]]) == pytest.approx(0.6875)
    # 2 0 2 2 0 1 against 0 0 2 2 0 2: equal 4/6; by chance (2·3 + 1·0 + 3·3)/36; .25/.583.
    assert kappa([[2, 0, 0], [0, 0, 1], [1, 0, 2]]) == pytest.approx(3 / 7)


def test_weighted_kappa_counts_a_near_miss_less() -> None:
    # Of 4 pairs one is a step apart: observed 1/4. Rows 2, 1, 1; columns 1, 2, 1; by chance
    # (2·(2·1 + 1·2) + 1·(1 + 1) + 1·(1·2 + 2·1))/16 = (2·4 + 2 + 4)/16 = 14/16. 1 − (1/4)/(14/16).
    near = [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert kappa(near, is_weighted=True) == pytest.approx(1 - (1 / 4) / (14 / 16))
    far = [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert kappa(far, is_weighted=True) < kappa(near, is_weighted=True)
    # Two classes have no near misses.
    table = [[20, 5], [10, 15]]
    assert kappa(table, is_weighted=True) == pytest.approx(float(kappa(table)))


def test_kappa_knows_no_answer_where_there_is_but_one_class() -> None:
    assert math.isnan(kappa([[7, 0], [0, 0]]))
    drawn = resampled_kappa([[[7, 0], [0, 0]]] * 3)
    assert all(map(math.isnan, percentile_interval(drawn)))


@given(st.lists(st.integers(0, 20), min_size=9, max_size=9))
def test_kappa_is_one_at_most_and_does_not_ask_who_was_first(counts: list[int]) -> None:
    table = np.reshape(counts, (3, 3))
    for is_weighted in (False, True):
        value = float(kappa(table, is_weighted))
        assert math.isnan(value) or value <= 1
        assert value == pytest.approx(float(kappa(table.T, is_weighted)), nan_ok=True)


def test_the_interval_of_kappa_covers_it_though_an_image_has_many_points() -> None:
    generator = np.random.default_rng(3)
    # Each image has an error rate of its own, so its 20 points are anything but independent.
    rates = generator.beta(2, 8, 40_000)

    def tables(rates: np.ndarray) -> np.ndarray:
        wrong, right = generator.binomial(10, rates), generator.binomial(10, rates)
        return np.stack([np.stack([10 - wrong, wrong], -1), np.stack([right, 10 - right], -1)], -2)

    truth = float(kappa(tables(rates).sum(axis=0)))
    covered = 0
    for seed in range(100):
        drawn = resampled_kappa(tables(rates[seed * 40 : seed * 40 + 40]), seed=seed)
        low, high = percentile_interval(drawn)
        covered += low <= truth <= high
    assert covered >= 85


def test_weighted_quantiles_are_those_of_the_repeated_values() -> None:
    values, weights = [3.0, 1.0, 2.0], [[1, 1, 1], [0, 4, 0], [5, 0, 1], [0, 0, 0]]
    assert weighted_quantile(values, weights, 0.5)[:3].tolist() == [2, 1, 3]
    assert math.isnan(weighted_quantile(values, weights, 0.5)[3])
    assert weighted_quantile(values, weights[:1], 0.9).tolist() == [3]


def test_resamples_draw_as_many_as_there_are() -> None:
    drawn = resampled(7, seed=1, resamples=50)
    assert drawn.shape == (50, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert (drawn == resampled(7, seed=1, resamples=50)).all()
    assert percentile_interval([1.0, float("nan"), 1.0]) == (1, 1)
