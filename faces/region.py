"""The face as a field of light: upright, at one size, linear, and what lies beside it."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces.schema import load_schema
from mirrorset.geometry import invert, similarity, transform

Floats = NDArray[np.float64]

# Eye centres' place in the upright crop: the face, chin to brows, fills it.
_SIDE_PX = 128
_EYES = np.array([(0.30, 0.32), (0.70, 0.32)]) * _SIDE_PX
# Weights (3,) of linear R, G and B: ITU-R BT.709.
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
# Where the background is looked at, in distances of the eyes' centres from midway between them: two
# bands beside the head, beyond most hair, from above the crown to below the eyes.
_ACROSS = np.concatenate([-np.arange(1.8, 3, 0.1), np.arange(1.8, 3, 0.1)])
_DOWN = np.arange(-2.4, 0.6, 0.1)
_FEWEST = 40


@dataclass(frozen=True)
class FaceRegion:
    """The face turned upright and scaled, so that its eyes' centres lie at one place.

    light: (128, 128, 3) float64, linear RGB, 0 to 1. luminance: (128, 128) float64, relative
    luminance, 0 to 1. is_face: (128, 128) bool, the hull of the landmarks. points: (68, 2) float64,
    ibug68 in px of the crop. background: mean luminance beside the head, or None where the image
    shows too little there.
    """

    light: Floats
    luminance: Floats
    is_face: NDArray[np.bool_]
    points: Floats
    background: float | None


def face_region(rgb: NDArray[np.uint8], points: ArrayLike) -> FaceRegion:
    """The region of the face with ibug68 `points` (68, 2) px in `rgb` (H, W, 3) uint8.

    Raises ValueError where the two eyes' centres coincide.
    """
    xy = np.asarray(points, dtype=np.float64)
    schema = load_schema("ibug68")
    eyes = np.array([xy[list(eye)].mean(axis=0) for eye in (schema.eye_left, schema.eye_right)])
    upright = similarity(eyes, _EYES)
    light = linear(_cut(rgb, upright))
    moved = transform(xy, upright)
    return FaceRegion(
        light=light,
        luminance=light @ LUMINANCE,
        is_face=polygon(moved),
        points=moved,
        background=_background(rgb, invert(upright)),
    )


def linear(rgb: NDArray[np.uint8]) -> Floats:
    """sRGB values (…, 3) uint8 as light, 0 to 1: IEC 61966-2-1."""
    return _decoding()[rgb]


def polygon(points: ArrayLike) -> NDArray[np.bool_]:
    """Which pixels of the crop, (128, 128) bool, the hull of `points` (K, 2) px covers."""
    # OpenCV counts from the centres of pixels, in sixteenths.
    hull = cv2.convexHull(np.asarray(points, dtype=np.float32) - 0.5)
    filled = np.zeros((_SIDE_PX, _SIDE_PX), dtype=np.uint8)
    cv2.fillConvexPoly(filled, (hull * 16).round().astype(np.int32), 1, shift=4)
    return filled.astype(np.bool_)


def _cut(rgb: NDArray[np.uint8], upright: Floats) -> NDArray[np.uint8]:
    """The crop (128, 128, 3) uint8; a large face is cut at a whole multiple and averaged."""
    scale = float(np.sqrt(np.linalg.det(upright[:, :2])))
    # Up to eye distances of 800 px; above, not every pixel counts.
    multiple = min(max(1, int(1 / scale)), 16)
    side = _SIDE_PX * multiple
    matrix = upright * multiple
    # OpenCV counts from the centres of pixels, our coordinates from their corners.
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    large = cv2.warpAffine(rgb, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    size = (_SIDE_PX, _SIDE_PX)
    return np.asarray(cv2.resize(large, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _background(rgb: NDArray[np.uint8], from_crop: Floats) -> float | None:
    height, width = rgb.shape[:2]
    x, y = np.floor(transform(_beside_the_head(), from_crop)).astype(np.int64).T
    is_inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    if is_inside.sum() < _FEWEST:
        return None
    return float((linear(rgb[y[is_inside], x[is_inside]]) @ LUMINANCE).mean())


@cache
def _beside_the_head() -> Floats:
    """Places (N, 2) in px of the crop, most of them outside it."""
    x, y = np.meshgrid(_ACROSS, _DOWN)
    places = np.column_stack([x.ravel(), y.ravel()]) * (_EYES[1, 0] - _EYES[0, 0])
    return np.asarray(_EYES.mean(axis=0) + places, dtype=np.float64)


@cache
def _decoding() -> Floats:
    coded = np.arange(256) / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
