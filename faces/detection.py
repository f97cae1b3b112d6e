"""Face detection: what every detector gives."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Detection:
    """box: (4,) float64 xyxy px. score: 0 to 1. five_points: (5, 2) float64 px in the order of
    schema face5: eye on the image's left, on its right, nose tip, mouth corners left and right.
    """

    box: NDArray[np.float64]
    score: float
    five_points: NDArray[np.float64]


class Detector(Protocol):
    """A face detector; one instance serves any number of threads."""

    def detect(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        """The faces of each of `images`, (H, W, 3) uint8 RGB of any sizes.

        Largest box first; boxes may reach outside the image. What is found in one image does not
        depend on the others.
        """
        ...


def largest_first(detections: Iterable[Detection]) -> tuple[Detection, ...]:
    """By box area, descending; of equal areas the first stays first."""
    return tuple(sorted(detections, key=_area, reverse=True))


def unsuppressed(boxes: NDArray[np.floating], max_overlap: float) -> list[int]:
    """Greedy non-maximum suppression: indices of `boxes` (n, 4), best first, that stay.

    Sides count a pixel more than their length, as in insightface.
    """
    low, high = boxes[:, :2], boxes[:, 2:] + 1
    areas = (high - low).prod(axis=1)
    kept: list[int] = []
    left: NDArray[np.intp] = np.arange(len(boxes))
    while left.size:
        best, others = left[0], left[1:]
        kept.append(int(best))
        sides = np.minimum(high[best], high[others]) - np.maximum(low[best], low[others])
        shared = np.maximum(sides, 0).prod(axis=1)
        overlap = shared / (areas[best] + areas[others] - shared)
        left = others[overlap <= max_overlap]
    return kept


def _area(detection: Detection) -> float:
    left, top, right, bottom = detection.box
    return float((right - left) * (bottom - top))
