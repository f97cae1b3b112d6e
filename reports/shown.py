"""An image as the page shows it: one of the release, or one that was rejected and may be seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from unicodedata import bidirectional

import numpy as np
from numpy.typing import NDArray

from faces.slices import UNKNOWN, Slice, selfie_slice_of, slice_of
from mirrorset.geometry import area
from mirrorset.load import Item
from mirrorset.markup import straight
from mirrorset.records import Annotation, Face, Licence
from reports.edits import Before, moved

# The landmark schema drawn and judged.
SCHEMA = "ibug68"

RELEASED = "released"
NO_AUTHOR = "author not stated"


@dataclass(frozen=True)
class Shown:
    """An image and what is known of it. rgb: reads its upright pixels (H, W, 3) uint8.

    split, group_id: "" of one that was rejected. verdict: "released", or why not. detail: more on
    that. before: how a model had placed what a person corrected.
    """

    image_id: str
    group_id: str
    split: str
    width_px: int
    height_px: int
    annotation: Annotation
    licence: Licence
    author: str
    source: str
    page_url: str
    rgb: Callable[[], NDArray[np.uint8]]
    verdict: str = RELEASED
    detail: str = ""
    before: Before | None = None

    @property
    def faces(self) -> tuple[Face, ...]:
        """The faces of its labels."""
        return self.annotation.faces


def released(item: Item, before: Before | None) -> Shown:
    """An image of the release."""
    return Shown(
        image_id=item.image_id,
        group_id=item.group_id,
        split=item.split,
        width_px=item.width_px,
        height_px=item.height_px,
        annotation=item.annotation,
        licence=item.licence,
        author=item.author,
        source=item.source,
        page_url=item.page_url,
        rgb=item.rgb,
        before=before if item.is_reviewed else None,
    )


@dataclass(frozen=True)
class Row:
    """What a page keeps in memory of every image, be they thousands.

    slice: of its main face. selfie: its cell. by: who made the labels, a pseudonym or a profile.
    uncertainty: the largest expected error of a face, as a share of the interocular distance; None
    where none was measured. moved: how far a person moved the landmarks of a face; None where none
    did.
    """

    image_id: str
    group_id: str
    split: str
    verdict: str
    is_reviewed: bool
    by: str
    source: str
    licence: str
    author: str
    models: tuple[str, ...]
    confidence: float
    uncertainty: float | None
    moved: float | None
    slice: Slice
    selfie: str


def make_row(shown: Shown) -> Row:
    """The row of an image; reads no pixels."""
    faces = shown.faces
    uncertain = [face.uncertainty for face in faces if face.uncertainty is not None]
    return Row(
        image_id=shown.image_id,
        group_id=shown.group_id,
        split=shown.split,
        verdict=shown.verdict,
        is_reviewed=shown.annotation.origin != "model",
        by=shown.annotation.by,
        source=shown.source,
        licence=licence_words(shown.licence),
        author=name_of(shown.author),
        models=tuple(f"{model.name} ({model.licence})" for model in shown.annotation.models),
        confidence=confidence(faces),
        uncertainty=round(max(uncertain), 4) if uncertain else None,
        moved=moved(shown.before, faces, SCHEMA) if shown.before is not None else None,
        slice=slice_of(main_face(faces)) if faces else Slice(UNKNOWN, UNKNOWN),
        selfie=selfie_slice_of(faces, shown.width_px, shown.height_px),
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


def name_of(author: str) -> str:
    """An author's name to be put among other words, none of which its direction turns around."""
    plain = straight(author)
    if any(bidirectional(letter) in ("R", "AL", "AN") for letter in plain):
        return f"\N{FIRST STRONG ISOLATE}{plain}\N{POP DIRECTIONAL ISOLATE}"
    return plain or NO_AUTHOR


def credit(author: str, licence: Licence) -> str:
    """Author and licence, as they stand below a picture."""
    return f"{name_of(author)}, {licence_words(licence)}"


def attribution(row: Row) -> str:
    """The same of a row."""
    return f"{row.author}, {row.licence}"


def _face_confidence(face: Face) -> float:
    landmarks = face.landmarks.get(SCHEMA)
    if landmarks is None or not landmarks.confidence:
        return face.score
    return sum(landmarks.confidence) / len(landmarks.confidence)
