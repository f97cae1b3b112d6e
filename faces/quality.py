"""Capture measures of a face, under the names of ISO/IEC 29794-5:2025 where it has one."""

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.crop import cut_square
from faces.region import FaceRegion
from faces.schema import load_schema
from mirrorset.geometry import interocular_distance, square_around
from mirrorset.records import Pose, Quality

_SHARPNESS_SIDE_PX = 128
# The darkest and the brightest tenth of the range of 8 bits, by which exposure is judged.
_DARK, _BRIGHT = 0.1, 0.9


def quality(
    rgb: NDArray[np.uint8],
    box: ArrayLike,
    points: ArrayLike,
    region: FaceRegion,
    pose: Pose | None = None,
) -> Quality:
    """Measures of the face in `box` (xyxy px) with ibug68 `points` (68, 2) px.

    inter_eye_distance_px: between the eyes' centres, over cos(yaw) where the pose is known
    ("inter-eye distance"). head_size: the box's height over the image's ("head size" counts chin to
    crown). sharpness: variance of the Laplacian of 8-bit luma on the box's square at 128 px
    ("sharpness" is a learned score there). luminance_mean, luminance_variance: of the face's pixels
    ("luminance mean", "luminance variance"). under_exposure and over_exposure: share of the face's
    pixels below 0.1 and above 0.9 ("under-exposure prevention", "over-exposure prevention" are
    scores made from such shares).
    """
    schema = load_schema("ibug68")
    distance = interocular_distance(points, list(schema.eye_left), list(schema.eye_right))
    foreshortening = math.cos(math.radians(pose.yaw_deg)) if pose else 1.0
    _, top, _, bottom = np.asarray(box, dtype=np.float64)
    face = cut_square(rgb, square_around(box), _SHARPNESS_SIDE_PX)
    sharpness = cv2.Laplacian(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()
    luminance = region.luminance[region.is_face]
    return Quality(
        inter_eye_distance_px=round(distance / foreshortening, 2),
        head_size=round(float(bottom - top) / rgb.shape[0], 4),
        sharpness=round(float(sharpness), 2),
        luminance_mean=round(float(luminance.mean()), 4),
        luminance_variance=round(float(luminance.var()), 4),
        under_exposure=round(float((luminance < _DARK).mean()), 4),
        over_exposure=round(float((luminance > _BRIGHT).mean()), 4),
    )
