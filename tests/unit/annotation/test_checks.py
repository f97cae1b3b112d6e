from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.checks import CHECKS, CheckParams, findings, round_trip, verdicts
from annotation.conversion import to_shapes
from annotation.schema import LabelSchema
from faces.schema import load_schema
from mirrorset.records import Annotation, Face, Landmarks, Pose, Verdict

PARAMS = CheckParams()


@pytest.fixture(scope="session")
def judge(schema: LabelSchema) -> Callable[[Annotation], dict[str, Verdict]]:
    def run(annotation: Annotation) -> dict[str, Verdict]:
        return {one.check: one for one in verdicts(annotation, 640, 480, schema, PARAMS)}

    return run


def with_points(face: Face, points: np.ndarray, visibility=(2,) * 68) -> Face:
    moved = Landmarks(
        points=tuple((float(x), float(y)) for x, y in points),
        visibility=visibility,
        confidence=(1.0,) * 68,
    )
    return face.model_copy(update={"landmarks": {"ibug68": moved}})


def failed(results: dict[str, Verdict]) -> set[str]:
    return {name for name, verdict in results.items() if not verdict.passed}


def test_a_good_face_passes_all(judge, make_annotation) -> None:
    results = judge(make_annotation())
    assert len(results) == len(CHECKS)
    assert failed(results) == set()


def test_no_faces_fail_nothing(judge, make_annotation) -> None:
    assert failed(judge(make_annotation().model_copy(update={"faces": ()}))) == set()


@pytest.mark.parametrize(
    "box", [(300, 80, 100, 280), (100, 80, 100, 80), (600, 80, 900, 280), (-300, 0, 50, 200)]
)
def test_boxes_inverted_or_off(judge, make_annotation, make_face, box) -> None:
    face = make_face().model_copy(update={"box": box, "landmarks": {}})
    assert "box_inside" in failed(judge(make_annotation("ab" * 32, face)))


def test_a_box_that_ends_at_the_border_is_fine(judge, make_annotation, make_face) -> None:
    face = make_face().model_copy(update={"box": (440, 280, 640, 480), "landmarks": {}})
    assert "box_inside" not in failed(judge(make_annotation("ab" * 32, face)))


def test_skeleton_with_a_point_switched_off(judge, make_annotation, make_face) -> None:
    face = make_face()
    points = np.asarray(face.landmarks["ibug68"].points)
    off = with_points(face, points, visibility=(0, *(2,) * 67))
    result = judge(make_annotation("ab" * 32, off))["skeleton_complete"]
    assert (result.passed, result.measured) == (False, 1)


def test_points_beyond_the_border_may_be_off(judge, make_annotation, make_face) -> None:
    face = make_face(left=-60)
    points = np.asarray(face.landmarks["ibug68"].points)
    visibility = tuple(0 if x < 0 else 2 for x, _ in points)
    assert 0 in visibility
    result = judge(make_annotation("ab" * 32, with_points(face, points, visibility)))
    assert result["skeleton_complete"].passed


def test_face_without_skeleton_is_incomplete(judge, make_annotation, make_face) -> None:
    bare = make_face().model_copy(update={"landmarks": {}})
    assert judge(make_annotation("ab" * 32, bare))["skeleton_complete"].measured == 68


def test_a_point_far_off(judge, make_annotation, make_face) -> None:
    face = make_face()
    points = np.asarray(face.landmarks["ibug68"].points)
    points[30] = (600, 400)
    results = judge(make_annotation("ab" * 32, with_points(face, points)))
    assert failed(results) == {"points_near_box"}


def test_swapped_eyes(judge, make_annotation, make_face) -> None:
    face = make_face()
    points = np.asarray(face.landmarks["ibug68"].points)
    points[36:48] = np.concatenate([points[42:48], points[36:42]])
    results = judge(make_annotation("ab" * 32, with_points(face, points)))
    assert failed(results) == {"eyes_ordered", "sides_kept"}


