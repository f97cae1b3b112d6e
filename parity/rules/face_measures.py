"""What the landmarks tell: head pose, expression, and with the picture the light."""

from collections.abc import Callable
from typing import ClassVar, Literal, get_args

import cv2
import numpy as np

from faces.expression import to_the_front
from faces.lighting import lighting
from faces.pose import pose_from_points
from faces.region import face_region
from mirrorset.records import LightSide
from parity.rules.rule import NO_LABEL, Floats, Kind, Rule, Seen, Value, label

# Points beyond it are no answer; NaN is not below it either.
_FARTHEST_PX = 1e6


class HeadPose(Rule):
    """Value: (3,) float64, yaw, pitch and roll in degrees as `mirrorset.records.Pose` has them."""

    takes: ClassVar[tuple[Kind, ...]] = ("ibug68",)
    gives: ClassVar[Kind] = "pose"

    rule: Literal["head_pose"]

    def work_out(self, seen: Seen, best: Seen) -> Floats:
        """See the class."""
        points = seen.value(self.of[0])
        return _told(lambda: _angles(points), points, np.full(3, np.nan))


class Expression(Rule):
    """Value: (68, 2) float64, the points turned to the front, in distances of the outer eye corners
    of a mean head (`faces.expression`).
    """

    takes: ClassVar[tuple[Kind, ...]] = ("ibug68",)
    gives: ClassVar[Kind] = "expression"

    rule: Literal["expression"]

    def work_out(self, seen: Seen, best: Seen) -> Floats:
        """See the class."""
        points = seen.value(self.of[0])
        return _told(lambda: to_the_front(points), points, np.full((68, 2), np.nan))


class LightingLabel(Rule):
    """Value: int64, the side that the light comes from (`faces.lighting`)."""

    takes: ClassVar[tuple[Kind, ...]] = ("image", "ibug68")
    gives: ClassVar[Kind] = "label"
    labels: ClassVar[tuple[str, ...]] = get_args(LightSide)

    rule: Literal["lighting"]

    def work_out(self, seen: Seen, best: Seen) -> Value:
        """See the class."""
        points = seen.value(self.of[1])
        return _told(lambda: self._side(seen, points), points, label(NO_LABEL))

    def _side(self, seen: Seen, points: Value) -> Value:
        return label(self.labels.index(lighting(face_region(seen.rgb, points)).side))


def _angles(points: Value) -> Floats:
    pose = pose_from_points(points)
    return np.array([pose.yaw_deg, pose.pitch_deg, pose.roll_deg])


def _told(measure: Callable[[], Value], points: Value, nothing: Value) -> Value:
    """What `measure` gives, or `nothing` where the points are none, or no face's: a broken model
    may put them all in one place, on one line, or anywhere.
    """
    if not (np.abs(points) < _FARTHEST_PX).all():
        return nothing
    try:
        return measure()
    except (ValueError, cv2.error, np.linalg.LinAlgError):
        return nothing
