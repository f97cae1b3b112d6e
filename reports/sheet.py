"""The contact sheet as data: what the browser filters and sorts by, and what it draws on pictures.

Facets of all images stand in the page. What is drawn on an image, and its facts, lie beside the
page in files of some images each, which the browser reads when it shows one of them.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from faces.schema import load_schema
from mirrorset.files import write_text
from reports.edits import Before
from reports.facts import alt_text, facts
from reports.overlays import marks, outline
from reports.shown import SCHEMA, Row, Shown
from reports.slices import light_words, pose_words

#: Images whose labels lie in one file.
PER_FILE = 50
_LABELS = "labels-"
_BANDS = ((0.02, "under 2 %"), (0.04, "2 to 4 %"), (0.08, "4 to 8 %"))
_WIDEST_BAND, _UNMEASURED = "over 8 %", "not measured"
_MODEL = "a model"

#: Names of the facets, their words, and what an image's value is; "" is no value.
_FACETS: tuple[tuple[str, str, Callable[[Row], str]], ...] = (
    ("verdict", "Verdict", lambda row: row.verdict),
    ("split", "Split", lambda row: row.split),
    ("nose", "Nose points", lambda row: pose_words(row.slice.pose)),
    ("light", "Light", lambda row: light_words(row.slice.lighting)),
    ("selfie", "Selfie", lambda row: row.selfie),
    ("source", "Source", lambda row: row.source),
    ("licence", "Licence", lambda row: row.licence),
    ("annotator", "Labels by", lambda row: row.by if row.is_reviewed else _MODEL),
    ("error", "Expected error", lambda row: _band(row.uncertainty)),
)


def index(rows: Sequence[Row], beside: str, pictures: str, labels: str) -> dict[str, Any]:
    """What stands in the page of these images, in the order of their labels.

    beside: the folder of the page's own files, relative to it; in it `pictures` and `labels`.
    """
    return {
        "pictures": f"{beside}/{pictures}",
        "labels": f"{beside}/{labels}",
        "perFile": PER_FILE,
        "edges": load_schema(SCHEMA).edges,
        "ids": [row.image_id for row in rows],
        "authors": _coded([row.author for row in rows]),
        "facets": [
            {"name": name, "words": words, **_coded([value(row) for row in rows])}
            for name, words, value in _FACETS
        ],
        "numbers": {
            "confidence": [row.confidence for row in rows],
            "uncertainty": [row.uncertainty for row in rows],
            "moved": [row.moved for row in rows],
        },
    }


def label(shown: Shown, moved: float | None) -> bytes:
    """What is drawn on an image and said of it, as JSON."""
    return orjson.dumps(
        {
            "size": (shown.width_px, shown.height_px),
            "alt": alt_text(shown),
            "faces": [_face(shown, number) for number in range(len(shown.faces))],
            "masks": [
                path
                for mask in shown.annotation.masks
                if (path := outline(mask, shown.height_px, shown.width_px))
            ],
            "facts": facts(shown, moved),
        }
    )


def write_labels(beside: Path, labels: Sequence[bytes]) -> str:
    """Write files of `PER_FILE` labels each; returns the name of their folder in `beside`.

    The name comes from their content, so that a page never meets the labels of another.
    """
    name = _LABELS + hashlib.sha256(b"\n".join(labels)).hexdigest()[:16]
    for start in range(0, len(labels), PER_FILE):
        number = start // PER_FILE
        own = b",\n".join(labels[start : start + PER_FILE]).decode()
        # A script and no JSON: a browser fetches nothing for a page that was opened as a file.
        write_text(beside / name / f"{number:05}.js", f"takeLabels({number}, [\n{own}\n]);\n")
    return name


def clear_labels(beside: Path, kept: str) -> None:
    """Remove the labels of earlier pages."""
    for folder in beside.glob(f"{_LABELS}*"):
        if folder.name != kept:
            shutil.rmtree(folder)


def _face(shown: Shown, number: int) -> dict[str, Any]:
    face = shown.faces[number]
    drawn = marks(face, SCHEMA)
    found: dict[str, Any] = {
        "box": drawn.box,
        "points": drawn.points,
        "seen": drawn.seen,
        "axes": drawn.axes,
    }
    if (old := _old_points(shown.before, face.face_id)) and len(old) == len(drawn.points):
        found["before"] = old
    return found


def _old_points(before: Before | None, face_id: str) -> list[float]:
    if before is None or face_id not in before:
        return []
    return [round(value, 1) for value in np.ravel(before[face_id]).tolist()]


def _coded(values: Sequence[str]) -> dict[str, list[Any]]:
    """The values that occur, the most frequent first, and of each image the place of its own."""
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    order = sorted(counts, key=lambda value: (-counts[value], value))
    place = {value: index for index, value in enumerate(order)}
    return {
        "values": order,
        "counts": [counts[value] for value in order],
        "of": [place[value] for value in values],
    }


def _band(uncertainty: float | None) -> str:
    if uncertainty is None:
        return _UNMEASURED
    return next((words for limit, words in _BANDS if uncertainty < limit), _WIDEST_BAND)
