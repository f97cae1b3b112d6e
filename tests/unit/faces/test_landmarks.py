"""Two models joined: where each counts and what their disagreement says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faces.landmarks import joined_ibug68, landmarks
from faces.schema import load_schema

RANDOM = np.random.default_rng(1)
POINTS106 = RANDOM.uniform(50, 150, (106, 2))
MESH = RANDOM.uniform(50, 150, (478, 2))


def test_without_a_mesh_all_points_are_face106s() -> None:
    points, disagreement = joined_ibug68(POINTS106, np.full(106, 2.0), None)
    np.testing.assert_allclose(points, load_schema("ibug68").derive(POINTS106, "face106"))
    assert (disagreement == 2).all()


def test_jaw_and_brows_are_face106s_the_rest_is_the_mean() -> None:
    points, disagreement = joined_ibug68(POINTS106, np.zeros(106), MESH)
    schema = load_schema("ibug68")
    first, second = schema.derive(POINTS106, "face106"), schema.derive(MESH, "mesh478")
    np.testing.assert_allclose(points[:27], first[:27])
    np.testing.assert_allclose(points[27:], (first[27:] + second[27:]) / 2)
    np.testing.assert_allclose(disagreement[:27], 0)
    np.testing.assert_allclose(disagreement[27:], np.linalg.norm(first[27:] - second[27:], axis=1))


def test_confidence_falls_with_disagreement() -> None:
    record = landmarks(np.ones((4, 2)), [0, 5, 10, 50], 100, 10, 10)
    assert record.confidence == pytest.approx((1, np.exp(-0.5), np.exp(-2), 0), abs=1e-4)


def test_points_outside_the_image_are_not_visible() -> None:
    record = landmarks([(0, 0), (10, 5), (10.01, 5), (3, -0.01)], np.zeros(4), 100, 10, 5)
    assert record.visibility == (2, 2, 0, 0)


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=5))
def test_points_survive_two_decimals_of_text(xy: list[tuple[float, float]]) -> None:
    record = landmarks(xy, np.zeros(len(xy)), 100, 100, 100)
    for point in record.points:
        assert tuple(float(f"{value:.2f}") for value in point) == point
        assert "-0.00" not in (f"{value:.2f}" for value in point)
