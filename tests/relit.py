"""Photographs under another light: linear light times the shading of a head."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

from faces.pose import head_model
from faces.region import linear

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]


def coded(light: Floats) -> Image:
    """Linear light as sRGB, IEC 61966-2-1."""
    clipped = np.clip(light, 0, 1)
    values = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.round(values * 255).astype(np.uint8)


def times(rgb: Image, factor: Floats | float) -> Image:
    """The photograph with its linear light multiplied, by a number or by each pixel's."""
    return coded(linear(rgb) * factor)


def shading(
    rgb: Image,
    points: Sequence[tuple[float, float]],
    azimuth_deg: float,
    elevation_deg: float,
    ambient: float,
) -> Floats:
    """(H, W, 1): what a lamp and `ambient` give each pixel of a frontal face with ibug68 `points`.

    Lambert's law on a head whose depth is the head model's at the points, linear between them and
    falling off beyond. azimuth_deg > 0 is to the image's right, elevation_deg > 0 above.
    """
    height, width = rgb.shape[:2]
    xy = np.asarray(points, dtype=np.float64)
    unit = float(np.linalg.norm(xy[36] - xy[45]))
    depth = head_model()[:, 2] * unit
    # The model ends at the brows: the forehead goes on upwards, and slopes back.
    brows = xy[17:27]
    places, depths = [xy], [depth]
    for rise, back in ((0.25, 0.02), (0.5, 0.12), (0.7, 0.3)):
        places.append(brows - (0, rise * unit))
        depths.append(depth[17:27] - back * unit)
    step = 4
    rows, columns = np.mgrid[0:height:step, 0:width:step]
    known = np.concatenate(places), np.concatenate(depths)
    field = LinearNDInterpolator(*known)(columns, rows)
    is_outside = np.isnan(field)
    away = cv2.distanceTransform(is_outside.astype(np.uint8), cv2.DIST_L2, 5) * step
    field = np.where(is_outside, NearestNDInterpolator(*known)(columns, rows) - away, field)
    field = cv2.GaussianBlur(field, (0, 0), 0.08 * unit / step)
    fall_y, fall_x = np.gradient(field, step)
    normals = np.dstack([-fall_x, fall_y, np.ones_like(field)])
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
    lamp = np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ]
    )
    shade = ambient + (1 - ambient) * np.clip(normals @ lamp, 0, None)
    return cv2.resize(shade, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
