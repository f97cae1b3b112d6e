"""Faces brought to one place and size, as face hashes and embeddings want them."""

import cv2
import numpy as np
from numpy.typing import NDArray

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
# An eye distance of 9000 px.
_SMALLEST_SCALE = 1 / 256


def squared_face(
    rgb: NDArray[np.uint8], five_points: NDArray[np.float64]
) -> NDArray[np.uint8] | None:
    """The face with `five_points` (5, 2) px, schema face5, as (112, 112, 3) uint8.

    By the affine map that best brings the points to ArcFace's template: unlike a similarity it
    also takes back a squashed aspect. Outside the image its edge is repeated. None where the points
    lie on one line.
    """
    source = np.column_stack([five_points, np.ones(len(five_points))])
    solution, _, rank, _ = np.linalg.lstsq(source, ARCFACE_112, rcond=1e-6)
    matrix = solution.T
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if rank < 3 or scale < _SMALLEST_SCALE:
        return None
    return _cut(rgb, matrix, scale)


def upright_face(
    rgb: NDArray[np.uint8], five_points: NDArray[np.float64]
) -> NDArray[np.uint8] | None:
    """The same by a similarity, which keeps the shape of a face: (112, 112, 3) uint8.

    As networks that tell people apart were trained. None where the points coincide or are so far
    apart that no picture would hold the face.
    """
    if (np.ptp(five_points, axis=0) == 0).all():
        return None
    matrix = similarity(five_points, ARCFACE_112)
    scale = float(np.hypot(*matrix[:, 0]))
    return _cut(rgb, matrix, scale) if scale >= _SMALLEST_SCALE else None


def _cut(rgb: NDArray[np.uint8], matrix: NDArray[np.float64], scale: float) -> NDArray[np.uint8]:
    """What `matrix` brings to 112×112 px, shrunk by area where it shrinks, against aliasing."""
    oversampling = max(1, int(1 / scale))
    side = 112 * oversampling
    large = cv2.warpAffine(
        rgb, matrix * oversampling, (side, side), borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.resize(large, (112, 112), interpolation=cv2.INTER_AREA), dtype=np.uint8)
