"""Which faces of a release are put to the test."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from faces.slices import selfie_slice_of
from mirrorset.geometry import area
from mirrorset.load import Item
from mirrorset.records import Face, Reason, Rejected
from parity.records import ModelSpec, PackItem
from parity.slices import SliceParams, slices_of


@dataclass(frozen=True)
class Subject:
    """A face to test: its place in the release, in the image and in the pack."""

    source: Item
    face: Face
    item: PackItem


def subjects_of(
    source: Iterable[Item], spec: ModelSpec, slices: SliceParams, min_interocular_px: float
) -> tuple[list[Subject], list[Rejected]]:
    """The face of each image that can be tested, and the images without one."""
    subjects: list[Subject] = []
    left_out: list[Rejected] = []
    for image in source:
        face = max(image.faces, key=lambda each: float(area(each.box)[0]), default=None)
        labels = face.landmarks.get(spec.label_schema) if face else None
        if face is None or labels is None:
            detail = f"No face has {spec.label_schema} landmarks."
            left_out.append(_left_out(image, Reason.NO_FACE, detail))
            continue
        corners = [labels.points[corner] for corner in spec.eye_corners]
        interocular_px = round(math.dist(*corners), 4)
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
            label_points=tuple(labels.points[index] for index in spec.label_points),
            interocular_px=interocular_px,
            origin=image.annotation.origin,
            slices=slices_of(face, interocular_px, selfie, slices),
        )
        subjects.append(Subject(image, face, item))
    return subjects, left_out


def _left_out(image: Item, reason: Reason, detail: str) -> Rejected:
    return Rejected(item_id=image.image_id, step="parity", reason=reason, detail=detail)
