"""Landmarks: from a net's output back to the image, and as the scheme that measures read."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from faces.schema import load_schema
from mirrorset.errors import InputError
from mirrorset.geometry import invert, transform
from parity.rules.rule import NO_LABEL, Floats, Kind, Rule, Seen, Value, label


class ImagePoints(Rule):
    """Landmarks of a net, laid back onto the image.

    output: the net's, count × values numbers, x and y first. unit: "px" of the input or "share" of
    its sides; then side_px is needed.

    Value: (count, 2) float64, xy px of the image; NaN where the net had no face to look at. Raises
    InputError where the output holds another number of values.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("net",)
    gives: ClassVar[Kind] = "points"

    rule: Literal["image_points"]
    output: str = "points"
    count: Annotated[int, Field(gt=0)]
    values: Annotated[int, Field(ge=2)] = 3
    unit: Literal["px", "share"] = "px"
    side_px: Annotated[int, Field(gt=0)] = 1

    @property
    def outputs_read(self) -> tuple[str, ...]:
        """See the base."""
        return (self.output,)

    def work_out(self, seen: Seen, best: Seen) -> Floats:
        """See the class."""
        answer = seen.answer(self.of[0])
        rows = np.asarray(answer.outputs[self.output], dtype=np.float64)
        if rows.size != self.count * self.values:
            raise InputError(
                f"The output {self.output} of {self.of[0]} holds {rows.size} values, not "
                f"{self.count} × {self.values}: correct count and values where the chain says "
                "image_points."
            )
        points = rows.reshape(self.count, self.values)[:, :2]
        if not answer.has_run:
            return np.full_like(points, np.nan)
        scale = 1 if self.unit == "px" else self.side_px
        return transform(points * scale, invert(answer.transform))


class Presence(Rule):
    """Whether a net says that it sees a face: its raw output is above `threshold`.

    Value: int64, "no" where the net had nothing to look at, -1 where its answer is no number.
    Raises InputError where the output is not one number.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("net",)
    gives: ClassVar[Kind] = "label"
    labels: ClassVar[tuple[str, ...]] = ("no", "yes")

    rule: Literal["presence"]
    output: str = "presence"
    threshold: float = 0.0

    @property
    def outputs_read(self) -> tuple[str, ...]:
        """See the base."""
        return (self.output,)

    def work_out(self, seen: Seen, best: Seen) -> Value:
        """See the class."""
        answer = seen.answer(self.of[0])
        said = np.asarray(answer.outputs[self.output])
        if said.size != 1:
            raise InputError(
                f"The output {self.output} of {self.of[0]} holds {said.size} values, and presence "
                "is one: name another output where the chain says presence."
            )
        score = float(said.reshape(()))
        if not answer.has_run:
            return label(0)
        return label(score > self.threshold if np.isfinite(score) else NO_LABEL)


class Ibug68(Rule):
    """The points of the scheme ibug68, derived from those of another, or the net's own.

    Value: (68, 2) float64, xy px of the image.
    """

    takes: ClassVar[tuple[Kind, ...]] = ("points",)
    gives: ClassVar[Kind] = "ibug68"

    rule: Literal["ibug68"]
    source: Literal["mesh478", "face106", "ibug68"] = "mesh478"

    def work_out(self, seen: Seen, best: Seen) -> Floats:
        """See the class."""
        points = seen.value(self.of[0])
        if self.source == "ibug68":
            return points
        return load_schema("ibug68").derive(points, self.source)
