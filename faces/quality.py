"""Capture measures of a face, under the names of ISO/IEC 29794-5:2025.

Formulae are those of its reference software, OFIQ 1.0.3 (github.com/BSI-OFIQ/OFIQ-Project), before
they are mapped to scores of 0 to 100, on our landmarks and our crop of 128 px. docs/measures.md has
a table of both, and why `sharpness`, `under_exposure` and `illumination_uniformity` differ.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.crop import cut_square
from faces.region import FaceRegion
from mirrorset.geometry import area, square_around
from mirrorset.records import Face, Pose, Quality

Floats = NDArray[np.float64]

_SHARPNESS_SIDE_PX = 128
# Luminances, linear: a hundredth of white is black on a screen in a lit room, and where skin of any
# tone lies only without light; OFIQ's white are the levels from 247 of 255.
_BLACK, _WHITE = 0.01, 247 / 255
# Levels of the cheeks' histograms; in our crop a cheek has 225 pixels, too few for OFIQ's 256.
_CHEEK_LEVELS = 32

# Of a head turned further the eyes' distance says nothing, and its cosine would blow it up.
_MAX_YAW_DEG = 60.0

_CHIN = 8
_UPPER_AND_LOWER_LIDS = (((37, 41), (38, 40)), ((43, 47), (44, 46)))
_UPPER_AND_LOWER_LIPS = ((61, 67), (62, 66), (63, 65))


def quality(
    rgb: NDArray[np.uint8],
    box: ArrayLike,
    points: ArrayLike,
    region: FaceRegion,
    pose: Pose | None = None,
) -> Quality:
    """Measures of the face in `box` (xyxy px) with ibug68 `points` (68, 2) px in `rgb` (H, W, 3).

    inter_eye_distance_px is divided by cos(yaw) where the pose is known, of 60° at most.
    """
    xy = np.asarray(points, dtype=np.float64)
    height, width = rgb.shape[:2]
    left, right = _eye_centres(xy)
    middle = (left + right) / 2
    eyes = float(np.linalg.norm(right - left))
    chin = float(np.linalg.norm(xy[_CHIN] - middle))
    yaw_deg = min(abs(pose.yaw_deg), _MAX_YAW_DEG) if pose else 0.0
    foreshortening = math.cos(math.radians(yaw_deg))
    luminance = region.luminance[region.is_face]
    measures = {
        "head_size": chin / height,
        "luminance_mean": luminance.mean(),
        "luminance_variance": luminance.var(),
        "under_exposure": (luminance <= _BLACK).mean(),
        "over_exposure": (luminance >= _WHITE).mean(),
        "dynamic_range": _entropy(luminance),
        "illumination_uniformity": _uniformity(region),
        "eyes_open": min(_opening(xy, lids) for lids in _UPPER_AND_LOWER_LIDS) / chin,
        "mouth_closed": _opening(xy, _UPPER_AND_LOWER_LIPS) / chin,
        "margin_left": left[0] / eyes,
        "margin_right": (width - right[0]) / eyes,
        "margin_above": middle[1] / chin,
        "margin_below": (height - middle[1]) / chin,
    }
    return Quality(
        inter_eye_distance_px=round(eyes / foreshortening, 2),
        sharpness=round(_sharpness(rgb, box), 2),
        **{name: round(float(value), 4) for name, value in measures.items()},
    )


def single_face(faces: Sequence[Face]) -> float:
    """Area of the second largest face's box over the largest one's: 0 for a single face, up to 1.

    A measure of the image ("single face present"). Raises ValueError without a face.
    """
    if not faces:
        raise ValueError("an image without a face has no single-face measure")
    areas = sorted((float(area(face.box)[0]) for face in faces), reverse=True)
    return areas[1] / areas[0] if len(areas) > 1 and areas[0] else 0.0


def _eye_centres(points: Floats) -> tuple[Floats, Floats]:
    """Midway between the corners of the eye on the image's left, and of the one on its right."""
    return (points[36] + points[39]) / 2, (points[42] + points[45]) / 2


def _opening(points: Floats, pairs: Sequence[tuple[int, int]]) -> float:
    return max(float(np.linalg.norm(points[a] - points[b])) for a, b in pairs)


def _sharpness(rgb: NDArray[np.uint8], box: ArrayLike) -> float:
    """Variance of the Laplacian of 8-bit luma on the box's square, scaled to 128 px."""
    face = cut_square(rgb, square_around(box), _SHARPNESS_SIDE_PX)
    return float(cv2.Laplacian(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def _entropy(luminance: Floats) -> float:
    """Of the histogram of 256 levels, in bits."""
    shares = _histogram(luminance, 256)
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def _uniformity(region: FaceRegion) -> float:
    """Intersection of the histograms of two squares on the cheeks; 0 where one is off the face.

    Their side is 0.3 of the eyes' distance; they begin half-way down to the mouth, below the eye's
    centre, and lie outwards.
    """
    left, right = _eye_centres(region.points)
    eyes = float(np.linalg.norm(right - left))
    mouth = region.points[[51, 57]].mean(axis=0)
    side = round(0.3 * eyes)
    top = round(float((left + right)[1] / 2 + np.linalg.norm(mouth - (left + right) / 2) / 2))
    spans = ((round(left[0]) - side, round(left[0])), (round(right[0]), round(right[0]) + side))
    histograms = []
    for first, last in spans:
        square = (slice(top, top + side), slice(max(first, 0), max(last, 0)))
        histograms.append(
            _histogram(region.luminance[square][region.is_face[square]], _CHEEK_LEVELS)
        )
    return float(np.minimum(*histograms).sum())


def _histogram(luminance: Floats, levels: int) -> Floats:
    """Shares (levels,) of the pixels, each rounded to 8 bits first; zeros without pixels."""
    values = np.floor(luminance * 255 + 0.5).astype(np.int64) * levels // 256
    return np.bincount(values, minlength=levels) / max(values.size, 1)
