"""What a page keeps in memory of every image of a release, be they thousands."""

from collections.abc import Sequence
from dataclasses import dataclass

from faces.slices import UNKNOWN, Slice, selfie_slice_of, slice_of
from mirrorset.geometry import area
from mirrorset.load import Item
from mirrorset.records import Face, Licence, Split

# The landmark schema drawn and judged.
SCHEMA = "ibug68"


@dataclass(frozen=True)
class Row:
    """One image, without its pixels and points. slice: of its main face. selfie: its cell."""

    image_id: str
    group_id: str
    split: Split
    is_reviewed: bool
    licence: str
    models: tuple[str, ...]
    confidence: float
    slice: Slice
    selfie: str


def make_row(item: Item) -> Row:
    """The row of `item`; reads no pixels."""
    return Row(
        image_id=item.image_id,
        group_id=item.group_id,
        split=item.split,
        is_reviewed=item.is_reviewed,
        licence=licence_words(item.licence),
        models=tuple(f"{model.name} ({model.licence})" for model in item.annotation.models),
        confidence=confidence(item.faces),
        slice=slice_of(main_face(item.faces)) if item.faces else Slice(UNKNOWN, UNKNOWN),
        selfie=selfie_slice_of(item.faces, item.width_px, item.height_px),
    )


def confidence(faces: Sequence[Face]) -> float:
    """Mean landmark confidence of the least certain face, 0 to 1, rounded to 4 decimals.

    A face without landmarks counts with its detector's score, an image without faces with 0.
    """
    return round(min((_face_confidence(face) for face in faces), default=0.0), 4)


def main_face(faces: Sequence[Face]) -> Face:
    """The face with the largest box."""
    return max(faces, key=lambda face: float(area(face.box)[0]))


def licence_words(licence: Licence) -> str:
    """The licence's name as people write it: "CC BY-SA 4.0", "Public domain"."""
    if licence.code == "PD":
        return "Public domain"
    return f"{licence.code.replace('CC-', 'CC ', 1)} {licence.version}".rstrip()


def _face_confidence(face: Face) -> float:
    landmarks = face.landmarks.get(SCHEMA)
    if landmarks is None or not landmarks.confidence:
        return face.score
    return sum(landmarks.confidence) / len(landmarks.confidence)
