"""The mirror's advice: how a look differs from the best photo, and what to do about it first."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from faces.expression import change_between
from parity.rules.rule import NO_LABEL, Floats, Kind, Rule, Seen, Value, label

# Of the differences: yaw, pitch, roll, mouth, eyes, brows, light.
_POSE, _PARTS, _LIGHT = slice(0, 3), slice(3, 6), 6


class FromBest(Rule):
    """How a face differs from the one on the best photo.

    Value: (7,) float64: yaw, pitch and roll in degrees, this one's minus the best's; mouth, eyes
    and brows as `faces.expression.ExpressionChange`; 1 where the light comes from another side,
    else 0. NaN where one of the two has no face.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("pose", "expression", "label")
    gives: ClassVar[Kind] = "differences"
    is_relative: ClassVar[bool] = True

    rule: Literal["from_best"]

    def work_out(self, seen: Seen, best: Seen) -> Floats:
        """See the class."""
        pose, expression, light = self.of
        change = change_between(seen.value(expression), best.value(expression))
        sides = int(seen.value(light)), int(best.value(light))
        is_other_light = np.nan if NO_LABEL in sides else float(sides[0] != sides[1])
        turn = (seen.value(pose) - best.value(pose) + 180) % 360 - 180
        return np.array([*turn, *change, is_other_light])


Limit = Annotated[float, Field(gt=0)]


class Hint(Rule):
    """What to tell the person, who is to look as on the best photo; left and right are theirs.

    First the head, the angle that is farthest beyond its limit; then the light, which cannot be
    judged on a head that is turned; then what of the face is farthest beyond its own.

    yaw_deg, pitch_deg, roll_deg: how far the head may be from the best photo's. mouth, eyes, brows:
    how far the expression may be: by itself as far as an unchanged one was seen to be
    (docs/measures.md).

    Value: int64; "stay" where all is as on the best photo, -1 where there is no face.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("differences",)
    gives: ClassVar[Kind] = "label"
    labels: ClassVar[tuple[str, ...]] = (
        "stay",
        "turn left",
        "turn right",
        "lift the chin",
        "lower the chin",
        "tilt left",
        "tilt right",
        "face the light",
        "relax the mouth",
        "relax the eyes",
        "relax the brows",
    )

    rule: Literal["hint"]
    yaw_deg: Limit = 8.0
    pitch_deg: Limit = 8.0
    roll_deg: Limit = 6.0
    mouth: Limit = 0.02
    eyes: Limit = 0.02
    brows: Limit = 0.02

    def work_out(self, seen: Seen, best: Seen) -> Value:
        """See the class."""
        differences = seen.value(self.of[0])
        if not np.isfinite(differences).all():
            return label(NO_LABEL)
        return label(self.labels.index(self._hint(differences)))

    def _hint(self, differences: Floats) -> str:
        turn = differences[_POSE] / (self.yaw_deg, self.pitch_deg, self.roll_deg)
        axis = int(np.argmax(np.abs(turn)))
        if abs(turn[axis]) > 1:
            # A nose that points to the image's right has turned to the person's left.
            back = (
                ("turn right", "turn left"),
                ("lower the chin", "lift the chin"),
                ("tilt right", "tilt left"),
            )
            return back[axis][int(turn[axis] < 0)]
        if differences[_LIGHT]:
            return "face the light"
        parts = differences[_PARTS] / (self.mouth, self.eyes, self.brows)
        part = int(np.argmax(parts))
        if parts[part] > 1:
            return ("relax the mouth", "relax the eyes", "relax the brows")[part]
        return "stay"
