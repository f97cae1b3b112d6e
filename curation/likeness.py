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
# Coarser than this all faces are alike.
_DETAIL_PX = 3.0
# What JPEG leaves of plain skin or sky says nothing.
_LEAST_DEVIATION = 0.5


class Pixels:
    """One picture as it is compared: its comparable faces and its whole frame.

    rgb: (H, W, 3), upright. faces: the points of each, schema face5, (5, 2) px.
    """

    def __init__(self, rgb: NDArray[np.uint8], faces: Iterable[NDArray[np.float64]]) -> None:
        squared = (squared_face(rgb, five) for five in faces)
        self._faces = [grey(face) for face in squared if face is not None]
        self._frame = grey(rgb)

    def is_copy(self, other: Self, by: By, min_likeness: float) -> bool:
        """Whether the pixels say what close hashes say, `by` which of them.

        Faces are judged by faces wherever both have one: different people before one backdrop have
        frames that are alike. Not so where one is turned.
        """
        return any(likeness(*views) >= min_likeness for views in self._views(other, by))

    def _views(self, other: Self, by: By) -> Iterator[tuple[Grey, Grey]]:
        if by == "turned":
            yield from ((self._frame, np.rot90(other._frame, quarters)) for quarters in (1, 2, 3))
            return
        has_faces = self._faces and other._faces
        some, others = (self._faces, other._faces) if has_faces else ([self._frame], [other._frame])
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
    maximization", 2008). Then the detail of each block of 16 px is correlated by itself, and the
    median counts: strangers' faces are alike in the large and differ in detail, while a watermark
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
    some, others = _details(first), _details(moved)
    deviations = some.std(axis=1), others.std(axis=1)
    is_told = np.minimum(*deviations) > _LEAST_DEVIATION
    if not is_told.any():
        return 0.0
    products = (some * others).mean(axis=1)[is_told]
    return float(np.median(products / (deviations[0] * deviations[1])[is_told]))


def _details(picture: Grey) -> NDArray[np.float32]:
    """(49, 256): the detail of each block of a picture, less its mean."""
    exact = picture.astype(np.float32)
    detail = exact - cv2.GaussianBlur(exact, (0, 0), _DETAIL_PX)
    side = SIDE_PX // _BLOCK_PX
    blocks = detail.reshape(side, _BLOCK_PX, side, _BLOCK_PX).swapaxes(1, 2).reshape(side**2, -1)
    return np.asarray(blocks - blocks.mean(axis=1, keepdims=True))
