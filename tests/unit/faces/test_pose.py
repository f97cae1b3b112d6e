"""Pose from matrices that are built by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faces.pose import head_pose

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
