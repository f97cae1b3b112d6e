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

# A point this near its truth, in interocular distances, is well placed: the usual bar of 300-W.
NEAR = 0.05


class Calibration(Record):
    """The line of expected error over disagreement, all in interocular distances.

    floor: error at full agreement. own: for the point's own mirror disagreement. mean: for that of
    all points of the face. between: for the point's distance between the two models. lone: mirror
    disagreement that stands for a mirror image in which nothing was found.
    """

    floor: float
    own: float
    mean: float
    between: float = 0
    lone: float = 0


FACE106 = Calibration(floor=0.012, own=0.41, mean=0.55)
MESH478 = Calibration(floor=0.008, own=0.29, mean=0.58, lone=0.25)
JOINED = Calibration(floor=0.008, own=0.2, mean=0.43, between=0.08, lone=0.3)


def expected_error(calibration: Calibration, mirror: ArrayLike, between: ArrayLike = 0) -> Floats:
    """Expected distance (K,) of each point from the truth, in interocular distances.

    mirror: (K,) distance of each point found on the picture and on its mirror image, NaN where only
    one was found. between: (K,) distance of the two models' points. Both in interocular distances.
    """
    apart = np.nan_to_num(np.asarray(mirror, dtype=np.float64), nan=calibration.lone)
    return np.asarray(
        calibration.floor
        + calibration.own * apart
        + calibration.mean * apart.mean()
        + calibration.between * np.asarray(between, dtype=np.float64)
    )


def confidence(expected: ArrayLike) -> Floats:
    """Probability (K,) that a point is within 0.05 interocular distances of the truth.

    1 − exp(−π/4 · (0.05 / expected)²): errors whose two coordinates are normal and alike have a
    Rayleigh distribution, given by its mean, which is `expected` (K,).
    """
    ratio = NEAR / np.asarray(expected, dtype=np.float64)
    return np.asarray(1 - np.exp(-math.pi / 4 * ratio**2))
