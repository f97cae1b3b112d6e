"""Picture → a net's input, as the chain's data say: where it is cut, how, and what bytes become."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirrorset.geometry import similarity, square_around
from parity.chain import WHOLE, NetInput

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

_KERNELS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_LINEAR,
}
_BORDERS = {"edge": cv2.BORDER_REPLICATE, "black": cv2.BORDER_CONSTANT}
# Where a whole picture shrinks further, not every pixel counts for "area".
_MOST_PER_PIXEL = 16


def place(given: NetInput, width_px: int, height_px: int, face: ArrayLike | None) -> Floats:
    """The map (2, 3) from px of a picture of that size to px of the input.

    face: (9, …) of a face, box xyxy, score, eye on the image's left, eye on its right; not needed
    for a whole picture. NaN where there is no face, or one without extent.
    """
    if given.region == WHOLE:
        return _whole(given, width_px, height_px)
    row = np.asarray(face, dtype=np.float64)
    box, eyes = row[:4], row[5:9].reshape(2, 2)
    if given.align == "none":
        eyes = np.array([[0.0, 0.0], [1.0, 0.0]])
    is_face = np.isfinite(box).all() and np.isfinite(eyes).all() and (box[2:] > box[:2]).all()
    if not is_face or (eyes[0] == eyes[1]).all():
        return np.full((2, 3), np.nan)
    return crop_transform(box, eyes, given.factor, given.width_px)


def crop_transform(box: ArrayLike, eyes: ArrayLike, factor: float, side_px: int) -> Floats:
    """The map (2, 3) from image px to crop px: the face upright by its eyes, centred, enlarged.

    box: xyxy px of the face. eyes: (2, 2) xy px, image-left first, not in one place. The square's
    side is factor × the box's longer side. This is how MediaPipe's face graphs cut their landmark
    model's input (detection rectangle, rotated by the eyes, scaled by 1.5).
    """
    left, top, right, bottom = square_around(box, factor)
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    corners = np.asarray(eyes, dtype=np.float64)
    across = corners[1] - corners[0]
    across *= (right - left) / 2 / np.linalg.norm(across)
    middle = side_px / 2
    return similarity([centre, centre + across], [[middle, middle], [side_px, middle]])


def pixels(rgb: Pixels, transform: ArrayLike, given: NetInput) -> Pixels:
    """What `transform` (2, 3) brings of `rgb` (H, W, 3) uint8 into the input, in its layout.

    All 0 where the transform is NaN.
    """
    affine = np.asarray(transform, dtype=np.float64).copy()
    if not np.isfinite(affine).all():
        return np.zeros(given.shape, dtype=np.uint8)
    size = (given.width_px, given.height_px)
    multiple = _multiple(affine) if given.resize == "area" else 1
    affine *= multiple
    if given.grid == "half_pixel":
        # The records' (0, 0) is the corner of the first pixel, OpenCV's is its centre.
        affine[:, 2] += affine[:, :2] @ [0.5, 0.5] - 0.5
    cut = cv2.warpAffine(
        rgb,
        affine,
        (size[0] * multiple, size[1] * multiple),
        flags=_KERNELS[given.resize],
        borderMode=_BORDERS[given.border],
    )
    if multiple > 1:
        cut = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    if given.colour == "bgr":
        cut = cut[:, :, ::-1]
    laid_out = cut if given.layout == "nhwc" else cut.transpose(2, 0, 1)
    return np.ascontiguousarray(laid_out, dtype=np.uint8)


def value_table(given: NetInput) -> NDArray[np.generic]:
    """What byte b in channel c becomes: (256, 3) of the input's dtype."""
    # In single precision, as on a device.
    mean, scale = (np.asarray(each, dtype=np.float32) for each in (given.mean, given.scale))
    table = (np.arange(256, dtype=np.float32)[:, None] - mean) * scale
    if given.dtype == "float32":
        return np.asarray(table, dtype=np.float32)
    bounds = np.iinfo(given.dtype)
    whole = np.clip(np.rint(table), bounds.min, bounds.max)
    return np.asarray(whole, dtype=given.dtype)


def tensor(seen: Pixels, values: NDArray[np.generic], layout: str) -> NDArray[np.generic]:
    """The input (1, …) that the pixels of one item become by a table (256, 3) of values."""
    if layout == "nchw":
        planes = [values[plane, channel] for channel, plane in enumerate(seen)]
        return np.stack(planes)[None]
    if (values == values[:, :1]).all():
        # One table for all channels, which OpenCV goes through twice as fast.
        rows = cv2.LUT(seen.reshape(len(seen), -1), np.ascontiguousarray(values[:, 0])[None])
        return np.asarray(rows).reshape(1, *seen.shape)
    return np.asarray(cv2.LUT(seen, np.ascontiguousarray(values)[None]))[None]


def _whole(given: NetInput, width_px: int, height_px: int) -> Floats:
    across, down = given.width_px / width_px, given.height_px / height_px
    if given.fit == "stretch":
        return np.array([[across, 0.0, 0.0], [0.0, down, 0.0]])
    scale = min(across, down)
    beside = (given.width_px - scale * width_px) / 2
    above = (given.height_px - scale * height_px) / 2
    return np.array([[scale, 0.0, beside], [0.0, scale, above]])


def _multiple(affine: Floats) -> int:
    """How many times finer a picture is looked at, so that each of its pixels counts."""
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    return min(max(1, round(1 / scale)), _MOST_PER_PIXEL) if scale > 0 else 1
