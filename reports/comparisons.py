"""Parity's comparison.json files, as far as a page shows them (docs/parity.md has the layout)."""

from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mirrorset.errors import InputError, first_fault
from mirrorset.records import ParityKey

Outcome = Literal["pass", "fail", "not_enough_evidence"]

_OUTCOMES: dict[Outcome, str] = {
    "fail": "✗ fail",
    "pass": "✓ pass",
    "not_enough_evidence": "? not enough evidence",
}
_REVIEW = {
    "unreviewed": "unreviewed labels: no person has checked them",
    "partly_reviewed": "labels of which people have checked a part",
    "reviewed": "labels that people have checked",
}
_METRICS = {
    "tensor_max_abs": "Largest deviation of output",
    "nme_to_reference": "NME to the reference",
    "displacement_px": "Displacement",
    "nme_increase": "NME added against labels",
    "presence_flip_share": "Face seen by one run only",
    "latency_ratio": "Latency ratio",
}
_SHARES = {"nme_to_reference", "nme_increase", "presence_flip_share"}


class _Read(BaseModel):
    """A part of a comparison; fields that the page does not show are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Estimate(_Read):
    """A value with its interval [low, high]."""

    value: float
    low: float
    high: float


class TensorDeviation(_Read):
    """Deviation of one output over all images; cosine is the lowest of any image."""

    output: str
    max_abs: float
    mean_abs: float
    cosine: float | None


class SliceRow(_Read):
    """Measures of one slice ("all" or "axis=cell"), None where it has too few images."""

    slice: str
    count: int
    is_enough: bool
    nme_to_reference: Estimate | None = None
    displacement_px: Estimate | None = None
    reference_nme: Estimate | None = None
    candidate_nme: Estimate | None = None
    nme_increase: Estimate | None = None
    presence_flip_share: Estimate | None = None

    @property
    def words(self) -> str:
        return self.slice.replace("=", ": ").replace("_", " ")


class Gate(_Read):
    """A limit on a metric; output names the tensor where the metric is about one."""

    metric: str
    limit: float
    output: str = ""

    @property
    def words(self) -> str:
        metric = _METRICS.get(self.metric, self.metric)
        return f"{metric} {self.output}".rstrip()

    def measure(self, value: float) -> str:
        """`value` in the metric's own unit."""
        if self.metric in _SHARES:
            return percent(value)
        return f"{number(value)} px" if self.metric == "displacement_px" else number(value)


class GateVerdict(_Read):
    """What a gate said of one slice."""

    gate: Gate
    slice: str
    count: int
    measured: Estimate | None
    verdict: Outcome

    @property
    def words(self) -> str:
        return _OUTCOMES[self.verdict]

    @property
    def slice_words(self) -> str:
        return self.slice.replace("=", ": ").replace("_", " ")


class Latency(_Read):
    """Time of one inference in ms."""

    median_ms: float


class Net(_Read):
    """What ran as one network of the chain."""

    net: str
    reference: ParityKey
    candidate: ParityKey
    reference_latency: Latency | None = None
    candidate_latency: Latency | None = None


class Comparison(_Read):
    """Two runs on one pack, side by side."""

    release: str
    version: str
    chain: str
    review_state: str
    count: int
    nets: tuple[Net, ...]
    tensors: tuple[TensorDeviation, ...]
    slices: tuple[SliceRow, ...]
    gates: tuple[GateVerdict, ...]

    @property
    def title(self) -> str:
        """What ran against what: "LiteRT xnnpack against LiteRT reference"."""
        candidates, references = (
            ", ".join(dict.fromkeys(f"{key.runtime} {key.kernel}" for key in keys))
            for keys in ([net.candidate for net in self.nets], [net.reference for net in self.nets])
        )
        return f"{candidates} against {references}"

    @property
    def review_words(self) -> str:
        return _REVIEW.get(self.review_state, self.review_state)

    @property
    def tally(self) -> list[tuple[Outcome, str]]:
        """How many gates said what, failures first: ("fail", "✗ fail (1)")."""
        counts = Counter(verdict.verdict for verdict in self.gates)
        return [
            (outcome, f"{words} ({counts[outcome]})")
            for outcome, words in _OUTCOMES.items()
            if counts[outcome]
        ]


def read_comparison(path: Path) -> Comparison:
    """The comparison in `path`.

    Raises InputError naming the file and the field.
    """
    try:
        return Comparison.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run `mirrorset parity compare` first.") from None
    except ValidationError as error:
        where, fault = first_fault(error)
        raise InputError(
            f"{path} is not a parity comparison: {where or 'the file'}: {fault}."
        ) from None


def number(value: float | None) -> str:
    """Three significant digits, or an en dash for None."""
    return "–" if value is None else f"{value:.3g}"


def percent(share: float) -> str:
    """A share as percent with three significant digits; under 0.0005 % it is "≈0 %"."""
    if 0 < abs(share) < 5e-6:
        return "≈0 %"
    return f"{100 * share:.3g} %"
