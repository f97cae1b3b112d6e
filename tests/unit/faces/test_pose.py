"""Pose from matrices and points that are built by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faces.pose import angle_between, head_model, head_pose, head_rotation, pose_from_points
from faces.schema import load_schema

yaws = st.floats(-80, 80)
pitches = st.floats(-60, 60)
rolls = st.floats(-170, 170)


def turned(yaw_deg: float, pitch_deg: float, roll_deg: float) -> NDArray[np.float64]:
    """Yaw about y, then pitch about x upwards, then roll clockwise as seen."""
    yaw, pitch, roll = np.radians([yaw_deg, -pitch_deg, -roll_deg])
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    return np.array(about_y) @ np.array(about_x) @ np.array(about_z)


@given(yaws, pitches, rolls, st.floats(0.1, 10))
def test_angles_are_read_back_whatever_the_scale(
    yaw: float, pitch: float, roll: float, scale: float
) -> None:
    pose = head_pose(turned(yaw, pitch, roll) * scale)
    assert (pose.yaw_deg, pose.pitch_deg, pose.roll_deg) == pytest.approx(
        (yaw, pitch, roll), abs=0.011
    )


@given(yaws, pitches, rolls)
def test_mirroring_flips_yaw_and_roll(yaw: float, pitch: float, roll: float) -> None:
    flip = np.diag([-1.0, 1.0, 1.0])
    pose = head_pose(flip @ turned(yaw, pitch, roll) @ flip)
    assert (pose.yaw_deg, pose.pitch_deg, pose.roll_deg) == pytest.approx(
        (-yaw, pitch, -roll), abs=0.011
    )


def test_the_nose_says_where_to() -> None:
    to_the_right = head_pose(turned(30, 0, 0))
    assert (turned(30, 0, 0) @ [0, 0, 1])[0] > 0
    assert to_the_right.yaw_deg == 30
    up = head_pose(turned(0, 20, 0))
    assert (turned(0, 20, 0) @ [0, 0, 1])[1] > 0
    assert up.pitch_deg == 20


def test_the_top_leans_to_the_right() -> None:
    assert (turned(0, 0, 15) @ [0, 1, 0])[0] > 0
    assert head_pose(turned(0, 0, 15)).roll_deg == 15


def test_translation_does_not_matter() -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = turned(10, -5, 3)
    matrix[:3, 3] = (4, -2, -40)
    assert head_pose(matrix) == head_pose(turned(10, -5, 3))


def seen(rotation: NDArray[np.float64], distance: float = 15) -> NDArray[np.float64]:
    """The head model's points (68, 2) px before a camera, in distances of the eye corners."""
    placed = head_model() @ rotation.T
    return placed[:, :2] * (400, -400) / (distance - placed[:, 2:]) + (320, 240)


@settings(deadline=None)
@given(yaws, pitches, rolls)
def test_points_give_the_angles_back(yaw: float, pitch: float, roll: float) -> None:
    pose = pose_from_points(seen(turned(yaw, pitch, roll)))
    # The camera looks at the middle of the points, not at the head's origin: a degree or two.
    assert (pose.yaw_deg, pose.pitch_deg, pose.roll_deg) == pytest.approx((yaw, pitch, roll), abs=4)


@settings(deadline=None)
@given(st.floats(-60, 60), st.floats(-40, 40), rolls)
def test_mirrored_points_flip_yaw_and_roll(yaw: float, pitch: float, roll: float) -> None:
    points = seen(turned(yaw, pitch, roll))
    mirrored = (points * (-1, 1))[list(load_schema("ibug68").mirror)]
    pose, other = pose_from_points(points), pose_from_points(mirrored)
    assert (other.yaw_deg, other.pitch_deg, other.roll_deg) == pytest.approx(
        (-pose.yaw_deg, pose.pitch_deg, -pose.roll_deg), abs=0.05
    )


@settings(deadline=None)
@given(st.floats(0.1, 20), st.floats(-500, 500))
def test_scale_and_place_of_points_do_not_matter(scale: float, shift: float) -> None:
    points = seen(turned(20, -10, 5))
    assert head_rotation(points * scale + shift) == pytest.approx(head_rotation(points), abs=1e-6)


def test_the_distance_of_the_camera_hardly_matters() -> None:
    near, far = (pose_from_points(seen(turned(30, 10, 5), distance)) for distance in (5, 100))
    assert near.yaw_deg == pytest.approx(far.yaw_deg, abs=4)
    assert near.pitch_deg == pytest.approx(far.pitch_deg, abs=4)


def test_the_head_model_is_symmetric() -> None:
    mirrored = head_model()[list(load_schema("ibug68").mirror)] * (-1, 1, 1)
    assert mirrored == pytest.approx(head_model(), abs=1e-9)
    assert np.linalg.norm(head_model()[36] - head_model()[45]) == pytest.approx(1, abs=0.005)


def test_coinciding_points_have_no_pose() -> None:
    with pytest.raises(ValueError, match="coincide"):
        pose_from_points(np.ones((68, 2)))


@given(yaw=yaws, pitch=pitches, roll=rolls, turn=st.floats(0, 179))
def test_the_angle_between_two_heads_is_what_one_was_turned_by(yaw, pitch, roll, turn) -> None:
    head = turned(yaw, pitch, roll)
    assert angle_between(head, turned(turn, 0, 0) @ head) == pytest.approx(turn, abs=1e-6)
    assert angle_between(head, head @ turned(0, 0, turn)) == pytest.approx(turn, abs=1e-6)
