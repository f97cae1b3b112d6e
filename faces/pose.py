"""Head pose from a matrix or from points, in the convention of `mirrorset.records.Pose`."""

import math
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray

from mirrorset.records import Pose

Floats = NDArray[np.float64]

# Of ibug68, what no expression moves: the nose and the eyes' corners.
RIGID = (27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 39, 42, 45)
# Where the camera is taken to be, in distances of the outer eye corners: 15 × 9 cm.
_CAMERA_DISTANCE = 15.0
# Head axes (y up, z to the viewer) ↔ OpenCV's camera axes (y down, z away from the viewer).
_FLIP = np.diag([1.0, -1.0, -1.0])


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


def pose_from_points(points: ArrayLike) -> Pose:
    """The pose of the head with ibug68 `points` (68, 2) px, where no matrix is given.

    Raises ValueError as `head_rotation` does.
    """
    return head_pose(head_rotation(points))


def head_rotation(points: ArrayLike) -> Floats:
    """The rotation (3, 3) from head axes to camera axes that best places `RIGID` of the head model.

    points: ibug68, (68, 2) px. The camera looks at their middle from fifteen times the distance of
    the outer eye corners; which it is hardly matters (docs/measures.md). Terzakis and Lourakis, "A
    consistently fast and globally optimal solution to the perspective-n-point problem", ECCV 2020.
    Raises ValueError where the points coincide.
    """
    seen = np.asarray(points, dtype=np.float64)[list(RIGID)]
    model = head_model()[list(RIGID)]
    centred = seen - seen.mean(axis=0)
    spread = float(np.linalg.norm(centred))
    if spread == 0:
        raise ValueError("all points coincide")
    # Scaled to the model's size, so that the camera's distance is also its focal length.
    image = centred * (float(np.linalg.norm(model - model.mean(axis=0))) / spread)
    camera = np.diag([_CAMERA_DISTANCE, _CAMERA_DISTANCE, 1.0])
    _, turn, _ = cv2.solvePnP(model @ _FLIP, image, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    return np.asarray(_FLIP @ cv2.Rodrigues(turn)[0] @ _FLIP, dtype=np.float64)


def angle_between(a: ArrayLike, b: ArrayLike) -> float:
    """The angle in degrees, 0 to 180, by which the rotations `a` and `b` (3, 3) differ."""
    turn = np.asarray(a, dtype=np.float64).T @ np.asarray(b, dtype=np.float64)
    # From the sine as well: the cosine alone is blunt for the small angles that matter here.
    axis = (turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1])
    return math.degrees(math.atan2(math.hypot(*axis), float(np.trace(turn)) - 1))


@cache
def head_model() -> Floats:
    """The mean head's ibug68 points (68, 3) in head axes; the unit is the distance of the outer eye
    corners, the origin midway between the eyes. head_model.yaml says where it is from.
    """
    path = Path(__file__).with_name("head_model.yaml")
    points: Floats = np.array(yaml.safe_load(path.read_text(encoding="utf-8"))["points"])
    points.setflags(write=False)
    return points


def _degrees(radians: float) -> float:
    return round(math.degrees(radians), 2) + 0.0
