"""Where the release is dense and where it is thin: images by pose, lighting side and selfies."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from faces.slices import (
    GRID,
    LIGHTINGS,
    POSES,
    SELFIES,
    SMALLEST_CELL,
    UNKNOWN,
    Slice,
    suppressed,
)

SIDES = tuple(side for side in LIGHTINGS if side != UNKNOWN)


@dataclass(frozen=True)
class Cell:
    """A count as the page shows it."""

    words: str
    is_suppressed: bool


@dataclass(frozen=True)
class Table:
    """rows: a pose and one cell a column. Sums are left out: they would tell a suppressed cell."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    minimum: int = SMALLEST_CELL


def coverage(slices: Iterable[Slice]) -> Table:
    """How many there are of each pose and side; "unknown" has a row or column where it occurs.

    An empty cell is a gap and says 0.
    """
    counts = Counter(slices)
    told = suppressed(counts, GRID)
    has_unknown_pose = any(slice_.pose == UNKNOWN for slice_ in counts)
    has_unknown_side = any(slice_.lighting == UNKNOWN for slice_ in counts)
    sides = LIGHTINGS if has_unknown_side else SIDES

    def cell(place: Slice) -> Cell:
        return _cell(counts[place], told[place])

    return Table(
        columns=sides,
        rows=tuple(
            (pose, tuple(cell(Slice(pose, side)) for side in sides))
            for pose in POSES
            if pose != UNKNOWN or has_unknown_pose
        ),
    )


def selfies(cells: Iterable[str]) -> tuple[tuple[str, Cell], ...]:
    """How many there are of each cell of likeness to a selfie; "unknown" where it occurs."""
    counts = Counter(cells)
    return tuple(
        (name, _cell(counts[name], told))
        for name, told in suppressed(counts, SELFIES).items()
        if name != UNKNOWN or counts[name]
    )


def _cell(count: int, told: int | None) -> Cell:
    if told is None:
        is_large = count >= SMALLEST_CELL
        return Cell("withheld" if is_large else count_words(count), is_suppressed=True)
    return Cell(str(told), is_suppressed=False)


def count_words(count: int) -> str:
    """The count, or "<10" where it is too small to be told."""
    return f"<{SMALLEST_CELL}" if 0 < count < SMALLEST_CELL else str(count)