def test_labels_of_a_mirrored_picture(judge, make_annotation, make_face, schema) -> None:
    face = make_face()
    points = np.asarray(face.landmarks["ibug68"].points)
    mirror = list(load_schema("ibug68").mirror)
    result = judge(make_annotation("ab" * 32, with_points(face, points[mirror])))["sides_kept"]
    assert (result.passed, result.measured) == (False, 1)


def test_a_mouth_drawn_from_the_wrong_end(judge, make_annotation, make_face) -> None:
    face = make_face()
    points = np.asarray(face.landmarks["ibug68"].points)
    mirror = np.asarray(load_schema("ibug68").mirror)
    points[48:] = points[mirror[48:]]
    assert failed(judge(make_annotation("ab" * 32, with_points(face, points)))) == {"sides_kept"}


@pytest.mark.parametrize("shrink", [(0, 0), (0.02, 0.02), (1, 0.01), (0.01, 1)])
def test_a_skeleton_that_collapsed(judge, make_annotation, make_face, shrink) -> None:
    face = make_face()
    points = np.asarray(face.landmarks["ibug68"].points)
    middle = points.mean(axis=0)
    collapsed = with_points(face, middle + (points - middle) * shrink)
    assert "skeleton_spread" in failed(judge(make_annotation("ab" * 32, collapsed)))


@given(stretch=st.tuples(st.floats(0.5, 3), st.floats(0.5, 3)), roll_deg=st.floats(-60, 60))
def test_the_template_is_known_however_it_was_drawn(
    judge, make_annotation, make_face, schema, stretch, roll_deg
) -> None:
    angle = np.radians(roll_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.round((np.asarray(schema.layout) * stretch) @ turn.T + (200, 100), 2)
    face = with_points(make_face(), points)
    assert not judge(make_annotation("ab" * 32, face))["skeleton_placed"].passed


def test_a_finding_is_at_the_point_concerned(make_annotation, make_face, schema) -> None:
    face = make_face()
    points = np.asarray(face.landmarks["ibug68"].points)
    points[30] = (700, 400)
    annotation = make_annotation("ab" * 32, make_face("1"), with_points(face, points))
    (found,) = findings(annotation, 640, 480, schema, PARAMS)
    assert (found.check, found.face_id, found.at) == ("points_near_box", "0", (640, 400))
    assert findings(make_annotation(), 640, 480, schema, PARAMS) == []


def rolled(face: Face, roll_deg: float) -> Face:
    """The face turned clockwise as seen, about its box's centre."""
    points = np.asarray(face.landmarks["ibug68"].points)
    centre = np.asarray([200.0, 180.0])
    angle = np.radians(roll_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = with_points(face, (points - centre) @ turn.T + centre)
    return turned.model_copy(update={"pose": Pose(yaw_deg=0, pitch_deg=0, roll_deg=roll_deg)})


@given(roll_deg=st.floats(-180, 180))
def test_order_and_height_hold_at_any_roll(judge, make_annotation, make_face, roll_deg) -> None:
    results = judge(make_annotation("ab" * 32, rolled(make_face(), roll_deg)))
    assert results["eyes_ordered"].passed
    assert results["eyes_above_mouth"].passed


def test_points_upside_down_on_an_upright_head(judge, make_annotation, make_face) -> None:
    face = rolled(make_face(), 180).model_copy(update={"pose": make_face().pose})
    results = judge(make_annotation("ab" * 32, face))
    assert failed(results) == {"eyes_above_mouth"}


def test_round_trip_counts_what_differs(make_annotation, schema: LabelSchema) -> None:
    annotation = make_annotation()
    shapes = to_shapes(annotation, "a.jpg", 640, 480, schema)
    assert round_trip(annotation, shapes, schema).passed
    (skeleton,) = shapes.skeletons
    reordered = skeleton.model_copy(update={"elements": skeleton.elements[::-1], "source": "file"})
    back = shapes.model_copy(update={"skeletons": (reordered,)})
    assert round_trip(annotation, back, schema).passed
    verdict = round_trip(annotation, shapes.model_copy(update={"masks": ()}), schema)
    assert (verdict.passed, verdict.measured) == (False, 1)
