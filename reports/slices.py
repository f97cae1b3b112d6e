"""Where the release is dense and where it is thin: images by head pose and lighting side."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mirrorset.records import Face

# Cells under this count are suppressed: too few to judge a model on, few enough to point at people.
MINIMUM_COUNT = 10
# Up to this |yaw| a head is frontal; parity and curation draw the same line.
_FRONTAL_DEG = 15.0

POSES = ("left", "frontal", "right")
SIDES = ("left", "even", "right")
UNKNOWN = "unknown"


class Slice(NamedTuple):
    """pose: where the nose points. side: where the light comes from. Both in image terms."""

    pose: str
    side: str


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
    minimum: int = MINIMUM_COUNT


def slice_of(face: Face) -> Slice:
    """The slice of `face`; "unknown" for what was not measured."""
    side = face.lighting.side if face.lighting else UNKNOWN
    if face.pose is None:
        return Slice(UNKNOWN, side)
    if abs(face.pose.yaw_deg) <= _FRONTAL_DEG:
        return Slice("frontal", side)
    return Slice("right" if face.pose.yaw_deg > 0 else "left", side)


def coverage(slices: Iterable[Slice]) -> Table:
    """How many there are of each pose and side; "unknown" has a row or column where it occurs.

    An empty cell is a gap and says 0. A lone suppressed cell could be worked out from the number
    of images, so the smallest other one is withheld with it.
    """
    counts = Counter(slices)
    poses = POSES + ((UNKNOWN,) if any(it.pose == UNKNOWN for it in counts) else ())
    sides = SIDES + ((UNKNOWN,) if any(it.side == UNKNOWN for it in counts) else ())
    withheld = _withheld(counts)
    return Table(
        columns=sides,
        rows=tuple(
            (pose, tuple(_cell(counts[it], it in withheld) for it in _row(pose, sides)))
            for pose in poses
        ),
    )


def count_words(count: int) -> str:
    """The count, or "<10" where it is too small to be told."""
    return f"<{MINIMUM_COUNT}" if 0 < count < MINIMUM_COUNT else str(count)


def _withheld(counts: Counter[Slice]) -> set[Slice]:
    ascending = sorted(counts, key=lambda it: (counts[it], it))
    few = [it for it in ascending if counts[it] < MINIMUM_COUNT]
    return set(ascending[:2] if len(few) == 1 else few)


def _row(pose: str, sides: Iterable[str]) -> list[Slice]:
    return [Slice(pose, side) for side in sides]


def _cell(count: int, is_withheld: bool) -> Cell:
    is_large = count >= MINIMUM_COUNT
    return Cell("withheld" if is_withheld and is_large else count_words(count), is_withheld)
