"""What people did to pre-labels, on edits that are known."""

from dataclasses import dataclass

import numpy as np
import pytest

from annotation.edits import EditParams, edit_rows, edits, models_of, to_replace
from faces.profiles import PROFILES
from faces.schema import load_schema
from mirrorset.records import Annotation, Face, Landmarks, Mask

PARAMS = EditParams()


def moved(face: Face, points: dict[int, float]) -> Face:
    """The face with some points moved to the right, by shares of the interocular distance."""
    sent = face.landmarks["ibug68"]
    unit = load_schema("ibug68").interocular_px(sent.points)
    shifted = tuple((x + points.get(i, 0) * unit, y) for i, (x, y) in enumerate(sent.points))
    edited = Landmarks(points=shifted, visibility=sent.visibility, confidence=sent.confidence)
    return face.model_copy(update={"landmarks": {"ibug68": edited}})


def with_faces(annotation: Annotation, *faces: Face) -> Annotation:
    return annotation.model_copy(update={"faces": faces, "origin": "human", "by": "annotator-1"})


@dataclass
class Found:
    shift: float
    is_wrong: bool


def edited(corrected: Annotation, sent: Annotation, schema) -> dict[str, Found]:
    found = edits(corrected, sent, schema, PARAMS)
    return {one.label: Found(one.shift, one.is_wrong) for one in found}


def test_what_nobody_touched_moved_by_nothing(make_annotation, schema) -> None:
    sent = make_annotation()
    found = edited(with_faces(sent, *sent.faces), sent, schema)
    assert {"face", "ibug68", "ibug68.jaw", "ibug68.lips", "person", "lighting"} <= found.keys()
    assert all(one.shift == 0 and not one.is_wrong for one in found.values())


def test_shifts_are_shares_of_the_interocular_distance(make_annotation, make_face, schema) -> None:
    face, sent = make_face(), make_annotation()
    found = edited(with_faces(sent, moved(face, dict.fromkeys(range(17), 0.1))), sent, schema)
    assert found["ibug68.jaw"].shift == pytest.approx(0.1, abs=1e-3)
    assert found["ibug68.jaw"].is_wrong
    assert found["ibug68"].shift == pytest.approx(0.1 * 17 / 68, abs=1e-3)
    assert (found["ibug68"].is_wrong, found["ibug68.eye"].shift) == (False, 0)


def test_what_was_deleted_was_wrong(make_annotation, schema) -> None:
    sent = make_annotation()
    bare = with_faces(sent).model_copy(update={"masks": (), "tags": {}})
    found = edited(bare, sent, schema)
    assert all(one.is_wrong and one.shift == 1 for one in found.values())


def test_a_tag_that_was_missing_counts_too(make_annotation, schema) -> None:
    sent = make_annotation()
    tagged = with_faces(sent, *sent.faces).model_copy(
        update={"tags": {"lighting": "left", "blurred": "true"}}
    )
    found = edited(tagged, sent, schema)
    assert (found["lighting"].shift, found["blurred"].shift) == (0, 1)


def test_masks_and_boxes_by_what_they_no_longer_share(make_annotation, make_face, schema) -> None:
    sent = make_annotation()
    half = Mask(label="person", left=10, top=20, right=11, bottom=21, rle=(1, 1, 1, 1))
    wide = make_face().model_copy(update={"box": (100, 80, 350, 280)})
    found = edited(with_faces(sent, wide).model_copy(update={"masks": (half,)}), sent, schema)
    assert found["face"].shift == pytest.approx(1 - 200 / 250)
    # Of two pixels in the first row and three in the second, the first of each is left.
    assert found["person"].shift == pytest.approx(1 - 2 / 5)


def test_the_model_that_is_wrong_most_often_is_named_first(
    make_annotation, make_face, schema
) -> None:
    random = np.random.default_rng(0)
    found = []
    for number in range(60):
        sent = make_annotation(f"{number:064x}")
        # The jaw is wrong in 40 %, the eyes are touched up in all, nothing else is touched.
        points = dict.fromkeys(range(36, 48), 0.01)
        if random.random() < 0.4:
            points |= dict.fromkeys(range(17), 0.12)
        found += edits(with_faces(sent, moved(make_face(), points)), sent, schema, PARAMS)
    rows = edit_rows(found, schema)
    jaw, eye = (
        next(row for row in rows if row.label == f"ibug68.{part}") for part in ("jaw", "eye")
    )
    assert rows[0] == jaw
    assert jaw.wrong.low < 0.4 < jaw.wrong.high
    assert jaw.untouched.value == pytest.approx(1 - jaw.wrong.value)
    assert jaw.percentile_90.value == pytest.approx(0.12, abs=2e-3)
    assert (eye.untouched.value, eye.wrong.value) == (0, 0)
    # Nothing in 60 pictures is not nothing ever.
    assert 0 < eye.wrong.high == pytest.approx(0.0602, abs=1e-3)
    assert eye.median.value == pytest.approx(0.01, abs=1e-3)
    assert jaw.models == (PROFILES["research"].points106,)
    assert to_replace(rows) == (PROFILES["research"].points106,)


def test_labels_know_their_models(schema) -> None:
    for name, parts in PROFILES.items():
        assert models_of(name, "face", schema) == (parts.detector,)
        assert models_of(name, "person", schema) == (parts.mask,)
        assert models_of(name, "lighting", schema) == ()
    assert models_of("commercial", "ibug68.jaw", schema) == ("face_landmarker",)
    assert models_of("research", "ibug68.eye", schema) == ("2d106det", "face_landmarker")
    assert models_of("somebody's own", "face", schema) == ()
