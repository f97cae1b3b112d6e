"""Whether two pictures show the same pixels, whatever their hashes say."""

from collections.abc import Iterable, Sequence
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.near_duplicates import By
from faces.align import squared_face

#: A grey picture (112, 112) uint8.
Grey = NDArray[np.uint8]
#: Which of its 7×7 blocks of 16 px.
Blocks = NDArray[np.bool_]

SIDE_PX = 112
_BLOCK_PX = 16
_SIDE = SIDE_PX // _BLOCK_PX
_ALL_BLOCKS = np.ones((_SIDE, _SIDE), dtype=np.bool_)
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-3)
_SMOOTHED_PX = 5
_EVERYWHERE = np.ones((SIDE_PX, SIDE_PX), dtype=np.uint8)
# Coarser than this all faces are alike.
_DETAIL_PX = 3.0
# What JPEG leaves of plain skin or sky says nothing.
_LEAST_DEVIATION = 0.5


class Pixels:
    """One picture as it is compared: its comparable faces and its whole frame.

    rgb: (H, W, 3), upright. faces: the points of each, schema face5, (5, 2) px.
    """

    def __init__(self, rgb: NDArray[np.uint8], faces: Iterable[NDArray[np.float64]]) -> None:
        located = list(faces)
        squared = (squared_face(rgb, five) for five in located)
        self._faces = [grey(face) for face in squared if face is not None]
        self._frame = grey(rgb)
        self._shown = _blocks_of(located, rgb.shape[:2])

    def is_copy(self, other: Self, by: By, min_likeness: float) -> bool:
        """Whether the pixels say what close hashes say, `by` which of them.

        Faces are judged by faces wherever both have one: different people before one backdrop have
        frames that are alike. Where one is turned its points may be astray, so frames are compared,
        there where either has its faces.
        """
        if by == "turned":
            return any(self._turned(other, quarters) >= min_likeness for quarters in (1, 2, 3))
        has_faces = self._faces and other._faces
        some, others = (self._faces, other._faces) if has_faces else ([self._frame], [other._frame])
        return any(
            likeness(first, view) >= min_likeness
            for first in some
            for second in others
            for view in (second, np.fliplr(second))
        )

    def _turned(self, other: Self, quarters: int) -> float:
        shown = self._shown, np.rot90(other._shown, quarters)
        return likeness(self._frame, np.rot90(other._frame, quarters), *shown)


def grey(rgb: NDArray[np.uint8]) -> Grey:
    """The whole of (H, W, 3) RGB pixels, squeezed into a square."""
    small = cv2.resize(rgb, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def likeness(first: Grey, second: Grey, *parts: Blocks) -> float:
    """How alike two pictures are, −1 to 1; 1 for copies.

    The second is laid upon the first by the affine map that correlates them best (G. Evangelidis
    and E. Psarakis, "Parametric image alignment using enhanced correlation coefficient
    maximization", 2008). Then the detail of each block of 16 px is correlated by itself, and the
    median counts: strangers' faces are alike in the large and differ in detail, while a watermark
    or a hand changes some blocks and not most. With `parts` it is the least of their medians.
    """
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, move = cv2.findTransformECC(
            first, second, start, cv2.MOTION_AFFINE, _STOP, _EVERYWHERE, _SMOOTHED_PX
        )
    except cv2.error:  # they have nothing in common that could be laid upon each other
        return 0.0
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        second, move, first.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    some, others = _details(first), _details(np.asarray(moved, dtype=np.uint8))
    deviations = some.std(axis=1), others.std(axis=1)
    is_told = np.minimum(*deviations) > _LEAST_DEVIATION
    alike = (some * others).mean(axis=1) / np.maximum(deviations[0] * deviations[1], 1e-9)
    chosen = [alike[is_told & part.ravel()] for part in parts or (_ALL_BLOCKS,)]
    return min(float(np.median(one)) if len(one) else 0.0 for one in chosen)


def _blocks_of(faces: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> Blocks:
    """The blocks of a frame of this height and width in which its faces lie; all without any."""
    if not faces:
        return _ALL_BLOCKS
    blocks = np.zeros_like(_ALL_BLOCKS)
    for five in faces:
        box = np.array([five.min(axis=0), five.max(axis=0)]) / shape[::-1]
        (left, top), (right, bottom) = (box * _SIDE).astype(int).clip(0, _SIDE - 1)
        blocks[top : bottom + 1, left : right + 1] = True
    return blocks


def _details(picture: Grey) -> NDArray[np.float32]:
    """(49, 256): the detail of each block of a picture, less its mean."""
    exact = picture.astype(np.float32)
    detail = exact - cv2.GaussianBlur(exact, (0, 0), _DETAIL_PX)
    tiles = detail.reshape(_SIDE, _BLOCK_PX, _SIDE, _BLOCK_PX).swapaxes(1, 2)
    blocks = tiles.reshape(_SIDE**2, -1)
    return np.asarray(blocks - blocks.mean(axis=1, keepdims=True))
