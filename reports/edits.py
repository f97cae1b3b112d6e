"""What people changed: where a model had placed the landmarks that a person then corrected."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.schema import load_schema
from mirrorset.files import parts_of, read_records
from mirrorset.records import Annotation, Face

#: Of each face by its id the points (K, 2) px that a model gave it.
Before = Mapping[str, NDArray[np.float32]]


def read_before(snapshot: Path, schema: str) -> dict[str, Before]:
    """By image_id what the newest model's labels were, of images that people have labelled too.

    Raises InputError naming the file where one holds another record.
    """
    found: dict[str, Before] = {}
    for part in parts_of(snapshot / "annotations"):
        for image_id, own in groupby(read_records(part, Annotation), attrgetter("image_id")):
            annotations = list(own)
            models = [one for one in annotations if one.origin == "model"]
            if models and len(models) < len(annotations):
                newest = max(models, key=attrgetter("made_at"))
                found[image_id] = {
                    face.face_id: np.array(face.landmarks[schema].points, dtype=np.float32)
                    for face in newest.faces
                    if schema in face.landmarks
                }
    return found


def moved(before: Before, faces: Sequence[Face], schema: str) -> float | None:
    """The largest mean shift of a face's landmarks of `schema`, as a share of its interocular
    distance afterwards, rounded to 4 decimals.

    None where no face has landmarks both before and after.
    """
    shifts = []
    for face in faces:
        old, landmarks = before.get(face.face_id), face.landmarks.get(schema)
        if old is None or landmarks is None or len(old) != len(landmarks.points):
            continue
        points = np.array(landmarks.points)
        interocular_px = load_schema(schema).interocular_px(points)
        if interocular_px > 0:
            shifts.append(np.linalg.norm(points - old, axis=1).mean() / interocular_px)
    return round(float(max(shifts)), 4) if shifts else None
