"""A drawn head before a pinhole camera, where every distance is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faces.selfie import eyes_to_face_width, selfie_likeness
from faces.slices import SELFIES, selfie_slice_of
from mirrorset.records import Face, Landmarks, Pose

# Centimetres, the nose towards the camera: the face's outline lies 5 cm behind the eyes.
EYES_CM, WIDTH_CM, BEHIND_CM = 9.0, 14.5, 5.0
FRAME_PX = (600, 800)

distances_cm = st.floats(15, 300)


def face_at(
    distance_cm: float = 300,
    *,
    box: tuple[float, float, float, float] = (150, 250, 450, 600),
    yaw_deg: float = 0,
    turn_deg: float = 0,
    px_per_cm: float = 20,
) -> Face:
    """A face whose eyes are `distance_cm` away, turned in the plane of the image."""
    outline = WIDTH_CM * distance_cm / (distance_cm + BEHIND_CM)
    points = np.zeros((68, 2))
    for row in range(8):
        half = outline / 2 - abs(row - 1) / 2
        points[row], points[16 - row] = (-half, row), (half, row)
    points[8] = (0, 9)
    half = EYES_CM / 2 * math.cos(math.radians(yaw_deg))
    points[36], points[45] = (-half, 0), (half, 0)
    sine, cosine = math.sin(math.radians(turn_deg)), math.cos(math.radians(turn_deg))
    turned = points @ np.array([[cosine, sine], [-sine, cosine]]) * px_per_cm + (300, 400)
    return Face(
        face_id="0",
        box=box,
        score=1,
        landmarks={
            "ibug68": Landmarks(
                points=tuple((float(x), float(y)) for x, y in turned),
                visibility=(2,) * 68,
                confidence=(1,) * 68,
            )
        },
        pose=Pose(yaw_deg=yaw_deg, pitch_deg=0, roll_deg=-turn_deg),
    )


@given(distances_cm, distances_cm)
def test_the_nearer_camera_has_the_stronger_perspective(one: float, other: float) -> None:
    near, far = sorted((one, other))
    marks = [selfie_likeness([face_at(cm)], *FRAME_PX).perspective for cm in (near, far)]
    assert marks[0] is not None
    assert marks[1] is not None
    assert 0 <= marks[1] <= marks[0] <= 1


@given(distances_cm, st.floats(-180, 180), st.floats(-25, 25), st.floats(1, 100))
def test_scale_turning_and_a_little_yaw_leave_the_ratio_alone(
    distance_cm: float, turn_deg: float, yaw_deg: float, px_per_cm: float
) -> None:
    moved = face_at(distance_cm, yaw_deg=yaw_deg, turn_deg=turn_deg, px_per_cm=px_per_cm)
    assert eyes_to_face_width(moved) == pytest.approx(eyes_to_face_width(face_at(distance_cm)))


def test_without_measures_the_perspective_is_unknown() -> None:
    face = face_at(30)
    degenerate = Landmarks(points=((1, 1),) * 68, visibility=(2,) * 68, confidence=(1,) * 68)
    for unmeasured in (
        face_at(30, yaw_deg=25.1),
        face_at(30, yaw_deg=-40),
        face.model_copy(update={"pose": None}),
        face.model_copy(update={"landmarks": {}}),
        face.model_copy(update={"landmarks": {"ibug68": degenerate}}),
    ):
        assert eyes_to_face_width(unmeasured) is None
        assert selfie_likeness([unmeasured], *FRAME_PX).score is None
        assert selfie_slice_of([unmeasured], *FRAME_PX) == "unknown"
    assert selfie_slice_of([], *FRAME_PX) == "unknown"


def test_the_camera_decides_between_likely_and_possible() -> None:
    cells = [selfie_slice_of([face_at(cm)], *FRAME_PX) for cm in (25, 300)]
    assert cells == ["likely", "possible"]


def test_a_small_face_is_no_selfie_whatever_its_perspective() -> None:
    for face in (face_at(20), face_at(20, yaw_deg=60)):
        far = face.model_copy(update={"box": (0, 0, 100, 100)})
        assert selfie_slice_of([far], *FRAME_PX) == "unlikely"


def test_a_neighbour_makes_it_no_selfie_and_a_passer_by_changes_nothing() -> None:
    main = face_at(25)
    neighbour = face_at(25, box=(0, 250, 300, 550))
    passer_by = face_at(100, box=(0, 0, 120, 140))
    for faces in ([main, neighbour], [neighbour, main]):
        assert selfie_likeness(faces, *FRAME_PX).dominance == 0
        assert selfie_slice_of(faces, *FRAME_PX) == "unlikely"
    alone = selfie_likeness([main], *FRAME_PX)
    assert selfie_likeness([passer_by, main], *FRAME_PX) == alone
    assert alone.dominance == 1


@given(
    st.lists(st.tuples(*[st.floats(0, 600)] * 4), min_size=1, max_size=4),
    st.floats(10, 400),
    st.floats(-90, 90),
)
def test_marks_and_score_stay_between_0_and_1(
    boxes: list[tuple[float, float, float, float]], distance_cm: float, yaw_deg: float
) -> None:
    faces = [face_at(distance_cm, box=box, yaw_deg=yaw_deg) for box in boxes]
    likeness = selfie_likeness(faces, *FRAME_PX)
    for mark in (*likeness, likeness.score):
        assert mark is None or 0 <= mark <= 1
    assert likeness.score is None or likeness.score <= likeness.at_most
    assert selfie_slice_of(faces, *FRAME_PX) in SELFIES
