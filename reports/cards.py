"""One image of the contact sheet: thumbnail, overlays, and the facts in words."""

from dataclasses import dataclass

from faces.schema import load_schema
from faces.slices import slice_of
from mirrorset.load import Item
from mirrorset.records import Face
from reports.overlays import Marks, marks, outline
from reports.rows import SCHEMA, confidence, licence_words, main_face
from reports.thumbnails import thumbnail

_LABELS = {
    "model": "made by a model, unreviewed",
    "human": "checked by a person",
    "gold": "gold: agreed on by people",
}


@dataclass(frozen=True)
class Card:
    """What the contact sheet shows of an image. sides: light on each face, for the filter."""

    image_id: str
    split: str
    is_reviewed: bool
    confidence: float
    sides: tuple[str, ...]
    width_px: int
    height_px: int
    thumbnail: str
    alt: str
    marks: tuple[Marks, ...]
    outlines: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def make_card(item: Item, thumbnail_px: int) -> Card:
    """The card of `item`; decodes its image."""
    edges = load_schema(SCHEMA).edges
    return Card(
        image_id=item.image_id,
        split=item.split,
        is_reviewed=item.is_reviewed,
        confidence=confidence(item.faces),
        sides=tuple(sorted({slice_of(face).lighting for face in item.faces})),
        width_px=item.width_px,
        height_px=item.height_px,
        thumbnail=thumbnail(item.rgb(), thumbnail_px),
        alt=alt_text(item),
        marks=tuple(marks(face, SCHEMA, edges) for face in item.faces),
        outlines=tuple(
            path
            for mask in item.annotation.masks
            if (path := outline(mask, item.height_px, item.width_px))
        ),
        facts=tuple(_facts(item)),
    )


def alt_text(item: Item) -> str:
    """One sentence for those who cannot see the picture, made from the labels alone."""
    count = len(item.faces)
    words = [f"Image {item.image_id[:8]}", f"{count} face{'' if count == 1 else 's'}"]
    if item.faces:
        main = main_face(item.faces)
        if main.pose:
            words.append(f"yaw {_degrees(main.pose.yaw_deg)}")
        if main.lighting:
            words.append(_light(main.lighting.side))
    return ", ".join(words) + "."


def _facts(item: Item) -> list[tuple[str, str]]:
    facts = [
        ("Image", item.image_id),
        ("Size", f"{item.width_px} × {item.height_px} px"),
        ("Split", item.split),
        ("Group", item.group_id),
        ("Labels", _LABELS[item.annotation.origin]),
        ("Confidence", f"{confidence(item.faces):.2f}"),
    ]
    for number, face in enumerate(item.faces, start=1):
        name = "Face" if len(item.faces) == 1 else f"Face {number}"
        facts.append((name, _face_words(face)))
    facts += [(name, value) for name, value in sorted(item.annotation.tags.items())]
    facts += [
        ("Author", item.author or "not stated"),
        ("Licence", licence_words(item.licence)),
        ("Source", item.source),
        ("Page", item.page_url),
    ]
    return facts


def _face_words(face: Face) -> str:
    words = []
    if face.uncertainty is not None:
        words.append(f"expected error {100 * face.uncertainty:.1f} % of the eye corners' distance")
    if pose := face.pose:
        words.append(
            f"yaw {_degrees(pose.yaw_deg)}, pitch {_degrees(pose.pitch_deg)}, "
            f"roll {_degrees(pose.roll_deg)}"
        )
    if face.lighting:
        words.append(f"{_light(face.lighting.side)}, evenness {face.lighting.evenness:.2f}")
    if face.quality:
        words.append(f"{face.quality.inter_eye_distance_px:.0f} px between the eyes")
    words += [f"{name}: {value}" for name, value in sorted(face.attributes.items())]
    return "; ".join(words) or "not measured"


def _light(side: str) -> str:
    return "mixed light" if side == "mixed" else f"light from the {side}"


def _degrees(angle_deg: float) -> str:
    # Rounded before printing, so that -0.2 does not become "-0".
    return f"{round(angle_deg)}°"
