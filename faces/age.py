"""Apparent age, for the minor gate alone: the figure is compared and forgotten, never stored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from faces.detection import Image
from faces.onnx import Floats32, Network, planar
from faces.registry import fetch, load_registry
from faces.tfjs import to_onnx
from mirrorset.geometry import similarity
from mirrorset.records import Record

# dlib's five-point face chip (get_face_chip_details in dlib's image_transforms/interpolation.h):
# its targets are, in ibug68, the outer and inner corners of the right and the left eye and the base
# of the nose.
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
_OUTER_EYE_CORNERS = [36, 45]
# Softmax outputs of 0 and 1 have no logit.
_EPSILON = 1e-3


class AgeParams(Record):
    """Whose years are summed, and up to which.

    model: "faceres", or "age-v1", whose licence leaves no question (CC0) and which tells far less.
    None is the profile's: age-v1 for commerce, faceres else.
    A face counts as a minor's with the probability of being under age_floor + margin_years.
    smallest_px: of a face with less between the outer eye corners nothing is known, so that it is
    in doubt.
    """

    model: Literal["faceres", "age-v1"] | None = None
    age_floor: int = Field(default=18, ge=1, le=80)
    margin_years: int = Field(default=2, ge=0, le=20)
    smallest_px: float = Field(default=14, ge=0)

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of faces/models.yaml."""
        return ("age-v1",) if self.model == "age-v1" else ("faceres", "faceres_graph")


class _Reading(NamedTuple):
    """How a network is read.

    side_px: of its chips, cut `oversampled` times as large and shrunk by area, against aliasing.
    paddings: the chip's side is widened by that share all around. means: taken off R, G, B before
    the division by scale. offset, slope: logit of the calibrated probability = offset + slope ·
    logit of the summed one; fitted to people of known ages with the floor moved to 20 to 30
    (benchmarks/minor_gate.py --fit, docs/models.md).
    """

    side_px: int
    oversampled: int
    paddings: tuple[float, ...]
    means: tuple[float, float, float]
    scale: float
    is_bgr: bool
    offset: float
    slope: float


_READINGS = {
    # Caffe's means, as its makers prepare pictures; of paddings 0.2 to 0.6 the best on known ages.
    "faceres": _Reading(224, 2, (0.4,), (123.68, 116.779, 103.939), 1, True, -0.643, 1.444),
    # Trained at padding 0.2.
    "age-v1": _Reading(64, 4, (0.1, 0.2), (122.782, 117.001, 104.298), 256, False, -0.628, 0.405),
}


class AgeEstimator:
    """Probabilities of years of age from 0 on. One instance serves any number of threads."""

    def __init__(self, cache: Path, params: AgeParams | None = None) -> None:
        """Raises UnavailableError and IntegrityError as `faces.registry.fetch` does."""
        self._params = params or AgeParams()
        self._reading = _READINGS[self._params.model or "faceres"]
        registry = load_registry()
        weights, *graph = (fetch(registry[name], cache) for name in self._params.weights)
        if graph:
            # Its third output would tell people apart: it is never computed.
            self._network = Network(to_onnx(graph[0], weights, "age_pred/Softmax"), most_on_cpu=2)
        else:
            self._network = Network(weights, most_on_cpu=8)

    def minor_probability(self, faces: Sequence[tuple[Image, ArrayLike]]) -> list[float]:
        """Calibrated probability that each of `faces` is under the age floor and its margin.

        faces: (H, W, 3) uint8 RGB and the face's ibug68 points (68, 2) px in it. 1 for a face that
        is too small.
        """
        large = [(rgb, points) for rgb, points in faces if self._is_readable(points)]
        under = self._params.age_floor + self._params.margin_years
        chances = iter(self.probability_under(under, self.years(large)))
        return [float(next(chances)) if self._is_readable(of) else 1.0 for _, of in faces]

    def years(self, faces: Sequence[tuple[Image, ArrayLike]]) -> Floats32:
        """Probabilities of each year of age from 0 on, (N, years) float32, of faces of any size.

        The mean over the chips and their mirror images: one chip alone is noisy.
        """
        if not faces:
            return np.zeros((0, 1), dtype=np.float32)
        chips = [one for rgb, points in faces for one in self._chips(rgb, points)]
        (years,) = self._network(planar(chips, self._means, self._reading.scale))
        by_chip = years.reshape(len(faces), -1, years.shape[1])
        return np.asarray(by_chip.mean(axis=1))

    def probability_under(self, age: int, years: Floats32) -> NDArray[np.float64]:
        """Calibrated probability (N,) of being under `age`, summed from `years` (N, years)."""
        return calibrated(years[:, :age].sum(axis=1), self._reading.offset, self._reading.slope)

    @property
    def _means(self) -> tuple[float, float, float]:
        red, green, blue = self._reading.means
        return (blue, green, red) if self._reading.is_bgr else (red, green, blue)

    def _is_readable(self, points: ArrayLike) -> bool:
        left, right = np.asarray(points, dtype=np.float64)[_OUTER_EYE_CORNERS]
        return float(np.linalg.norm(right - left)) >= self._params.smallest_px

    def _chips(self, rgb: Image, points: ArrayLike) -> list[Image]:
        chips = [
            chip(rgb, points, padding, self._reading.side_px, self._reading.oversampled)
            for padding in self._reading.paddings
        ]
        if self._reading.is_bgr:
            chips = [one[:, :, ::-1] for one in chips]
        return chips + [one[:, ::-1] for one in chips]


def calibrated(summed: ArrayLike, offset: float, slope: float) -> NDArray[np.float64]:
    """Probabilities (N,) from those that a network sums to (N,): a line between their logits.

    Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    clipped = np.clip(np.asarray(summed, dtype=np.float64), _EPSILON, 1 - _EPSILON)
    logit = np.log(clipped / (1 - clipped))
    return np.asarray(1 / (1 + np.exp(-(offset + slope * logit))))


def chip(rgb: Image, points: ArrayLike, padding: float, side_px: int, oversampled: int) -> Image:
    """The face with ibug68 `points` (68, 2) px, aligned: (side_px, side_px, 3) uint8."""
    side = side_px * oversampled
    corners = np.asarray(points, dtype=np.float64)[_CHIP_POINTS]
    targets = (padding + _CHIP_TARGETS) / (2 * padding + 1) * side
    matrix = similarity(corners, targets)
    large = cv2.warpAffine(rgb, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    size = (side_px, side_px)
    return np.asarray(cv2.resize(large, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
