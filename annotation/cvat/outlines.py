"""Masks as polygons, for CVAT labels that are polygons."""

import numpy as np
from numpy.typing import NDArray
from skimage.measure import approximate_polygon, find_contours

from faces.masks import decode
from mirrorset.records import Mask

# How far an outline may leave the mask's edge.
_TOLERANCE_PX = 0.5


def outlines(mask: Mask) -> list[NDArray[np.float64]]:
    """The outer edge of each connected part of `mask` as a polygon (n, 2) xy px, n at least 3.

    CVAT's polygons have no holes: those of the mask are filled.
    """
    pixels = decode(mask, mask.bottom + 1, mask.right + 1)[mask.top :, mask.left :]
    rings = find_contours(np.pad(pixels, 1).astype(np.float64), 0.5)
    return [_polygon(ring, mask) for ring in rings if _is_outer(ring)]


def _is_outer(ring: NDArray[np.float64]) -> bool:
    """By its sense of rotation: find_contours goes about what is high and what is low in opposite
    ones."""
    rows, columns = ring.T
    return bool(np.dot(columns[:-1], rows[1:]) > np.dot(columns[1:], rows[:-1]))


def _polygon(ring: NDArray[np.float64], mask: Mask) -> NDArray[np.float64]:
    coarse = approximate_polygon(ring, _TOLERANCE_PX)
    # A closed ring ends where it began; three corners are the least that CVAT takes.
    corners = (coarse if len(coarse) > 3 else ring)[:-1]
    # From centres of padded pixels, (row, column), to the image's own corner.
    return np.asarray(corners[:, ::-1] - 0.5 + (mask.left, mask.top))
