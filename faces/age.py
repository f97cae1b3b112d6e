"""Apparent age, for the minor gate alone: the figure is compared and forgotten, never stored."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.detection import Image
from faces.onnx import Network, planar
from mirrorset.geometry import similarity
from mirrorset.records import Record

# The chip the network was trained on: dlib's five-point face chip (get_face_chip_details in dlib's
# image_transforms/interpolation.h), whose targets are, in ibug68, the outer and inner corners of
# the right and the left eye and the base of the nose.
_CHIP_POINTS = [45, 42, 36, 39, 33]
_CHIP_TARGETS = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)
_CHIP_SIDE_PX = 64
_OVERSAMPLING = 4
# Means of the training set and scale, in the order R, G, B.
_MEANS = (122.782, 117.001, 104.298)
_SCALE = 256


class AgeParams(Record):
    """age_floor: years. paddings: one chip is cut for each, the face's side being widened by that
    share all around, and one of its mirror image; the network was trained at 0.2.
    """

    age_floor: int = 18
    paddings: tuple[float, ...] = (0.1, 0.2)


class AgeEstimator:
    """age-v1: 81 probabilities, one a year from 0 to 80. One instance serves any number of
    threads.
    """

    def __init__(self, path: Path, params: AgeParams | None = None) -> None:
        self._params = params or AgeParams()
        self._network = Network(path, most_on_cpu=8)

    def minor_probability(self, faces: Sequence[tuple[Image, ArrayLike]]) -> list[float]:
        """Probability that each of `faces` is under the age floor.

        faces: (H, W, 3) uint8 RGB and the face's ibug68 points (68, 2) px in it. The probability
        below the floor is summed over the years and averaged over the chips: the network's best
        year is coarse, and one chip alone is noisy (docs/models.md).
        """
        if not faces:
            return []
        chips = [chip for rgb, points in faces for chip in self._chips(rgb, points)]
        (years,) = self._network(planar(chips, _MEANS, _SCALE))
        minor = years[:, : self._params.age_floor].sum(axis=1).reshape(len(faces), -1)
        return [float(chances.mean()) for chances in minor]

    def _chips(self, rgb: Image, points: ArrayLike) -> list[Image]:
        corners = np.asarray(points, dtype=np.float64)[_CHIP_POINTS]
        chips = [_chip(rgb, corners, padding) for padding in self._params.paddings]
        return chips + [chip[:, ::-1] for chip in chips]


def _chip(
    rgb: NDArray[np.uint8], corners: NDArray[np.float64], padding: float
) -> NDArray[np.uint8]:
    """The aligned chip (64, 64, 3), cut larger and shrunk by area, against aliasing."""
    side = _CHIP_SIDE_PX * _OVERSAMPLING
    targets = (padding + _CHIP_TARGETS) / (2 * padding + 1) * side
    matrix = similarity(corners, targets)
    large = cv2.warpAffine(rgb, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    size = (_CHIP_SIDE_PX, _CHIP_SIDE_PX)
    return np.asarray(cv2.resize(large, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
