"""What goes in and comes out of a model, and how values cross a quantised edge.

A session takes and gives float32 whatever the file computes in, and takes the file's own type as
it is. An edge of int8, uint8 or int16 with a scale is quantised and dequantised here, as an app
does it:

    stored = clip(round(value / scale) + zero_point), halves away from zero
    value  = scale × (stored − zero_point)
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorset.errors import InputError
from mirrorset.records import Record

Array = NDArray[Any]


class TensorSpec(Record):
    """One input or output of a model file.

    name, dtype: as in the file. shape: −1 where the file leaves a side open. scale, zero_point:
    of an integer tensor that stands for real numbers; without a scale it is what it says.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int = 0


def encoded(values: Array, spec: TensorSpec) -> Array:
    """`values` as the file's tensor takes them, C order; NaN becomes 0 where it is quantised.

    Raises InputError for another shape, and for fractions where the tensor holds plain integers.
    """
    if len(values.shape) != len(spec.shape) or any(
        wanted not in (-1, given) for given, wanted in zip(values.shape, spec.shape, strict=True)
    ):
        raise InputError(
            f"The model's input {spec.name} takes {spec.shape}, not {values.shape}: check what "
            "feeds it."
        )
    dtype = np.dtype(spec.dtype)
    if values.dtype == dtype or (dtype.kind == "f" and values.dtype.kind == "f"):
        with np.errstate(over="ignore"):  # beyond half precision lies infinity
            return np.ascontiguousarray(values, dtype)
    if spec.scale is not None:
        scaled = np.nan_to_num(values.astype(np.float32) / np.float32(spec.scale), nan=0.0)
        rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)) + spec.zero_point
        limits = np.iinfo(dtype)
        return np.ascontiguousarray(np.clip(rounded, limits.min, limits.max).astype(dtype))
    whole = np.ascontiguousarray(values.astype(dtype))
    if not np.array_equal(whole, values):
        raise InputError(
            f"The model's input {spec.name} takes {spec.dtype}, and was fed other numbers: check "
            "what feeds it."
        )
    return whole


def decoded(stored: Array, spec: TensorSpec) -> Array:
    """What the file's tensor says: float32, or as it is where it holds plain integers or bools."""
    if spec.scale is not None:
        zero_point = np.float32(spec.zero_point)
        return (stored.astype(np.float32) - zero_point) * np.float32(spec.scale)
    return stored.astype(np.float32, copy=False) if stored.dtype.kind == "f" else stored
