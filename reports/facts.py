"""The facts about an image in words."""

from mirrorset.records import Face
from reports.shown import RELEASED, Shown, confidence, licence_words, main_face, name_of

_LABELS = {
    "model": "made by a model, unreviewed",
    "human": "checked by a person",
    "gold": "gold: agreed on by people",
}


def alt_text(shown: Shown) -> str:
    """One sentence for those who cannot see the picture, made from the labels alone."""
    count = len(shown.faces)
    words = [f"Image {shown.image_id[:8]}", f"{count} face{'' if count == 1 else 's'}"]
    if shown.faces:
        main = main_face(shown.faces)
        if main.pose:
            words.append(f"yaw {_degrees(main.pose.yaw_deg)}")
        if main.lighting:
            words.append(_light(main.lighting.side))
    return ", ".join(words) + "."


def facts(shown: Shown, moved: float | None) -> list[tuple[str, str]]:
    """Name and value of each. moved: how far a person moved the landmarks, where one did."""
    annotation = shown.annotation
    found = [
        ("Image", shown.image_id),
        ("Verdict", f"{shown.verdict}. {shown.detail}" if shown.detail else shown.verdict),
        ("Size", f"{shown.width_px} × {shown.height_px} px"),
    ]
    if shown.verdict == RELEASED:
        found += [("Split", shown.split), ("Group", shown.group_id)]
    found += [
        ("Labels", f"{_LABELS[annotation.origin]} ({annotation.by})"),
        ("Confidence", f"{confidence(shown.faces):.2f}"),
    ]
    if moved is not None:
        found.append(("Corrected by", f"{100 * moved:.1f} % of the eye corners' distance"))
    for number, face in enumerate(shown.faces, start=1):
        name = "Face" if len(shown.faces) == 1 else f"Face {number}"
        found.append((name, _face_words(face)))
    found += sorted(annotation.tags.items())
    found += [
        ("Author", name_of(shown.author) if shown.author else "not stated"),
        ("Licence", licence_words(shown.licence)),
        ("Source", shown.source),
        ("Page", shown.page_url),
    ]
    return found


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
