"""What the landmarks tell: head pose, expression, and with the picture the light."""

from typing import ClassVar, Literal, get_args

import numpy as np

from faces.expression import to_the_front
from faces.lighting import lighting
from faces.pose import pose_from_points
from faces.region import face_region
from mirrorset.records import LightSide
from parity.rules.rule import NO_LABEL, Floats, Kind, Rule, Seen, Value


class HeadPose(Rule):
    """Value: (3,) float64, yaw, pitch and roll in degrees as `mirrorset.records.Pose` has them."""

    takes: ClassVar[tuple[Kind, ...]] = ("ibug68",)
    gives: ClassVar[Kind] = "pose"

    rule: Literal["head_pose"]

    def work_out(self, seen: Seen, best: Seen) -> Floats:
        """See the class."""
        points = seen.value(self.of[0])
        if not _is_a_face(points):
            return np.full(3, np.nan)
        pose = pose_from_points(points)
        return np.array([pose.yaw_deg, pose.pitch_deg, pose.roll_deg])


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
        return to_the_front(points) if _is_a_face(points) else np.full((68, 2), np.nan)


class LightingLabel(Rule):
    """Value: int64, the side that the light comes from (`faces.lighting`)."""

    takes: ClassVar[tuple[Kind, ...]] = ("image", "ibug68")
    gives: ClassVar[Kind] = "label"
    labels: ClassVar[tuple[str, ...]] = get_args(LightSide)

    rule: Literal["lighting"]

    def work_out(self, seen: Seen, best: Seen) -> Value:
        """See the class."""
        points = seen.value(self.of[1])
        if not _is_a_face(points):
            return np.int64(NO_LABEL)
        side = lighting(face_region(seen.rgb, points)).side
        return np.int64(self.labels.index(side))


def _is_a_face(points: Value) -> bool:
    """Whether there are points, and not all in one place."""
    return bool(np.isfinite(points).all() and np.ptp(points, axis=0).all())
