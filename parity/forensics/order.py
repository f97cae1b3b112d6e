"""Whether the rows of a run belong to other images than it says."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from parity.forensics.spread import Floats, spread_of

# Values of an item that are compared, evenly over all outputs.
_COMPARED = 1024
# An order of rows that explains less is none.
_ENOUGH = 0.9
# Rows of the run that are held against all sealed ones at once: 20 MB of distances at 5,000.
_BLOCK = 512
# Rows that are assigned all together. It takes time by the cube: 200 s for 5,000 that say the same.
_CONTESTED = 1000
# A round takes 2 s at 5,000 items; rows that many of them do not tell apart hold the same.
_ROUNDS = 4


def order_of(
    said: list[NDArray[np.float32]], sealed: list[NDArray[np.float32]]
) -> tuple[NDArray[np.int64], float]:
    """To which row of `sealed` each row of `said` belongs; how much that explains.

    said, sealed: a net's outputs (N, …) each, of the run and of the reference, for the same items.
    Rows that are no numbers stay where they are. The share is of the squared deviation, 0 where all
    rows are in place, or where no order explains nine tenths of it.
    """
    ours, theirs = features(said, sealed), features(sealed, sealed)
    in_place = np.arange(len(ours))
    usable = np.flatnonzero(np.isfinite(ours).all(axis=1) & np.isfinite(theirs).all(axis=1))
    if len(usable) < 2:
        return in_place, 0.0
    ours, theirs = ours[usable], theirs[usable]
    apart = float(((ours - theirs) ** 2).sum())
    near = _nearest(ours, theirs)
    # Each row goes to one sealed row, and each sealed row gets one: neither comes closer than this.
    least = max(near.to_sealed.sum(), near.to_said.sum())
    if not apart > 0 or 1 - least / apart < _ENOUGH:
        return in_place, 0.0
    own = _assigned(ours, theirs)
    share = 1 - float(((ours - theirs[own]) ** 2).sum()) / apart
    if share < _ENOUGH or (own == np.arange(len(own))).all():
        return in_place, 0.0
    order = in_place.copy()
    order[usable] = usable[own]
    return order, share


def is_alike(
    said: list[NDArray[np.float32]], sealed: list[NDArray[np.float32]], order: NDArray[np.int64]
) -> bool:
    """Whether a net's rows lie no farther from the sealed ones in `order` than in their places."""
    ours, theirs = features(said, sealed), features(sealed, sealed)
    usable = np.array([np.isfinite(row).all() for row in np.hstack([ours, theirs])])
    usable &= usable[order]
    moved, in_place = (
        float(((ours - other)[usable] ** 2).sum()) for other in (theirs[order], theirs)
    )
    return bool(moved <= in_place or np.isclose(moved, in_place))


@dataclass(frozen=True)
class _Near:
    """What each of N rows is next to. sealed: row of the sealed, by row of the run; said: the other
    way round. to_sealed, to_said: squared distances there."""

    sealed: NDArray[np.int64]
    to_sealed: Floats
    said: NDArray[np.int64]
    to_said: Floats


def _nearest(ours: Floats, theirs: Floats) -> _Near:
    count = len(ours)
    sealed, to_sealed = np.empty(count, np.int64), np.empty(count)
    said, to_said = np.empty(count, np.int64), np.full(count, np.inf)
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        distances = _distances(ours[block], theirs)
        sealed[block] = distances.argmin(axis=1)
        to_sealed[block] = distances.min(axis=1)
        lowest = distances.min(axis=0)
        said = np.where(lowest < to_said, start + distances.argmin(axis=0), said)
        to_said = np.minimum(lowest, to_said)
    return _Near(sealed, to_sealed, said, to_said)


def next_to(ours: Floats, theirs: Floats) -> NDArray[np.int64]:
    """The nearest row of `theirs` (M, F) to each of `ours` (N, F)."""
    blocks = (ours[start : start + _BLOCK] for start in range(0, len(ours), _BLOCK))
    return np.concatenate([_distances(block, theirs).argmin(axis=1) for block in blocks])


def _assigned(ours: Floats, theirs: Floats) -> NDArray[np.int64]:
    """The sealed row of each row: those that are next to each other, round by round, until few
    enough are left to be assigned all together."""
    own = np.arange(len(ours))
    left, free = own.copy(), own.copy()
    for _ in range(_ROUNDS):
        if len(left) <= _CONTESTED:
            break
        near = _nearest(ours[left], theirs[free])
        is_settled = near.said[near.sealed] == np.arange(len(left))
        own[left[is_settled]] = free[near.sealed[is_settled]]
        left, free = left[~is_settled], np.delete(free, near.sealed[is_settled])
    if 0 < len(left) <= _CONTESTED:
        _, columns = linear_sum_assignment(_distances(ours[left], theirs[free]))
        free = free[columns]
    own[left] = free
    return own


def _distances(ours: Floats, theirs: Floats) -> Floats:
    """Squared, of rows (N, F) from rows (M, F): (N, M)."""
    # Small numbers, so that little is lost where they cancel out.
    middle = theirs.mean(axis=0)
    a, b = ours - middle, theirs - middle
    squared: Floats = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return squared.clip(min=0.0)


def features(outputs: list[NDArray[np.float32]], sealed: list[NDArray[np.float32]]) -> Floats:
    """Every so many values of an item (N, F), in spreads of the reference's."""
    parts = []
    for values, reference in zip(outputs, sealed, strict=True):
        rows = values.reshape(len(values), -1)
        step = max(1, rows.shape[1] * len(outputs) // _COMPARED)
        parts.append(rows[:, ::step].astype(np.float64) / spread_of(reference))
    return np.hstack(parts)
