"""Whether the rows of a run belong to other images than it says."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from parity.forensics.spread import Floats, spread_of

# Values of an item that are compared, evenly over all outputs.
_COMPARED = 1024


def order_of(
    said: list[NDArray[np.float32]], sealed: list[NDArray[np.float32]]
) -> tuple[NDArray[np.int64], float]:
    """To which row of `sealed` each row of `said` belongs, by assignment; how much that explains.

    said, sealed: a net's outputs (N, …) each, of the run and of the reference, for the same items.
    Rows that are no numbers stay where they are. The share is of the squared deviation, 0 where all
    rows are in place.
    """
    ours, theirs = _features(said, sealed), _features(sealed, sealed)
    order = np.arange(len(ours))
    usable = np.flatnonzero(np.isfinite(ours).all(axis=1) & np.isfinite(theirs).all(axis=1))
    if len(usable) < 2:
        return order, 0.0
    distances = cdist(ours[usable], theirs[usable], "sqeuclidean")
    _, columns = linear_sum_assignment(distances)
    order[usable] = usable[columns]
    in_place = float(np.trace(distances))
    assigned = float(distances[np.arange(len(usable)), columns].sum())
    is_moved = bool((order != np.arange(len(order))).any())
    return order, 1 - assigned / in_place if is_moved and in_place > 0 else 0.0


def is_alike(
    said: list[NDArray[np.float32]], sealed: list[NDArray[np.float32]], order: NDArray[np.int64]
) -> bool:
    """Whether a net's rows lie no farther from the sealed ones in `order` than in their places."""
    ours, theirs = _features(said, sealed), _features(sealed, sealed)
    usable = np.array([np.isfinite(row).all() for row in np.hstack([ours, theirs])])
    usable &= usable[order]
    moved, in_place = (
        float(((ours - other)[usable] ** 2).sum()) for other in (theirs[order], theirs)
    )
    return bool(moved <= in_place or np.isclose(moved, in_place))


def _features(outputs: list[NDArray[np.float32]], sealed: list[NDArray[np.float32]]) -> Floats:
    """Every so many values of an item (N, F), in spreads of the reference's."""
    parts = []
    for values, reference in zip(outputs, sealed, strict=True):
        rows = values.reshape(len(values), -1)
        step = max(1, rows.shape[1] * len(outputs) // _COMPARED)
        parts.append(rows[:, ::step].astype(np.float64) / spread_of(reference))
    return np.hstack(parts)
