"""Which rectangle is which face, and which skeleton belongs to it, when CVAT has lost the link.

The link is the attribute face_id. People delete it, copy shapes with it, and draw new ones.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mirrorset.geometry import expand, iou
from mirrorset.records import Xy, Xyxy

_SAME_FACE_IOU = 0.5
_NEAR_BOX = 1.5


def assign_face_ids(
    boxes: Sequence[Xyxy], declared: Sequence[str], sent: Mapping[str, Xyxy]
) -> list[str]:
    """A face_id for every box, each used once.

    A declared id stands; of several boxes that declare one id, the box nearest to the face sent
    under it (by IoU) has it. A box without an id takes that of the sent face it overlaps by at
    least half, otherwise the next free number.
    """
    overlaps = {face_id: iou(boxes, [box])[:, 0] for face_id, box in sent.items()} if boxes else {}
    assigned: dict[int, str] = {}
    for face_id in sorted(set(declared) - {""}):
        rivals = [index for index, one in enumerate(declared) if one == face_id]
        if face_id in overlaps:
            rivals.sort(key=lambda index: -overlaps[face_id][index])
        assigned[rivals[0]] = face_id
    by_overlap = sorted(
        (-overlap, face_id, index)
        for face_id, column in overlaps.items()
        for index, overlap in enumerate(column)
        if overlap >= _SAME_FACE_IOU
    )
    for _, face_id, index in by_overlap:
        if index not in assigned and face_id not in assigned.values():
            assigned[index] = face_id
    taken = [int(one) for one in {*assigned.values(), *sent} if one.isdecimal()]
    following = max(taken, default=-1) + 1
    for index in range(len(boxes)):
        if index not in assigned:
            assigned[index] = str(following)
            following += 1
    return [assigned[index] for index in range(len(boxes))]


def assign_skeletons(
    skeletons: Sequence[Sequence[Xy]],
    declared: Sequence[str],
    boxes: Sequence[Xyxy],
    box_declared: Sequence[str],
) -> list[int | None]:
    """For every skeleton the index of its box, or None; a box has one skeleton at most.

    A pair that declares one face_id goes first; among equals, and without an id, the box that
    holds most of the skeleton's points.
    """
    pairs = []
    for s, points in enumerate(skeletons):
        for b, box in enumerate(boxes):
            share = _share_within(points, box)
            is_declared = bool(declared[s]) and declared[s] == box_declared[b]
            if is_declared or share > 0:
                pairs.append((not is_declared, -share, s, b))
    owners: list[int | None] = [None] * len(skeletons)
    for _, _, s, b in sorted(pairs):
        if owners[s] is None and b not in owners:
            owners[s] = b
    return owners


def _share_within(points: Sequence[Xy], box: Xyxy) -> float:
    """Share of points (K, 2) within the box made larger by half."""
    if not points:
        return 0.0
    xy = np.asarray(points)
    left, top, right, bottom = expand(box, _NEAR_BOX)
    inside = (xy[:, 0] >= left) & (xy[:, 0] <= right) & (xy[:, 1] >= top) & (xy[:, 1] <= bottom)
    return float(inside.mean())
