"""Original image → the model's square: where it is cut, how, and the way back."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirrorset.geometry import similarity, square_around

Floats = NDArray[np.float64]


def crop_transform(
    box: ArrayLike, eye_corners: ArrayLike, crop_factor: float, side_px: int
) -> Floats:
    """The map (2, 3) from image px to crop px: the face upright by its eyes, centred, enlarged.

    box: xyxy px of the face. eye_corners: (2, 2) xy px, the outer corners, image-left first.
    The square's side is crop_factor × the box's longer side. This is how MediaPipe's face graphs
    cut their landmark model's input (detection rectangle, rotated by the eyes, scaled by 1.5).
    """
    left, top, right, bottom = square_around(box, crop_factor)
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    corners = np.asarray(eye_corners, dtype=np.float64)
    across = corners[1] - corners[0]
    across *= (right - left) / 2 / np.linalg.norm(across)
    middle = side_px / 2
    return similarity([centre, centre + across], [[middle, middle], [side_px, middle]])


def cut(rgb: NDArray[np.uint8], transform: ArrayLike, side_px: int) -> NDArray[np.uint8]:
    """The crop (side_px, side_px, 3) uint8 of `rgb` (H, W, 3) under `transform` (2, 3).

    Linear between pixels, as on a phone; beyond the image its edge is repeated.
    """
    # The records' (0, 0) is the corner of the first pixel, OpenCV's is its centre.
    affine = np.asarray(transform, dtype=np.float64).copy()
    affine[:, 2] += affine[:, :2] @ [0.5, 0.5] - 0.5
    crop = cv2.warpAffine(
        rgb, affine, (side_px, side_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, dtype=np.uint8)
