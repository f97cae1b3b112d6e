"""How far arrays are apart, row by row, and how much of that a guess explains."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
#: By name.
Named = Mapping[str, NDArray[np.floating[Any]]]


def apart(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Largest absolute difference of two arrays of one shape.

    Where both are no numbers they are alike; where one is, they are infinitely far apart.
    """
    a, b = (np.asarray(each, dtype=np.float64).ravel() for each in (ours, theirs))
    with np.errstate(invalid="ignore"):
        differences = np.abs(a - b)
    differences[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0
    differences[np.isnan(differences)] = np.inf
    return float(differences.max(initial=0.0))


def explained(found: ArrayLike, expected: ArrayLike, guess: ArrayLike) -> float:
    """Share of the squared deviation of `found` from `expected` that goes where `guess` is expected
    instead: 1 where the guess is right, below 0 where it is worse than none.
    """
    said, wanted, other = (np.asarray(each, dtype=np.float64) for each in (found, expected, guess))
    with np.errstate(over="ignore", invalid="ignore"):
        whole = float(((said - wanted) ** 2).sum())
        rest = float(((said - other) ** 2).sum())
    if not whole > 0 or not np.isfinite(rest) or not np.isfinite(whole):
        return 0.0
    return 1 - rest / whole


def spread_of(values: ArrayLike) -> float:
    """Standard deviation of the numbers among `values`, 1 where they do not differ."""
    rows = np.asarray(values, dtype=np.float64)
    rows = rows[np.isfinite(rows)]
    return (float(rows.std()) if rows.size else 0.0) or 1.0
