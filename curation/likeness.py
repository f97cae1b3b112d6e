"""Whether two pictures are the same photograph: found by hash, verified on pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.hashes import words
from mirrorset.pixels import phash

_RADIUS_BITS = 10
_SIDE_PX = 64
# Of 40 portraits (FRL London), copies through JPEG of quality 30, in half and double size, and
# their mirrors reach 0.999; the most alike two people, before one backdrop, 0.940.
_LEAST_CORRELATION = 0.975

Rgb = NDArray[np.uint8]


def hashes_like(rgb: Rgb) -> list[NDArray[np.uint64]]:
    """The hashes that the picture has as it is and mirrored."""
    return [words(phash(rgb)), words(phash(np.ascontiguousarray(rgb[:, ::-1])))]


def may_be_like(frame_phash: str, hashes: list[NDArray[np.uint64]]) -> bool:
    """Whether a picture with this perceptual hash is worth looking at."""
    own = words(frame_phash)
    return any(int(np.bitwise_count(own ^ one).sum()) <= _RADIUS_BITS for one in hashes)


def is_like(a: Rgb, b: Rgb) -> bool:
    """Whether two upright pictures, (H, W, 3) uint8, show the same photograph, or one its mirror.

    Their greys at 64×64 px correlate: size, compression and brightness do not matter.
    """
    grey_a, grey_b = _grey(a), _grey(b)
    return max(_correlation(grey_a, grey_b), _correlation(grey_a[:, ::-1], grey_b)) >= (
        _LEAST_CORRELATION
    )


def _grey(rgb: Rgb) -> NDArray[np.float64]:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float64)


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    # A picture of one colour is like any other such.
    return float((a * b).sum()) / scale if scale else float(np.array_equal(a, b))
