"""Two models joined: where each counts and what their disagreement says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faces.landmarks import (
    SHARED,
    Located,
    Looks,
    landmarks,
    located68,
    located106,
    looks,
)
from faces.mesh import Mesh
from faces.schema import load_schema
from faces.uncertainty import FACE106, JOINED

Floats = NDArray[np.float64]
RANDOM = np.random.default_rng(1)
POINTS106: Floats = RANDOM.uniform(50, 150, (106, 2))
AGREED = np.zeros(106)
SCHEMA = load_schema("ibug68")


def looked(points106: Floats | None, other: Mesh | None) -> Looks:
    found = looks(None if points106 is None else (points106, AGREED), other)
    assert found
    return found


def mesh(points: Floats, apart_px: float = 0.0) -> Mesh:
    return Mesh(
        points=points,
        depth_px=np.zeros(478),
        apart_px=np.full(478, apart_px),
        blendshapes={},
        matrix=np.eye(4),
    )


def mesh_like(points106: Floats, shift_px: float) -> Mesh:
    """A mesh whose ibug68 points lie, all of them, that far to the right of face106's."""
    wanted = SCHEMA.derive(points106, "face106") + np.array([shift_px, 0])
    points = np.zeros((478, 2))
    # Every vertex of a point lies where the point is; few vertices serve two points.
    for target, indices in zip(wanted, SCHEMA.derived_from["mesh478"], strict=True):
        points[list(indices)] = target
    return mesh(points)


def test_without_a_mesh_all_points_are_face106s() -> None:
    found = located68(looked(POINTS106, None))
    np.testing.assert_allclose(found.points, SCHEMA.derive(POINTS106, "face106"))
    np.testing.assert_allclose(found.expected, FACE106.floor, rtol=0.01)


def test_jaw_and_brows_are_face106s_the_rest_lies_between_the_models() -> None:
    other = mesh(RANDOM.uniform(50, 150, (478, 2)))
    found = located68(looked(POINTS106, other)).points
    first, second = SCHEMA.derive(POINTS106, "face106"), SCHEMA.derive(other.points, "mesh478")
    np.testing.assert_allclose(found[:27], first[:27])
    apart = np.linalg.norm(first - second, axis=1)[27:]
    np.testing.assert_allclose(
        np.linalg.norm(found - first, axis=1)[27:] + np.linalg.norm(found - second, axis=1)[27:],
        apart,
    )


def test_face106_weighs_less_the_further_it_is_from_the_mesh() -> None:
    weights = []
    for shift in (0.1, 5.0, 50.0):
        other = mesh_like(POINTS106, shift)
        seen = looked(POINTS106, other)
        assert seen.points106 is not None
        assert seen.points478 is not None
        moved = located68(seen).points - seen.points478
        apart = seen.points106 - seen.points478
        weights.append((moved[SHARED] * apart[SHARED]).sum() / (apart[SHARED] ** 2).sum())
    assert weights[0] == pytest.approx(1 / 3, abs=0.01)
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] < 0.05


def test_doubt_grows_with_each_disagreement() -> None:
    calm = located68(looked(POINTS106, mesh_like(POINTS106, 1))).uncertainty
    apart = located68(looked(POINTS106, mesh_like(POINTS106, 20))).uncertainty
    shaken = mesh_like(POINTS106, 1)
    mirrored = located68(looked(POINTS106, mesh(shaken.points, apart_px=5))).uncertainty
    alone = located68(looked(POINTS106, mesh(shaken.points, apart_px=np.nan))).uncertainty
    assert calm < apart
    assert calm < mirrored
    assert calm < alone
    line = JOINED.floor + (JOINED.own + JOINED.mean) * JOINED.lone
    assert alone == pytest.approx(line, rel=0.1)


def test_one_point_that_moves_in_the_mirror_is_less_certain_than_the_rest() -> None:
    apart = np.zeros(106)
    apart[52] = 10
    expected = located106(POINTS106, apart).expected
    assert expected.argmax() == 52
    assert len(set(np.delete(expected, 52))) == 1


def test_the_mesh_alone_gives_all_68() -> None:
    found = located68(looked(None, mesh_like(POINTS106, 0)))
    assert found.points.shape == (68, 2)
    assert found.expected.shape == (68,)


def test_no_points_no_looks() -> None:
    assert looks(None, None) is None


def test_points_outside_the_image_are_not_visible() -> None:
    points = np.array([(0, 0), (10, 5), (10.01, 5), (3, -0.01)])
    record = landmarks(Located(points, np.full(4, 0.01)), 10, 5)
    assert record.visibility == (2, 2, 0, 0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=5))
def test_points_survive_two_decimals_of_text(xy: list[tuple[float, float]]) -> None:
    record = landmarks(Located(np.array(xy), np.full(len(xy), 0.01)), 100, 100)
    for point in record.points:
        assert tuple(float(f"{value:.2f}") for value in point) == point
        assert "-0.00" not in (f"{value:.2f}" for value in point)
