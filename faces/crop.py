"""Square crops of a face, scaled and padded where they reach outside the image."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray


def cut_square(rgb: NDArray[np.uint8], square: ArrayLike, side_px: int) -> NDArray[np.uint8]:
    """The `square` (xyxy px) of `rgb` (H, W, 3) uint8 as (side_px, side_px, 3) uint8.

    Shrinks by area, enlarges linearly; outside the image its edge is repeated.
    """
    height, width = rgb.shape[:2]
    left, top, right, _ = np.asarray(square, dtype=np.float64)
    side = max(round(right - left), 1)
    x, y = round(left), round(top)
    inside = rgb[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
    pads = (max(-y, 0), max(y + side - height, 0), max(-x, 0), max(x + side - width, 0))
    padded = cv2.copyMakeBorder(inside, *pads, cv2.BORDER_REPLICATE) if any(pads) else inside
    how = cv2.INTER_AREA if side > side_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(padded, (side_px, side_px), interpolation=how), dtype=np.uint8)
