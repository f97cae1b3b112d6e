"""Points, presence, pose, expression, light and mask: faces' own measures, and what breaks them."""

from typing import Any

import numpy as np
import pytest
from drawn_face import drawn_points, face_with, flat

from faces.expression import expression_change, to_the_front
from faces.lighting import lighting
from faces.pose import pose_from_points
from faces.region import face_region
from faces.schema import load_schema
from mirrorset.geometry import transform
from parity.rules.face_measures import Expression, HeadPose, LightingLabel
from parity.rules.person_mask import PersonMask
from parity.rules.points import Ibug68, ImagePoints, Presence
from parity.rules.rule import Answer, Rule, Seen

NO_PLACE = np.full((2, 3), np.nan)
TO_INPUT = np.array([[0.5, 0, 3], [0, 0.5, 7]])
MEASURES = (
    HeadPose(rule="head_pose", of=("points",)),
    Expression(rule="expression", of=("points",)),
    LightingLabel(rule="lighting", of=("image", "points")),
)


def net(transform_: Any = TO_INPUT, **outputs: Any) -> Seen:
    answer = Answer({k: np.asarray(v, np.float32) for k, v in outputs.items()}, transform_)
    return Seen(lambda: flat(90), {"net": answer})


def face(points: Any) -> Seen:
    return Seen(lambda: flat(90), {"points": np.asarray(points, dtype=np.float64)})


def test_points_are_laid_back_onto_the_picture() -> None:
    points = drawn_points()
    in_px = np.column_stack([transform(points, TO_INPUT), np.zeros(68)])
    rule = ImagePoints(rule="image_points", of=("net",), count=68)
    given = net(points=in_px.ravel())
    np.testing.assert_allclose(rule.work_out(given, given), points, atol=1e-4)
    share = rule.model_copy(update={"unit": "share", "side_px": 128, "values": 2})
    given = net(points=in_px[:, :2].ravel() / 128)
    np.testing.assert_allclose(share.work_out(given, given), points, atol=1e-4)
    given = net(NO_PLACE, points=in_px.ravel())
    assert np.isnan(rule.work_out(given, given)).all()


@pytest.mark.parametrize(
    ("score", "place", "said"),
    [
        (0.1, TO_INPUT, 1), (0.0, TO_INPUT, 0), (-3, TO_INPUT, 0), (np.nan, TO_INPUT, -1),
        (9, NO_PLACE, 0), (np.nan, NO_PLACE, 0),
    ],
)  # fmt: skip
def test_presence_is_a_score_above_its_threshold(score: float, place: Any, said: int) -> None:
    given = net(place, presence=[[score]])
    assert Presence(rule="presence", of=("net",)).work_out(given, given) == said


def test_ibug68_is_derived() -> None:
    mesh = np.random.default_rng(0).uniform(0, 100, (478, 2))
    rule = Ibug68(rule="ibug68", of=("points",))
    wanted = load_schema("ibug68").derive(mesh, "mesh478")
    np.testing.assert_array_equal(rule.work_out(face(mesh), face(mesh)), wanted)
    # A mesh without the irises gives the same.
    np.testing.assert_array_equal(rule.work_out(face(mesh[:468]), face(mesh)), wanted)
    own = rule.model_copy(update={"source": "ibug68"})
    np.testing.assert_array_equal(own.work_out(face(wanted), face(wanted)), wanted)


def test_measures_are_those_of_faces() -> None:
    points = drawn_points()
    points[:, 0] += 0.3 * points[:, 1]
    pose, expression, light = (rule.work_out(face(points), face(points)) for rule in MEASURES)
    wanted = pose_from_points(points)
    np.testing.assert_array_equal(pose, [wanted.yaw_deg, wanted.pitch_deg, wanted.roll_deg])
    np.testing.assert_array_equal(expression, to_the_front(points))
    side = lighting(face_region(flat(90), points)).side
    assert MEASURES[2].labels[int(light)] == side


@pytest.mark.parametrize(
    "points",
    [
        np.full((68, 2), np.nan),
        np.zeros((68, 2)),
        np.full((68, 2), 1e30),
        np.column_stack([np.arange(68.0), np.arange(68.0)]),
        np.column_stack([np.arange(68.0), np.full(68, 5.0)]),
        np.where(np.arange(136).reshape(68, 2) == 90, np.inf, drawn_points()),
    ],
    ids=["none", "one place", "far away", "a line", "a level line", "one infinite"],
)
@pytest.mark.parametrize("rule", MEASURES, ids=lambda rule: str(rule.rule))
def test_points_that_are_no_face_end_nothing(rule: Rule, points: Any) -> None:
    value = rule.work_out(face(points), face(points))
    like = rule.work_out(face(drawn_points()), face(drawn_points()))
    assert (value.shape, value.dtype) == (like.shape, like.dtype)


def test_the_change_between_two_turned_faces_is_that_of_the_faces() -> None:
    a, b = drawn_points(), drawn_points()
    b[55:60, 1] += 8
    from faces.expression import change_between

    assert change_between(to_the_front(a), to_the_front(b)) == expression_change(
        face_with(a), face_with(b)
    )


def test_a_mask_is_where_the_probability_reaches_its_limit() -> None:
    given = net(probability=np.array([[0.5, 0.49], [np.nan, 1]]).reshape(2, 2, 1))
    mask = PersonMask(rule="person_mask", of=("net",)).work_out(given, given)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[1, 0], [0, 1]]
