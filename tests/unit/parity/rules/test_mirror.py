"""The mirror says the one thing that matters most, in the person's own left and right."""

from typing import Any

import numpy as np
import pytest
from drawn_face import drawn_points
from numpy.typing import NDArray

from faces.expression import to_the_front
from parity.rules.mirror import FromBest, Hint
from parity.rules.rule import Seen

FROM_BEST = FromBest(rule="from_best", of=("pose", "expression", "light"))
HINT = Hint(rule="hint", of=("differences",))


def seen(**values: Any) -> Seen:
    return Seen(
        lambda: np.zeros((1, 1, 3), np.uint8), {k: np.asarray(v) for k, v in values.items()}
    )


def look(
    yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, light: int = 2, mouth_px: float = 0.0
) -> Seen:
    points = drawn_points()
    points[55:60, 1] += mouth_px
    return seen(pose=[yaw, pitch, roll], expression=to_the_front(points), light=light)


def hint(*differences: float) -> str:
    given = seen(differences=np.array(differences, dtype=np.float64))
    return HINT.labels[int(HINT.work_out(given, given))]


def test_a_look_differs_from_the_best_in_pose_expression_and_light() -> None:
    same = FROM_BEST.work_out(look(10, 5, -3), look(10, 5, -3))
    np.testing.assert_array_equal(same, np.zeros(7))
    other = FROM_BEST.work_out(look(10, 5, -3, light=0, mouth_px=8), look(-4, 6, 0))
    np.testing.assert_allclose(other[:3], [14, -1, -3])
    assert other[3] > 0.03
    assert other[4] == pytest.approx(0, abs=1e-9)
    assert other[6] == 1
    around = FROM_BEST.work_out(look(roll=179), look(roll=-179))
    np.testing.assert_allclose(around[2], -2)


def test_without_a_face_nothing_is_compared_and_nothing_advised() -> None:
    none = seen(pose=[np.nan] * 3, expression=np.full((68, 2), np.nan), light=-1)
    for one, best in ((none, look()), (look(), none)):
        differences = FROM_BEST.work_out(one, best)
        assert differences.shape == (7,)
        assert np.isnan(differences).any()
        given = seen(differences=differences)
        assert HINT.work_out(given, given) == -1


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ((0, 0, 0, 0, 0, 0, 0), "stay"),
        ((8, 8, 6, 0.02, 0.02, 0.02, 0), "stay"),
        # The nose points to the picture's right, which is the person's left.
        ((9, 0, 0, 0, 0, 0, 0), "turn right"),
        ((-9, 0, 0, 0, 0, 0, 0), "turn left"),
        ((0, -9, 0, 0, 0, 0, 0), "lift the chin"),
        ((0, 9, 0, 0, 0, 0, 0), "lower the chin"),
        ((0, 0, 7, 0, 0, 0, 0), "tilt right"),
        ((0, 0, -7, 0, 0, 0, 0), "tilt left"),
        # 1.25 limits of yaw, 1.5 of roll.
        ((10, 0, -9, 0, 0, 0, 0), "tilt left"),
        ((9, 0, 0, 1, 1, 1, 1), "turn right"),
        ((0, 0, 0, 1, 0, 0, 1), "face the light"),
        ((0, 0, 0, 0.07, 0, 0, 0), "relax the mouth"),
        ((0, 0, 0, 0.05, 0.06, 0, 0), "relax the eyes"),
        ((0, 0, 0, 0, 0, 0.05, 0), "relax the brows"),
    ],
)
def test_the_hint_is_what_is_farthest_off(differences: tuple[float, ...], said: str) -> None:
    assert hint(*differences) == said


def test_limits_are_data() -> None:
    wide = HINT.model_copy(update={"yaw_deg": 20.0})
    given: Seen = seen(differences=np.array([9.0, 0, 0, 0, 0, 0, 0]))
    assert wide.labels[int(wide.work_out(given, given))] == "stay"


def test_labels_are_told_apart() -> None:
    labels: NDArray[Any] = np.array(HINT.labels)
    assert len(np.unique(labels)) == len(labels) == 11
