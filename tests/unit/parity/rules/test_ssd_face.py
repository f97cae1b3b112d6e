"""A single-shot detector's numbers become the one face that they stand for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from parity.rules.rule import Answer, Seen
from parity.rules.ssd_face import SsdFace, _anchors

RULE = SsdFace(rule="ssd_face", of=("detector",))
SAME = np.array([[1.0, 0, 0], [0, 1, 0]])


def nothing_found() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.zeros((896, 16), np.float32), np.full((896, 1), -9, np.float32)


def put(
    outputs: tuple[NDArray[np.float32], NDArray[np.float32]],
    anchor: int,
    box: tuple[float, float, float, float],
    logit: float,
) -> None:
    """Let one anchor say that there is a face: centre, width, height; all points at its centre."""
    x, y = _anchors(128, (8, 16), (2, 6))[anchor]
    centre = np.array([box[0] - x, box[1] - y])
    outputs[0][anchor] = np.concatenate([centre, box[2:], np.tile(centre, 6)])
    outputs[1][anchor] = logit


def face(
    outputs: tuple[NDArray[np.float32], NDArray[np.float32]],
    transform: NDArray[np.float64] = SAME,
    rule: SsdFace = RULE,
) -> NDArray[np.float64]:
    answer = Answer({"regressors": outputs[0], "scores": outputs[1]}, transform)
    seen = Seen(lambda: np.zeros((1, 1, 3), np.uint8), {"detector": answer})
    return rule.work_out(seen, seen)


def test_anchors_are_the_cells_centres_in_order() -> None:
    places = _anchors(128, (8, 16), (2, 6))
    assert places.shape == (896, 2)
    assert places[[0, 1, 2, 32, 511, 512, 517, 518, 895]].tolist() == [
        [4, 4], [4, 4], [12, 4], [4, 12], [124, 124], [8, 8], [8, 8], [24, 8], [120, 120],
    ]  # fmt: skip


def test_a_face_comes_back_in_px_of_the_picture() -> None:
    outputs = nothing_found()
    put(outputs, 600, (64, 40, 20, 30), 3.0)
    found = face(outputs)
    np.testing.assert_allclose(found[:4], [54, 25, 74, 55], atol=1e-5)
    assert found[4] == pytest.approx(1 / (1 + np.exp(-3)))
    np.testing.assert_allclose(found[5:].reshape(6, 2), [[64, 40]] * 6, atol=1e-5)
    half = np.array([[0.5, 0, 0], [0, 0.5, 10]])
    np.testing.assert_allclose(face(outputs, half)[:4], [108, 30, 148, 90], atol=1e-5)


def test_boxes_that_overlap_are_blended_by_their_scores() -> None:
    outputs = nothing_found()
    put(outputs, 600, (60, 60, 40, 40), 0.1)
    put(outputs, 601, (64, 60, 40, 40), 0.1)
    np.testing.assert_allclose(face(outputs)[:4], [42, 40, 82, 80], atol=1e-5)
    put(outputs, 601, (64, 60, 40, 40), 9.0)
    found = face(outputs)
    first, second = 1 / (1 + np.exp(-0.1)), 1 / (1 + np.exp(-9))
    assert found[0] == pytest.approx((60 * first + 64 * second) / (first + second) - 20, abs=1e-5)
    assert found[4] == pytest.approx(1 / (1 + np.exp(-9)))


def test_of_several_faces_the_largest_is_taken() -> None:
    outputs = nothing_found()
    put(outputs, 0, (20, 20, 20, 20), 9.0)
    put(outputs, 600, (90, 90, 30, 30), 1.0)
    np.testing.assert_allclose(face(outputs)[:4], [75, 75, 105, 105], atol=1e-5)


@pytest.mark.parametrize("broken", ["score", "box", "nothing", "not run"])
def test_where_there_is_none_nothing_is_said(broken: str) -> None:
    outputs = nothing_found()
    put(outputs, 600, (64, 40, 20, 30), 3.0)
    if broken == "nothing":
        outputs = nothing_found()
    elif broken == "score":
        outputs[1][:] = np.nan
    elif broken == "box":
        outputs[0][600, 3] = np.nan
    transform = np.full((2, 3), np.nan) if broken == "not run" else SAME
    assert np.isnan(face(outputs, transform)).all()
    assert face(outputs, transform).shape == (17,)


def test_a_broken_models_infinities_do_no_harm() -> None:
    outputs = nothing_found()
    outputs[1][:] = np.inf
    assert np.isfinite(face(outputs)).all()
