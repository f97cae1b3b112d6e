"""A frontal face for unit tests: the head model's points on flat colours."""

import numpy as np
from numpy.typing import NDArray

from faces.pose import head_model
from mirrorset.records import Face, Landmarks

SIDE = 240
# Distance of the outer eye corners, px.
UNIT = 64
MIDDLE = SIDE // 2
EYES_ROW = 90


def drawn_points() -> NDArray[np.float64]:
    """ibug68 points (68, 2) px of an upright symmetric face whose midline is x = 120."""
    return head_model()[:, :2] * (UNIT, -UNIT) + (MIDDLE, EYES_ROW)


def flat(*rgb: int) -> NDArray[np.uint8]:
    """(240, 240, 3) uint8 of one grey or one colour."""
    return np.full((SIDE, SIDE, 3), rgb if len(rgb) == 3 else rgb[0], dtype=np.uint8)


def face_with(points: NDArray[np.float64]) -> Face:
    """A face whose only measure is its ibug68 landmarks (68, 2) px."""
    count = len(points)
    landmarks = Landmarks(
        points=tuple((float(x), float(y)) for x, y in points),
        visibility=(2,) * count,
        confidence=(1.0,) * count,
    )
    return Face(face_id="0", box=(0, 0, 1, 1), score=1, landmarks={"ibug68": landmarks})
