"""Figures of slices and their intervals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from small_pack import item

from mirrorset.metrics import bootstrap_interval
from parity.columns import Column
from parity.estimates import Evidence, exactly, slices_of_items
from parity.records import Estimate

NAN = math.nan


def estimate(metric: str, values: NDArray[np.float64]) -> Estimate | None:
    whole = {"all": np.ones(len(values), dtype=bool)}
    return Evidence([Column(metric, "x", values)], whole).figures[metric, "x", "all"].estimate


def test_slices_are_all_and_each_cell() -> None:
    items = [
        item(index, f"{index:064x}", cells)
        for index, cells in enumerate([{"pose": "left"}, {"pose": "frontal", "pitch": "up"}, {}])
    ]
    found = {name: chosen.tolist() for name, chosen in slices_of_items(items).items()}
    assert found == {
        "all": [True, True, True],
        "pitch=up": [False, True, False],
        "pose=frontal": [False, True, False],
        "pose=left": [True, False, False],
    }
    assert next(iter(found)) == "all"


def test_each_kind_has_its_figure() -> None:
    values = np.array([0.0, 1.0, 1.0, NAN, 0.0])
    rate = estimate("flip_share", values)
    assert rate is not None
    assert rate.value == 0.5
    # Wilson's interval of two in four (R's prop.test(2, 4, correct = FALSE)).
    assert (rate.low, rate.high) == pytest.approx((0.1500, 0.8500), abs=1e-4)
    assert estimate("tensor_max_abs", values) == exactly(1)
    assert estimate("tensor_cosine", values) == exactly(0)
    change = estimate("fr08_increase", np.array([1.0, -1.0, 1.0, 0.0, NAN]))
    assert change is not None
    assert change.value == 0.25
    # Bonett and Price: 3/6 - 2/6, ± 1.96 √((5/6 - 1/36) / 6).
    half = 1.959964 * math.sqrt((5 / 6 - 1 / 36) / 6)
    assert (change.low, change.high) == pytest.approx((1 / 6 - half, 1 / 6 + half), abs=1e-6)
    assert estimate("nme_increase", np.array([NAN, NAN])) is None


def test_one_image_has_no_interval_and_a_broken_one_no_mean() -> None:
    assert estimate("nme_increase", np.array([0.1])) == Estimate(
        value=0.1, low=-math.inf, high=math.inf
    )
    assert estimate("nme_increase", np.array([0.1, math.inf])) == exactly(math.inf)
    assert estimate("nme_increase", np.full(12, 0.1)) == exactly(0.1)


@given(
    values=arrays(np.float64, (12, 3), elements=st.floats(-5, 5, width=32)),
    unseen=arrays(np.bool_, (12, 3)),
)
def test_columns_together_are_as_columns_alone(
    values: NDArray[np.float64], unseen: NDArray[np.bool_]
) -> None:
    holed = np.where(unseen, NAN, values)
    columns = [Column("nme_increase", str(place), each) for place, each in enumerate(holed.T)]
    found = Evidence(columns, {"all": np.ones(12, dtype=bool)}).figures
    for place, each in enumerate(holed.T):
        figure = found["nme_increase", str(place), "all"]
        kept = each[~np.isnan(each)]
        assert figure.count == kept.size
        if kept.size < 2:
            continue
        assert figure.estimate is not None
        low, high = bootstrap_interval(kept)
        assert (figure.estimate.low, figure.estimate.high) == pytest.approx((low, high), abs=1e-6)
        assert figure.estimate.low <= figure.estimate.value <= figure.estimate.high
