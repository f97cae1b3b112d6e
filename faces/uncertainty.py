"""How far a landmark is expected to be off, from how far two looks at it lie apart.

The networks regress points and say nothing of their doubt. Their disagreement does: between a
picture and its mirror image, and between two models. `benchmarks/prelabel_accuracy.py --fit`
calibrates it on ground truth and prints the constants below (docs/models.md has the data).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirrorset.records import Record

Floats = NDArray[np.float64]

# A point this near its truth, in interocular distances, is well placed.
NEAR = 0.05
# What a regressed shape can be off on average, in interocular distances: disagreement has no bound.
_MOST = 0.25


class Calibration(Record):
    """The line of expected error over disagreement, all in interocular distances.

    floor: error at full agreement. own: for the point's own mirror disagreement. mean: for the mean
    of the face's. between: for the point's distance between the two models. lone: the mirror
    disagreement that stands for a mirror image in which nothing was found.
    """

    floor: float
    own: float
    mean: float
    between: float = 0
    lone: float = 0


FACE106 = Calibration(floor=0.0106, own=0.34, mean=0.76)
MESH478 = Calibration(floor=0.0061, own=0.23, mean=0.69, lone=0.09)
JOINED = Calibration(floor=0.0069, own=0.21, mean=0.63, between=0.03, lone=0.09)


def expected_error(calibration: Calibration, mirror: ArrayLike, between: ArrayLike = 0) -> Floats:
    """Expected distance (K,) of each point from the truth, in interocular distances.

    The line of `calibration`, e, bent towards 0.25: e / √(1 + (e / 0.25)²).
    mirror: (K,) distance of each point found on the picture and on its mirror image, NaN where only
    one was found. between: (K,) distance of the two models' points. Both in interocular distances.
    """
    apart = np.nan_to_num(np.asarray(mirror, dtype=np.float64), nan=calibration.lone)
    line = (
        calibration.floor
        + calibration.own * apart
        + calibration.mean * apart.mean()
        + calibration.between * np.asarray(between, dtype=np.float64)
    )
    return np.asarray(line / np.hypot(1, line / _MOST))


def confidence(expected: ArrayLike) -> Floats:
    """Probability (K,) that a point is within 0.05 interocular distances of the truth.

    1 − exp(−π/4 · (0.05 / expected)²): errors whose two coordinates are normal and alike have a
    Rayleigh distribution, given by its mean, which is `expected` (K,).
    """
    ratio = NEAR / np.asarray(expected, dtype=np.float64)
    return np.asarray(1 - np.exp(-math.pi / 4 * ratio**2))
