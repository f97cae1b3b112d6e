"""How far a head's angles lie from the reference's and from the labelled ones."""

from collections.abc import Iterator

import numpy as np

from mirrorset.records import Pose
from parity.both import Both
from parity.columns import Column, Floats, against_labels, counted
from parity.measures import AXES_OF_POSE


def columns(both: Both, rule: str) -> Iterator[Column]:
    """Absolute differences of yaw, pitch and roll in degrees, 180 at most.

    Where neither run can tell the pose of a face there is no difference to measure.
    """
    before, after = both.values(rule)
    is_seen = both.has_seen(rule)
    is_told = np.isfinite(before).all(axis=1) | np.isfinite(after).all(axis=1)
    is_truth = rule == both.pack.chain.truth.pose
    labels = np.array([_angles(item.pose if is_truth else None) for item in both.items])
    for place, axis in enumerate(AXES_OF_POSE):
        apart = _apart(before[:, place], after[:, place])
        yield Column(f"{axis}_to_reference", rule, counted(apart, is_seen & is_told))
        is_labelled = is_seen & ~np.isnan(labels[:, place])
        if is_labelled.any():
            errors_before, errors_after = (
                counted(_apart(angles[:, place], labels[:, place]), is_labelled)
                for angles in (before, after)
            )
            yield from against_labels(f"{axis}_mae", rule, errors_before, errors_after)


def _angles(pose: Pose | None) -> tuple[float, float, float]:
    return (pose.yaw_deg, pose.pitch_deg, pose.roll_deg) if pose else (np.nan, np.nan, np.nan)


def _apart(a_deg: Floats, b_deg: Floats) -> Floats:
    return np.asarray(np.abs((a_deg - b_deg + 180) % 360 - 180))
