"""Pixels → small JPEG pictures that stand inside the page as data addresses."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def thumbnail(rgb: NDArray[np.uint8], side_px: int, quality: int = 80) -> str:
    """A `data:image/jpeg;base64,…` address of the (H, W, 3) uint8 picture, scaled down.

    side_px: its longer side; a smaller picture keeps its size. The JPEG is made from pixels alone,
    so nothing of the original's metadata is in it.
    """
    image = Image.fromarray(rgb)
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")
