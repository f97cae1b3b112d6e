"""Expected error and what a confidence promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faces.uncertainty import FACE106, JOINED, MESH478, Calibration, confidence, expected_error

DISTANCES = st.lists(st.floats(0, 3), min_size=2, max_size=8)


def test_full_agreement_is_the_floor_and_an_unseen_mirror_image_the_lone_distance() -> None:
    line = Calibration(floor=0.01, own=0.2, mean=0.3, lone=0.1)
    assert expected_error(line, np.zeros(3)) == pytest.approx(0.01, rel=1e-2)
    assert expected_error(line, np.full(3, np.nan)) == pytest.approx(0.06, rel=0.03)
    assert expected_error(line, np.full(3, 0.1)) == pytest.approx(0.06, rel=0.03)


@pytest.mark.parametrize("line", [FACE106, MESH478, JOINED])
@settings(deadline=None)
@given(apart=DISTANCES, more=st.floats(0.001, 1))
def test_more_disagreement_is_never_less_doubt(
    line: Calibration, apart: list[float], more: float
) -> None:
    before = expected_error(line, apart)
    after = expected_error(line, np.array(apart) + more)
    assert (after > before).all()
    assert (after < 0.25).all()


def test_confidence_is_the_share_of_points_within_five_per_cent() -> None:
    """Errors with normal, equal coordinates, whose mean is known."""
    random = np.random.default_rng(0)
    for mean in (0.02, 0.05, 0.1):
        errors = random.rayleigh(mean * np.sqrt(2 / np.pi), 200_000)
        assert errors.mean() == pytest.approx(mean, rel=0.01)
        assert confidence(mean) == pytest.approx((errors < 0.05).mean(), abs=0.005)
