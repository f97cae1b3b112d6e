"""Where the person is, by a segmentation net."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from parity.rules.rule import Kind, Rule, Seen


class PersonMask(Rule):
    """Value: (H, W) uint8 over the net's input, 1 where the probability reaches min_probability."""

    takes: ClassVar[tuple[Kind, ...]] = ("net",)
    gives: ClassVar[Kind] = "mask"

    rule: Literal["person_mask"]
    output: str = "probability"
    min_probability: float = 0.5

    @property
    def outputs_read(self) -> tuple[str, ...]:
        """See the base."""
        return (self.output,)

    def work_out(self, seen: Seen, best: Seen) -> NDArray[np.uint8]:
        """See the class."""
        probability = seen.answer(self.of[0]).outputs[self.output]
        # A comparison with NaN is false: what is no number is no person.
        return np.asarray(probability.squeeze() >= self.min_probability, dtype=np.uint8)
