"""Head pose from a rotation matrix, in the convention of `mirrorset.records.Pose`."""

import math

import numpy as np
from numpy.typing import ArrayLike

from mirrorset.records import Pose


def head_pose(matrix: ArrayLike) -> Pose:
    """Yaw, pitch and roll, in degrees to 2 decimals, of the head with this `matrix`.

    matrix: (3, 3) or (4, 4); its upper left maps head axes to camera axes, both x to the image's
    right, y up, z towards the viewer, with any positive scale. It is read as
    R_y(yaw) · R_x(−pitch) · R_z(−roll): yaw and pitch say where the nose points, roll how the head
    leans about that direction.
    """
    linear = np.asarray(matrix, dtype=np.float64)[:3, :3]
    rotation = linear / np.cbrt(np.linalg.det(linear))
    nose_x, nose_y, nose_z = rotation[:, 2]
    yaw = math.atan2(nose_x, nose_z)
    pitch = math.asin(float(np.clip(nose_y, -1, 1)))
    # The second row of the product is (−sin roll · cos pitch, cos roll · cos pitch, sin pitch).
    roll = math.atan2(-rotation[1, 0], rotation[1, 1])
    return Pose(yaw_deg=_degrees(yaw), pitch_deg=_degrees(pitch), roll_deg=_degrees(roll))


def _degrees(radians: float) -> float:
    return round(math.degrees(radians), 2) + 0.0
