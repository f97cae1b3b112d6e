"""How far apart two expressions are, by landmarks that were turned to the front.

Each face's ibug68 points are laid on the head model: its rotation, scale and place are found from
the nose and the eyes' corners, which expressions hardly move, and then every point is moved to
where it would lie if the head looked into the camera, its depth being the model's. What is left is
compared. The 52 blendshapes are not: they follow the camera's distance and the
head's pitch more than a faint smile (docs/measures.md).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.pose import RIGID, head_model, head_rotation
from mirrorset.records import Face

Floats = NDArray[np.float64]

_MOUTH = slice(48, 68)
_BROWS = slice(17, 27)
# Upper lids with the lower ones below them, both eyes.
_UPPER_LIDS, _LOWER_LIDS = [37, 38, 43, 44], [41, 40, 47, 46]
# On one face whose expression does not change, brows move twice as far as the mouth.
_BROWS_WEIGHT = 0.5


class ExpressionChange(NamedTuple):
    """What differs between two expressions, in distances of the outer eye corners of a mean head.

    mouth: root mean square distance of the 20 points of the lips. eyes: root mean square change of
    the four openings between the lids. brows: half the root mean square distance of the 10 points.
    """

    mouth: float
    eyes: float
    brows: float

    @property
    def distance(self) -> float:
        """The largest of the three: a change in one part is not thinned by the others."""
        return max(self)


def expression_distance(a: Face, b: Face) -> float:
    """How far the expressions of two faces are apart; 0 for the same landmarks.

    A metric: symmetric, with the triangle inequality. Invariant to scale, place and rotation in the
    image, and to moderate turns of the head; mirroring both faces changes nothing. Of two people it
    also holds what their features differ by. Raises ValueError where one has no ibug68 landmarks.
    """
    return expression_change(a, b).distance


def expression_change(a: Face, b: Face) -> ExpressionChange:
    """The parts of `expression_distance`. Raises ValueError as it does."""
    return change_between(*(to_the_front(_points(face)) for face in (a, b)))


def change_between(first: ArrayLike, second: ArrayLike) -> ExpressionChange:
    """The same of two sets of points (68, 2) that `to_the_front` gave."""
    shift = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return ExpressionChange(
        mouth=_rms(shift[_MOUTH]),
        eyes=_rms(shift[_UPPER_LIDS] - shift[_LOWER_LIDS]),
        brows=_BROWS_WEIGHT * _rms(shift[_BROWS]),
    )


def to_the_front(points: ArrayLike) -> Floats:
    """ibug68 `points` (68, 2) px as (68, 2) in the head model's x and y, turned to the front.

    Under a scaled orthographic camera a point of the head (x, y, z) is seen at
    s · (R (x, y, z))_xy + t; with z from the model, x and y follow. Raises ValueError where the
    points coincide.
    """
    upright = np.asarray(points, dtype=np.float64) * (1, -1)
    model, rigid = head_model(), list(RIGID)
    seen_as = head_rotation(points)[:2]
    placed = model[rigid] @ seen_as.T
    centre, seen_centre = placed.mean(axis=0), upright[rigid].mean(axis=0)
    placed, seen = placed - centre, upright[rigid] - seen_centre
    scale = float((placed * seen).sum() / (placed**2).sum())
    at_scale = (upright - seen_centre) / scale + centre
    front: Floats = np.linalg.solve(seen_as[:, :2], (at_scale - model[:, 2:] * seen_as[:, 2]).T).T
    return front


def _points(face: Face) -> tuple[tuple[float, float], ...]:
    if "ibug68" not in face.landmarks:
        raise ValueError(f"face {face.face_id} has no ibug68 landmarks")
    return face.landmarks["ibug68"].points


def _rms(vectors: Floats) -> float:
    return float(np.sqrt((vectors**2).sum(axis=1).mean()))
