"""Two people's landmarks drawn on one picture, to see where they disagree."""

import cv2
import numpy as np
from numpy.typing import NDArray

from mirrorset.records import Xy

_SIDE_PX = 560
_MARGIN = 0.35
#: RGB of the first's points, the second's, and the way between.
_FIRST, _SECOND, _BETWEEN = (39, 224, 255), (255, 138, 31), (255, 255, 255)


def drawn(
    rgb: NDArray[np.uint8], points: tuple[tuple[tuple[Xy, ...], tuple[Xy, ...]], ...]
) -> NDArray[np.uint8]:
    """The part of (H, W, 3) uint8 `rgb` around the faces, with both sets of points, enlarged.

    points: of each face (K, 2) px by the first and by the second.
    """
    every = np.concatenate([np.array(side) for face in points for side in face])
    low, high = every.min(axis=0), every.max(axis=0)
    # A square, as far as the picture reaches.
    half = (0.5 + _MARGIN) * float((high - low).max())
    middle = (low + high) / 2
    height, width = rgb.shape[:2]
    left, top = np.floor(np.clip(middle - half, 0, (width - 1, height - 1))).astype(int)
    right, bottom = np.ceil(np.clip(middle + half, (left + 1, top + 1), (width, height))).astype(
        int
    )
    part = rgb[top:bottom, left:right]
    scale = _SIDE_PX / max(part.shape[:2])
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    canvas = np.ascontiguousarray(small, dtype=np.uint8)
    for first, second in points:
        pairs = [
            [
                tuple(np.round((np.array(xy) - (left, top)) * scale).astype(int).tolist())
                for xy in two
            ]
            for two in zip(first, second, strict=True)
        ]
        for start, end in pairs:
            cv2.line(canvas, start, end, _BETWEEN, 1, cv2.LINE_AA)
        for start, end in pairs:
            cv2.circle(canvas, start, 3, _FIRST, -1, cv2.LINE_AA)
            cv2.circle(canvas, end, 3, _SECOND, -1, cv2.LINE_AA)
    return canvas
