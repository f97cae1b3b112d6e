"""Hashes of pixels as rows of 64-bit words."""

import cv2
import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_INNER = np.s_[32:104, 20:92]  # of the 112×112 px of ArcFace's template
_CELLS = 16


def words(hex_hash: str) -> Words:
    """A hex hash of 16·W digits as (W,) uint64, most significant first."""
    return np.frombuffer(bytes.fromhex(hex_hash), dtype=">u8").astype(np.uint64)


def face_hash(aligned: NDArray[np.uint8]) -> Words:
    """512-bit hash (8,) of an aligned face (112, 112, 3) uint8 RGB.

    From the brows to the mouth, on a grid of 16×16 cells: is a cell brighter than the one before
    it, along rows and along columns. (N. Krawetz, "Kind of Like That", 2013, compares along rows.)
    Less of the face, and a crop's missing border does not matter; docs/curate.md compares it with
    other hashes.
    """
    inner = cv2.cvtColor(aligned[_INNER], cv2.COLOR_RGB2GRAY).astype(np.float32)
    rows = cv2.resize(inner, (_CELLS + 1, _CELLS), interpolation=cv2.INTER_AREA)
    columns = cv2.resize(inner, (_CELLS, _CELLS + 1), interpolation=cv2.INTER_AREA)
    bits = np.concatenate([np.diff(rows, axis=1).ravel() > 0, np.diff(columns, axis=0).ravel() > 0])
    return np.packbits(bits).view(">u8").astype(np.uint64)
