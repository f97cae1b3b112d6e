"""Rows that hold exactly what is sealed of another image, in no order of all rows: a reader that
lags behind, or that read a row twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity.forensics.order import features, next_to
from parity.forensics.spread import explained

Output = NDArray[np.float32]

# Among single scores some image's is always near.
_FEW_VALUES = 64
# Root mean square from the row's own image, in spreads: kernels differ by less.
_IN_PLACE = 1e-3
# A row is another image's where that explains so much of its squared deviation.
_ENOUGH = 0.999


@dataclass(frozen=True)
class Copies:
    """rows: of the run; sources: the rows whose image they hold; share: what that explains of the
    squared deviation of `outputs`, all that hold them so, by net and name."""

    rows: tuple[int, ...]
    sources: tuple[int, ...]
    share: float
    outputs: tuple[tuple[str, str], ...]


def copies(
    said: Mapping[str, Mapping[str, Output]], sealed: Mapping[str, Mapping[str, Output]]
) -> list[Copies]:
    """What rows hold another image's, by net and output (N, …).

    Outputs of a few values go with the others of their net where they are alike.
    """
    told: dict[tuple[tuple[int, ...], tuple[int, ...]], list[tuple[str, str]]] = {}
    for net, named in said.items():
        found: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        for name, values in named.items():
            if (rows := copied_rows(values, sealed[net][name])) is not None:
                found[name] = rows
        for name in sorted(set(named) - set(found)):
            alike = (
                rows
                for rows in found.values()
                if _share(named[name], sealed[net][name], *rows) >= _ENOUGH
            )
            if (rows := next(alike, None)) is not None:
                found[name] = rows
        for name, rows in found.items():
            told.setdefault(rows, []).append((net, name))
    return [
        Copies(
            *rows,
            min(_share(said[net][name], sealed[net][name], *rows) for net, name in outputs),
            tuple(outputs),
        )
        for rows, outputs in told.items()
    ]


def copied_rows(said: Output, sealed: Output) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Rows of `said` (N, …) that are as good as equal to another row of `sealed` and not to their
    own, and those others; None where there are none, or all rows say the same.
    """
    if said[0].size < _FEW_VALUES or all(np.array_equal(row, said[0]) for row in said):
        return None
    ours, theirs = features([said], [sealed]), features([sealed], [sealed])
    own = ((ours - theirs) ** 2).mean(axis=1)
    usable = np.isfinite(theirs).all(axis=1)
    rows = np.flatnonzero(usable & np.isfinite(own) & (own > _IN_PLACE**2))
    if not rows.size:
        return None
    held = np.flatnonzero(usable)
    sources = held[next_to(ours[rows], theirs[held])]
    left = ((ours[rows] - theirs[sources]) ** 2).mean(axis=1)
    is_copied = left <= (1 - _ENOUGH) * own[rows]
    if not is_copied.any():
        return None
    return tuple(rows[is_copied].tolist()), tuple(sources[is_copied].tolist())


def _share(said: Output, sealed: Output, rows: Sequence[int], sources: Sequence[int]) -> float:
    ours, theirs = features([said], [sealed]), features([sealed], [sealed])
    return explained(ours[list(rows)], theirs[list(rows)], theirs[list(sources)])
