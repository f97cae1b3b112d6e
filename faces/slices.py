"""Slices: how many images there are by head pose, lighting and likeness to a selfie.

They are told only as aggregates.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar, get_args

from faces.selfie import selfie_likeness
from mirrorset.records import Face, LightSide

# A turned head shows one cheek more than the other.
FRONTAL_WITHIN_DEG = 15.0

UNKNOWN = "unknown"
POSES = ("left", "frontal", "right", UNKNOWN)
LIGHTINGS = (*get_args(LightSide), UNKNOWN)
SELFIES = ("likely", "possible", "unlikely", UNKNOWN)

# Thirds of the score: on portraits it lies in the middle one, as the perspective of one picture
# tells little.
_POSSIBLE_FROM, _LIKELY_FROM = 1 / 3, 2 / 3

# Smaller cells are not told: too few to judge a model on, few enough to point at people.
SMALLEST_CELL = 10


class Slice(NamedTuple):
    """pose: where the nose points to. lighting: where the light comes from. Both in image terms."""

    pose: str
    lighting: str


GRID = tuple(Slice(pose, lighting) for pose in POSES for lighting in LIGHTINGS)

Cell = TypeVar("Cell", bound=tuple[str, ...] | str)


def slice_of(face: Face) -> Slice:
    """The slice of a face; "unknown" where it was not measured."""
    if face.pose is None:
        pose = UNKNOWN
    elif abs(face.pose.yaw_deg) <= FRONTAL_WITHIN_DEG:
        pose = "frontal"
    else:
        pose = "right" if face.pose.yaw_deg > 0 else "left"
    return Slice(pose, face.lighting.side if face.lighting else UNKNOWN)


def selfie_slice_of(faces: Sequence[Face], width_px: int, height_px: int) -> str:
    """The cell of `SELFIES` of an image of that size, upright, with these faces in any order."""
    if not faces:
        return UNKNOWN
    likeness = selfie_likeness(faces, width_px, height_px)
    if likeness.at_most < _POSSIBLE_FROM:
        return "unlikely"
    if likeness.score is None:
        return UNKNOWN
    if likeness.score < _POSSIBLE_FROM:
        return "unlikely"
    return "likely" if likeness.score >= _LIKELY_FROM else "possible"


def suppressed(counts: Mapping[Cell, int], cells: Iterable[Cell]) -> dict[Cell, int | None]:
    """Every one of `cells` (`GRID`, `SELFIES`); None where it holds 1 to 9 images.

    What is withheld can be worked out in sum, from the total: so the next smallest cells are
    withheld too, until all of it together is 10 images or more.
    """
    told: dict[Cell, int | None] = {cell: counts.get(cell, 0) for cell in cells}
    return told | dict.fromkeys(withheld(told))


def withheld(counts: Mapping[Cell, int] | Mapping[Cell, int | None]) -> list[Cell]:
    """The cells that may not be told where the sum of all is known, the smallest first."""
    filled = sorted((count, cell) for cell, count in counts.items() if count)
    kept_back: list[Cell] = []
    total = 0
    for count, cell in filled:
        if count >= SMALLEST_CELL and (total == 0 or total >= SMALLEST_CELL):
            break
        kept_back.append(cell)
        total += count
    return kept_back
