"""Slices: how many images there are by head pose and lighting, told only as aggregates."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from mirrorset.records import Face

# A turned head shows one cheek more than the other.
FRONTAL_WITHIN_DEG = 15.0

UNKNOWN = "unknown"
POSES = ("left", "frontal", "right", UNKNOWN)
LIGHTINGS = ("left", "even", "right", UNKNOWN)

# Smaller cells are not told: too few to judge a model on, few enough to point at people.
SMALLEST_CELL = 10


class Slice(NamedTuple):
    """pose: where the nose points to. lighting: where the light comes from. Both in image terms."""

    pose: str
    lighting: str


def slice_of(face: Face) -> Slice:
    """The slice of a face; "unknown" where it was not measured."""
    if face.pose is None:
        pose = UNKNOWN
    elif abs(face.pose.yaw_deg) <= FRONTAL_WITHIN_DEG:
        pose = "frontal"
    else:
        pose = "right" if face.pose.yaw_deg > 0 else "left"
    return Slice(pose, face.lighting.side if face.lighting else UNKNOWN)


def suppressed(counts: Mapping[Slice, int]) -> dict[Slice, int | None]:
    """Every cell of pose × lighting; None where it holds 1 to 9 images.

    A single such cell could be worked out from the total, so the next smallest is withheld too.
    """
    cells: dict[Slice, int | None] = {
        Slice(pose, lighting): Counter(counts)[Slice(pose, lighting)]
        for pose in POSES
        for lighting in LIGHTINGS
    }
    filled = sorted((count, cell) for cell, count in cells.items() if count)
    withheld = [cell for count, cell in filled if count < SMALLEST_CELL]
    if len(withheld) == 1:
        withheld = [cell for _, cell in filled[:2]]
    return cells | dict.fromkeys(withheld)
