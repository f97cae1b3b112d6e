"""Faces brought to one place and size, as recognition networks and face hashes want them."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirrorset.geometry import similarity

# Where ArcFace wants the five points in 112×112 px (Deng et al., "ArcFace", CVPR 2019; the figures
# are those of insightface/utils/face_align.py), in the order of schema face5.
ARCFACE_112 = np.array(
    [
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ]
)


def aligned_face(
    rgb: NDArray[np.uint8], five_points: ArrayLike, size: int = 112
) -> NDArray[np.uint8]:
    """The face with `five_points` (5, 2) px, schema face5, as (size, size, 3) uint8.

    By the similarity that best brings the points to ArcFace's template, scaled to `size`; outside
    the image its edge is repeated. A face much larger than `size` is shrunk by area first. Raises
    ValueError where all points coincide.
    """
    matrix = similarity(five_points, ARCFACE_112 * (size / 112))
    scale = float(np.sqrt(np.linalg.det(matrix[:, :2])))
    oversampling = max(1, int(1 / scale))
    side = size * oversampling
    large = cv2.warpAffine(
        rgb, matrix * oversampling, (side, side), borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)
