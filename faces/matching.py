"""Which face of one annotation is which of another: by what they overlap, then by their ids."""

from collections.abc import Sequence
from typing import NamedTuple

from mirrorset.geometry import iou
from mirrorset.records import Face

SAME_FACE_IOU = 0.5


class Matched(NamedTuple):
    """pairs: faces that are one, of the first and the second annotation. first, second: the rest"""

    pairs: tuple[tuple[Face, Face], ...]
    first: tuple[Face, ...]
    second: tuple[Face, ...]


def match_faces(first: Sequence[Face], second: Sequence[Face]) -> Matched:
    """Match two annotations' faces of one image, each at most once.

    Boxes that overlap by half are one face, those of one face_id before others: people who draw
    a new face each number it as they like. What is left is one face where it has one id and
    overlaps at all: a box drawn badly is a bad box, not a face missed and another invented.
    """
    overlaps = iou([face.box for face in first], [face.box for face in second])
    candidates = []
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            overlap = float(overlaps[i, j])
            is_same_id = one.face_id == other.face_id
            if overlap >= SAME_FACE_IOU or (is_same_id and overlap > 0):
                rank = (overlap < SAME_FACE_IOU, not is_same_id, -overlap)
                candidates.append((rank, i, j))
    pairs: dict[int, int] = {}
    for _, i, j in sorted(candidates):
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    taken = set(pairs.values())
    return Matched(
        pairs=tuple((first[i], second[j]) for i, j in sorted(pairs.items())),
        first=tuple(face for i, face in enumerate(first) if i not in pairs),
        second=tuple(face for j, face in enumerate(second) if j not in taken),
    )
