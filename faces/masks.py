"""Binary masks ↔ run lengths, in the order CVAT writes them."""

import numpy as np
from numpy.typing import NDArray

from mirrorset.records import Mask


def encode(mask: NDArray[np.bool_], label: str) -> Mask | None:
    """The record of `mask` (H, W) bool, cut to the box of its pixels; None where it has none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1])
    left, right = int(columns[0]), int(columns[-1])
    pixels = mask[top : bottom + 1, left : right + 1].ravel()
    edges = np.flatnonzero(np.diff(pixels)) + 1
    runs = np.diff(np.concatenate([[0], edges, [pixels.size]])).tolist()
    starts_with_background = not pixels[0]
    return Mask(
        label=label,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        rle=tuple(runs if starts_with_background else [0, *runs]),
    )


def decode(mask: Mask, height_px: int, width_px: int) -> NDArray[np.bool_]:
    """The mask as (height_px, width_px) bool. Raises ValueError where its box is outside that."""
    is_inside = mask.left >= 0 and mask.top >= 0 and mask.right < width_px
    if not (is_inside and mask.bottom < height_px):
        raise ValueError(
            f"the mask's box {mask.left}, {mask.top}, {mask.right}, {mask.bottom} is outside "
            f"{width_px}×{height_px} px"
        )
    values = np.arange(len(mask.rle)) % 2 == 1
    inside = np.repeat(values, mask.rle)
    whole = np.zeros((height_px, width_px), dtype=np.bool_)
    box = (slice(mask.top, mask.bottom + 1), slice(mask.left, mask.right + 1))
    whole[box] = inside.reshape(whole[box].shape)
    return whole
