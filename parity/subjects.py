"""Which faces of a release are put to the test."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from faces.slices import SMALLEST_CELL, selfie_slice_of
from mirrorset.geometry import area
from mirrorset.load import Item
from mirrorset.records import Reason, Rejected
from parity.chain import Chain
from parity.records import PackItem
from parity.slices import SliceParams, slices_of


@dataclass(frozen=True)
class Subject:
    """A face to test: its place in the release and in the pack."""

    source: Item
    item: PackItem


def subjects_of(
    source: Iterable[Item], chain: Chain, slices: SliceParams, min_interocular_px: float
) -> tuple[list[Subject], list[Rejected]]:
    """The face of each image that can be tested, and the images without one."""
    truth = chain.truth
    subjects: list[Subject] = []
    left_out: list[Rejected] = []
    for image in source:
        face = max(image.faces, key=lambda each: float(area(each.box)[0]), default=None)
        labels = face.landmarks.get(truth.label_schema) if face else None
        if face is None or labels is None:
            detail = f"No face has {truth.label_schema} landmarks."
            left_out.append(_left_out(image, Reason.NO_FACE, detail))
            continue
        left, right = (labels.points[corner] for corner in truth.eye_corners)
        interocular_px = round(math.dist(left, right), 4)
        if interocular_px < min_interocular_px:
            detail = f"The eyes are {interocular_px:.1f} px apart, under {min_interocular_px} px."
            left_out.append(_left_out(image, Reason.QUALITY, detail))
            continue
        selfie = selfie_slice_of(image.faces, image.width_px, image.height_px)
        item = PackItem(
            index=len(subjects),
            image_id=image.image_id,
            face_id=face.face_id,
            file=f"images/{image.image_id}",
            width_px=image.width_px,
            height_px=image.height_px,
            box=face.box,
            eye_corners=(left, right),
            interocular_px=interocular_px,
            label_points=tuple(labels.points[index] for index in truth.label_points),
            pose=face.pose,
            lighting=face.lighting.side if face.lighting else None,
            masks=image.annotation.masks,
            origin=image.annotation.origin,
            slices=slices_of(face, interocular_px, selfie, slices),
        )
        subjects.append(Subject(image, item))
    return subjects, left_out


def limited(subjects: Sequence[Subject], limit: int) -> list[Subject]:
    """At most `limit` of them, in their order, so that every cell of every axis keeps its share.

    A cell gets `SMALLEST_CELL` items before shares count, where it has them. One after the other
    the item is taken whose cells lack most, the smaller image_id where two are equal: K. Sechidis
    et al., "On the stratification of multi-label data", ECML PKDD 2011. The same items each time.
    """
    if limit >= len(subjects):
        return list(subjects)
    cells = sorted({cell for subject in subjects for cell in subject.item.slices.items()})
    is_in = np.array([[cell in one.item.slices.items() for cell in cells] for one in subjects])
    is_in = is_in.reshape(len(subjects), len(cells))
    counts = is_in.sum(axis=0)
    wanted = np.maximum(limit * counts / len(subjects), np.minimum(counts, SMALLEST_CELL))
    by_id = sorted(range(len(subjects)), key=lambda row: subjects[row].item.image_id)
    rest, taken = np.array(by_id), np.zeros(len(cells))
    chosen: list[int] = []
    for _ in range(limit):
        lacking = is_in[rest] @ ((wanted - taken) / wanted)
        place = int(np.argmax(lacking))
        chosen.append(int(rest[place]))
        taken += is_in[rest[place]]
        rest = np.delete(rest, place)
    kept = [subjects[row] for row in sorted(chosen)]
    return [
        replace(subject, item=subject.item.model_copy(update={"index": index}))
        for index, subject in enumerate(kept)
    ]


def best_photo(items: Sequence[PackItem]) -> PackItem | None:
    """Of the items, by their labels, the one that a person might choose: in light from the front,
    looking straightest into the camera. None where there are none.
    """

    def rank(item: PackItem) -> tuple[bool, float, str]:
        pose = item.pose
        turned = math.inf
        if pose is not None:
            turned = abs(pose.yaw_deg) + abs(pose.pitch_deg) + abs(pose.roll_deg)
        return item.lighting != "front", turned, item.image_id

    return min(items, key=rank, default=None)


def _left_out(image: Item, reason: Reason, detail: str) -> Rejected:
    return Rejected(item_id=image.image_id, step="parity", reason=reason, detail=detail)
