"""Whether two pictures show the same pixels, whatever their hashes say."""

from collections.abc import Iterable, Iterator
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.near_duplicates import By
from faces.align import squared_face

#: A grey picture (112, 112) uint8.
Grey = NDArray[np.uint8]

SIDE_PX = 112
_BLOCK_PX = 16
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-3)
_SMOOTHED_PX = 5
# Less contrast than a block of plain skin or sky has after JPEG says nothing.
_LEAST_DEVIATION = 2.0


class Pixels:
    """One picture as it is compared: its comparable faces and its whole frame.

    rgb: (H, W, 3), upright. faces: the points of each, schema face5, (5, 2) px.
    """

    def __init__(self, rgb: NDArray[np.uint8], faces: Iterable[NDArray[np.float64]]) -> None:
        squared = (squared_face(rgb, five) for five in faces)
        self._faces = [grey(face) for face in squared if face is not None]
        self._frame = grey(rgb)

    def is_copy(self, other: Self, by: By, min_likeness: float) -> bool:
        """Whether one shows what the other shows in that respect by which they were found close."""
        return any(likeness(*views) >= min_likeness for views in self._views(other, by))

    def _views(self, other: Self, by: By) -> Iterator[tuple[Grey, Grey]]:
        if by == "turned":
            yield from ((self._frame, np.rot90(other._frame, quarters)) for quarters in (1, 2, 3))
            return
        some, others = (
            ([self._frame], [other._frame]) if by == "frame" else (self._faces, other._faces)
        )
        for first in some:
            for second in others:
                yield first, second
                yield first, np.fliplr(second)


def grey(rgb: NDArray[np.uint8]) -> Grey:
    """The whole of (H, W, 3) RGB pixels, squeezed into a square."""
    small = cv2.resize(rgb, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def likeness(first: Grey, second: Grey) -> float:
    """How alike two pictures are, −1 to 1; 1 for copies.

    The second is laid upon the first by the affine map that correlates them best (G. Evangelidis
    and E. Psarakis, "Parametric image alignment using enhanced correlation coefficient
    maximization", 2008), then each block of 16 px is correlated by itself, and the median counts:
    faces are alike in the large and strangers' differ within the blocks, while light, a watermark
    or a hand changes some blocks and not most.
    """
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, move = cv2.findTransformECC(
            first, second, start, cv2.MOTION_AFFINE, _STOP, None, _SMOOTHED_PX
        )
    except cv2.error:  # they have nothing in common that could be laid upon each other
        return 0.0
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        second, move, first.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    some, others = _blocks(first), _blocks(moved)
    deviations = some.std(axis=1), others.std(axis=1)
    told = (deviations[0] > _LEAST_DEVIATION) & (deviations[1] > _LEAST_DEVIATION)
    if not told.any():
        return 0.0
    products = (some * others).mean(axis=1)[told]
    return float(np.median(products / (deviations[0] * deviations[1])[told]))


def _blocks(picture: Grey) -> NDArray[np.float64]:
    """(N, 256): the blocks of a picture, each less its mean."""
    side = SIDE_PX // _BLOCK_PX
    cut = picture.reshape(side, _BLOCK_PX, side, _BLOCK_PX).swapaxes(1, 2).reshape(side * side, -1)
    return cut - cut.mean(axis=1, keepdims=True)
