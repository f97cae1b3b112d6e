"""Measures image by image: what tasks give and figures are made of."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from parity.measures import MEASURES, change_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """A measure of every image.

    metric: of `MEASURES`. output: what it is of: "net/output", or a rule. values: (N,); infinite
    where a run was broken, NaN where an image does not count. Rates have 1 for each image that
    they count, changes of rates 1 where it is gained and -1 where it is lost.
    """

    metric: str
    output: str
    values: Floats


def counted(values: ArrayLike, is_counted: NDArray[np.bool_]) -> Floats:
    """Errors (N,) with what is no number infinitely far, and NaN where an image does not count."""
    errors = np.asarray(values, dtype=np.float64)
    return np.where(is_counted, np.where(np.isfinite(errors), errors, np.inf), np.nan)


def against_labels(name: str, output: str, before: Floats, after: Floats) -> Iterator[Column]:
    """The measure `name` of the reference and the candidate, and what the candidate makes worse."""
    is_high_good = MEASURES[f"candidate_{name}"].is_high_good
    worse = before - after if is_high_good else after - before
    is_counted = ~np.isnan(before) & ~np.isnan(after)
    yield Column(f"reference_{name}", output, before)
    yield Column(f"candidate_{name}", output, after)
    yield Column(change_of(name, is_high_good), output, counted(worse, is_counted))
