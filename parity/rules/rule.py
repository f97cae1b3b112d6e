"""What every rule has: what it reads, what its value holds, and how it is worked out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mirrorset.records import Record

Floats: TypeAlias = NDArray[np.float64]
Value: TypeAlias = NDArray[Any]
# What a stage gives, as far as another may read it. "image": the picture itself.
Kind = Literal[
    "image", "net", "face", "points", "ibug68", "pose", "expression", "label", "mask", "differences"
]

# The label of an item for which there was nothing to judge.
NO_LABEL = -1


@dataclass(frozen=True)
class Answer:
    """What a net said of one item.

    outputs: by name, each without the batch's axis, NaN where the net had nothing to look at.
    transform: (2, 3) image px → input px, NaN there too. elapsed_ms: of the inference alone.
    pixels: the input's bytes in its layout, and tensor what they became, where they were kept.
    """

    outputs: Mapping[str, NDArray[np.float32]]
    transform: Floats
    elapsed_ms: float = 0.0
    pixels: NDArray[np.uint8] | None = None
    tensor: NDArray[Any] | None = None

    @property
    def has_run(self) -> bool:
        """Whether there was anything to look at: the net's region was found."""
        return bool(np.isfinite(self.transform).all())


# What stages gave, by name: an answer of each net, a value of each rule.
Stages: TypeAlias = dict[str, Answer | Value]


def answer_of(stages: Mapping[str, Answer | Value], net: str) -> Answer:
    """What the net `net` said. Raises TypeError where that is a rule."""
    given = stages[net]
    if not isinstance(given, Answer):
        raise TypeError(f"{net} is a rule")
    return given


def value_of(stages: Mapping[str, Answer | Value], rule: str) -> Value:
    """The value of the rule `rule`. Raises TypeError where that is a net."""
    given = stages[rule]
    if isinstance(given, Answer):
        raise TypeError(f"{rule} is a net")
    return given


class Seen:
    """What is known of one item so far: its picture, and what earlier stages gave."""

    def __init__(
        self, decode: Callable[[], NDArray[np.uint8]], stages: Mapping[str, Answer | Value]
    ) -> None:
        self._decode = decode
        self._stages = stages

    def answer(self, stage: str) -> Answer:
        """What the net `stage` said."""
        return answer_of(self._stages, stage)

    def value(self, stage: str) -> Value:
        """The value of the rule `stage`."""
        return value_of(self._stages, stage)

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """The upright picture (H, W, 3) uint8 RGB; decoded when a rule asks for it."""
        return self._decode()


def label(index: int) -> Value:
    """A rule's value that is an index into its labels."""
    return np.array(index, dtype=np.int64)


class Rule(Record, ABC):
    """A pure function of what earlier stages gave, as data: its parameters are its fields.

    of: names of the stages that it reads, of the kinds that `takes` lists. tolerance: values this
    far apart count as equal, in the value's own unit.

    The value is an array of one shape and dtype for every item: float64, int64 (an index into
    `labels`, or -1) or uint8. What cannot be told is NaN, -1 or 0.
    """

    takes: ClassVar[tuple[Kind, ...]]
    gives: ClassVar[Kind]
    labels: ClassVar[tuple[str, ...]] = ()
    is_relative: ClassVar[bool] = False

    of: tuple[str, ...]
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @property
    def outputs_read(self) -> tuple[str, ...]:
        """Names of the outputs that it reads, where it reads a net."""
        return ()

    def __call__(self, seen: Seen, best: Seen) -> Value:
        """As `work_out`; a broken model's infinities are judged, not warned of."""
        with np.errstate(invalid="ignore", over="ignore"):
            return self.work_out(seen, best)

    @abstractmethod
    def work_out(self, seen: Seen, best: Seen) -> Value:
        """The value for the item `seen`; `best` is the best photo's (relative rules alone)."""
