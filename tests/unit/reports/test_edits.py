"""What people changed of a model's labels is told, and measured."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from mirrorset.files import write_records
from mirrorset.records import Annotation, Face
from reports.edits import moved, read_before

from .conftest import AT, MODEL, Drawn, face

FACE = face(Drawn(colour=1))
SCHEMA = "ibug68"


def shifted(by_px: float) -> Face:
    landmarks = FACE.landmarks[SCHEMA]
    points = tuple((x + by_px, y) for x, y in landmarks.points)
    return FACE.model_copy(
        update={"landmarks": {SCHEMA: landmarks.model_copy(update={"points": points})}}
    )


def annotation(image_id: str, of: Face, **changed: object) -> Annotation:
    fields = {
        "image_id": image_id,
        "faces": (of,),
        "origin": "model",
        "by": "research",
        "models": (MODEL,),
        "schema_version": "1",
        "made_at": AT,
    }
    return Annotation.model_validate(fields | changed)


def test_of_images_that_people_labelled_the_newest_model_is_told(tmp_path: Path) -> None:
    one, other = "a" * 64, "b" * 64
    write_records(
        tmp_path / "annotations" / "00000.jsonl",
        [
            annotation(one, FACE),
            annotation(one, shifted(3), by="later", made_at=AT + timedelta(days=1)),
            annotation(one, shifted(9), origin="human", by="annotator-1"),
            annotation(other, FACE),
        ],
    )
    before = read_before(tmp_path, SCHEMA)
    assert set(before) == {one}
    expected = np.array(shifted(3).landmarks[SCHEMA].points)
    assert before[one]["0"] == pytest.approx(expected, abs=1e-4)


def test_a_shift_is_told_as_a_share_of_the_interocular_distance() -> None:
    before = {"0": np.array(FACE.landmarks[SCHEMA].points, dtype=np.float32)}
    corners = np.array(FACE.landmarks[SCHEMA].points)[[36, 45]]
    interocular_px = float(np.linalg.norm(corners[0] - corners[1]))
    assert moved(before, [shifted(5)], SCHEMA) == pytest.approx(5 / interocular_px, abs=1e-4)
    assert moved(before, [FACE], SCHEMA) == 0


def test_faces_without_landmarks_before_and_after_tell_nothing() -> None:
    bare = FACE.model_copy(update={"landmarks": {}})
    assert moved({}, [FACE], SCHEMA) is None
    assert moved({"0": np.zeros((1, 2), np.float32)}, [FACE], SCHEMA) is None
    assert moved({"0": np.zeros((1, 2), np.float32)}, [bare], SCHEMA) is None
