"""Which pixels are the face: the hull of its landmarks, in an upright crop of fixed size."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.schema import load_schema
from mirrorset.geometry import similarity, transform

# Eye centres' place in the upright crop: the face, chin to brows, fills it.
_SIDE_PX = 128
_EYES = np.array([(0.30, 0.32), (0.70, 0.32)]) * _SIDE_PX


@dataclass(frozen=True)
class FaceRegion:
    """The face turned upright and scaled to 128 px.

    luminance: (128, 128) float64, BT.601 luma of the coded values, 0 to 1. is_face: (128, 128)
    bool, the hull of the landmarks. is_left: (128, 128) bool, image-left of the line from the nose
    bridge to the chin.
    """

    luminance: NDArray[np.float64]
    is_face: NDArray[np.bool_]
    is_left: NDArray[np.bool_]


def face_region(rgb: NDArray[np.uint8], points: ArrayLike) -> FaceRegion:
    """The region of the face with ibug68 `points` (68, 2) px in `rgb` (H, W, 3) uint8.

    Raises ValueError where the two eyes' centres coincide.
    """
    xy = np.asarray(points, dtype=np.float64)
    schema = load_schema("ibug68")
    eyes = [xy[list(eye)].mean(axis=0) for eye in (schema.eye_left, schema.eye_right)]
    upright = similarity(np.array(eyes), _EYES)
    size = (_SIDE_PX, _SIDE_PX)
    crop = cv2.warpAffine(rgb, upright, size, borderMode=cv2.BORDER_REPLICATE)
    moved = transform(xy, upright)
    hull = cv2.convexHull(moved.astype(np.float32)).astype(np.int32)
    is_face = cv2.fillConvexPoly(np.zeros(size, dtype=np.uint8), hull, 1).astype(np.bool_)
    bridge, chin = moved[27], moved[8]
    rows, columns = np.mgrid[0:_SIDE_PX, 0:_SIDE_PX]
    down = chin - bridge
    is_left = (columns - bridge[0]) * down[1] < (rows - bridge[1]) * down[0]
    return FaceRegion(
        luminance=cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float64) / 255,
        is_face=is_face,
        is_left=is_left,
    )
