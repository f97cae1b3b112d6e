"""Hashes of pixels as rows of 64-bit words, and the pairs of rows that lie close together."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_INNER = np.s_[32:104, 20:92]  # of the 112×112 px of ArcFace's template
_CELLS = 16

_FIRST_WORDS = 4
_ROWS, _COLUMNS = 512, 2048  # one tile of distances and its scratch stay in the processor's cache


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


def close_pairs(
    hashes: Words, variants: Sequence[Words], radius: int
) -> Iterator[NDArray[np.int64]]:
    """Pairs i < j of rows, i < M, where a variant of i is within Hamming distance `radius` of j.

    hashes: (N, W) uint64. variants: each (M, W), what the first M ≤ N may look like: themselves,
    their mirrors, turned. Yields arrays (P, 2) int64. Every pair is compared, tile by tile: exact,
    with memory independent of N, and time growing with M · N (docs/curate.md gives the figures).
    """
    count = len(variants[0])
    first_words = np.ascontiguousarray(hashes[:, :_FIRST_WORDS].T)
    for top in range(0, count, _ROWS):
        rows = slice(top, min(top + _ROWS, count))
        for left in range(top, len(hashes), _COLUMNS):
            columns = first_words[:, left : left + _COLUMNS]
            near = np.zeros((rows.stop - top, columns.shape[1]), dtype=np.bool_)
            for variant in variants:
                near |= _within(variant[rows], columns, radius)
            i, j = np.nonzero(near)
            i, j = i + top, j + left
            # Few pairs come this far: the first words alone tell nearly all others apart.
            is_close = np.zeros(len(i), dtype=np.bool_)
            for variant in variants:
                is_close |= np.bitwise_count(variant[i] ^ hashes[j]).sum(axis=1) <= radius
            yield np.column_stack([i, j])[is_close & (i < j)]


def _within(rows: Words, columns: Words, radius: int) -> NDArray[np.bool_]:
    """(N, M): is a row (N, W) within `radius` of a column (V, M), by its first V words."""
    distances = np.zeros((len(rows), columns.shape[1]), dtype=np.uint16)
    for word, column in enumerate(columns):
        distances += np.bitwise_count(rows[:, word, None] ^ column)
    return distances <= radius
