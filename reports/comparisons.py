"""Parity's comparison.json files, as far as a page shows them (docs/parity.md has the layout)."""

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from mirrorset.errors import InputError, first_fault
from mirrorset.records import ParityKey

Outcome = Literal["pass", "fail", "not_enough_evidence"]

_OUTCOMES: dict[Outcome, str] = {
    "fail": "✗ fail",
    "pass": "✓ pass",
    "not_enough_evidence": "? not enough evidence",
}
WORST_FIRST: tuple[Outcome, ...] = ("fail", "not_enough_evidence", "pass")
_REVIEW = {
    "unreviewed": "unreviewed labels: no person has checked them",
    "partly_reviewed": "labels of which people have checked a part",
    "reviewed": "labels that people have checked",
}


_UNITS = {"deg": "°"}


class _Read(BaseModel):
    """A part of a comparison; fields that the page does not show are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Estimate(_Read):
    """A value with its interval [low, high]."""

    value: float
    low: float
    high: float


class Measure(_Read):
    """What figures are of, as the comparison's own table has it."""

    name: str
    words: str
    unit: str
    is_high_good: bool
    place: str

    def measure(self, value: float) -> str:
        """`value` in its own unit."""
        if self.unit == "share":
            return percent(value)
        return f"{number(value)}{_UNITS.get(self.unit, f' {self.unit}')}".rstrip()

    def bare(self, value: float) -> str:
        """The same without the unit."""
        return percent(value).removesuffix(" %") if self.unit == "share" else number(value)


class Figure(_Read):
    """A measure of one slice; output is what it is of, "" for the whole chain."""

    metric: str
    output: str
    slice: str
    count: int
    estimate: Estimate | None


class SliceRow(_Read):
    """A slice, "all" or "axis=cell"; with too few images it has no figures."""

    slice: str
    count: int
    is_enough: bool

    @property
    def words(self) -> str:
        return _slice_words(self.slice)


class Confusion(_Read):
    """How often a label of one was which label of the other."""

    output: str
    rows: str
    columns: str
    words: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def places(self) -> list[int]:
        """The words that occur, by their place."""
        whole = np.array(self.counts)
        return list(np.flatnonzero(whole.sum(axis=0) + whole.sum(axis=1)))


class Gate(_Read):
    """A limit on a metric, or `times` what the reference itself has."""

    metric: str
    limit: float | None
    times: float | None


class GateVerdict(_Read):
    """What a gate said of one slice."""

    gate: Gate
    output: str
    slice: str
    count: int
    measured: Estimate | None
    verdict: Outcome

    @property
    def words(self) -> tuple[str, str]:
        """A sign, and what it means."""
        sign, _, words = _OUTCOMES[self.verdict].partition(" ")
        return sign, words

    @property
    def slice_words(self) -> str:
        return _slice_words(self.slice)


class OtherPack(_Read):
    """What the candidate ran on, where that is another pack than the reference's."""

    release: str
    version: str
    count: int
    left_out: dict[str, str]


class NotRunnable(_Read):
    """Why a model file cannot run."""

    reason: str


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
    """Two runs side by side, on the items that both hold.

    run: the candidate's name, without the chain's.
    """

    run: str = ""
    release: str
    version: str
    other_pack: OtherPack | None
    chain: str
    review_state: str
    count: int
    reference_count: int
    candidate_count: int
    nets: tuple[Net, ...]
    not_runnable: dict[str, NotRunnable]
    measures: tuple[Measure, ...]
    slices: tuple[SliceRow, ...]
    figures: tuple[Figure, ...]
    confusions: tuple[Confusion, ...]
    gates: tuple[GateVerdict, ...]

    @model_validator(mode="after")
    def _describes_its_measures(self) -> Self:
        named = {one.metric for one in self.figures} | {each.gate.metric for each in self.gates}
        lacking = sorted(named - {one.name for one in self.measures})
        if lacking:
            raise ValueError(f"measures: {lacking[0]} is not among them")
        return self

    @cached_property
    def by_name(self) -> dict[str, Measure]:
        """The measures by their name."""
        return {measure.name: measure for measure in self.measures}

    @property
    def overall(self) -> list[Figure]:
        """The figures of all images, but for details."""
        return [
            figure
            for figure in self.figures
            if figure.slice == "all" and self.by_name[figure.metric].place != "detail"
        ]

    @property
    def headlines(self) -> list[tuple[str, str]]:
        """(metric, output) of what is shown slice by slice."""
        return [
            (one.metric, one.output)
            for one in self.overall
            if self.by_name[one.metric].place == "headline"
        ]

    @cached_property
    def estimates(self) -> dict[tuple[str, str, str], Estimate | None]:
        """By metric, output and slice."""
        return {(one.metric, one.output, one.slice): one.estimate for one in self.figures}

    def words(self, metric: str, output: str) -> str:
        """What is measured of what: "NME to the reference (points)"."""
        words = self.by_name[metric].words
        return words[:1].upper() + words[1:] + (f" ({output})" if output else "")

    @property
    def title(self) -> str:
        """What ran against what: "LiteRT xnnpack against LiteRT reference"."""
        candidates, references = (
            ", ".join(dict.fromkeys(f"{key.runtime} {key.kernel}" for key in keys))
            for keys in ([net.candidate for net in self.nets], [net.reference for net in self.nets])
        )
        return f"{candidates} against {references}" if self.nets else "Nothing ran"

    @property
    def review_words(self) -> str:
        return _REVIEW.get(self.review_state, self.review_state)

    @property
    def verdict(self) -> tuple[Outcome, str] | None:
        """The worst that a gate said, in words, or that a net cannot run; None without gates."""
        told = {gate.verdict for gate in self.gates}
        if self.not_runnable and "fail" not in told:
            return "fail", "✗ cannot run"
        return next(((one, _OUTCOMES[one]) for one in WORST_FIRST if one in told), None)

    @property
    def worst_first(self) -> list[GateVerdict]:
        """What the gates said."""
        return sorted(self.gates, key=lambda gate: WORST_FIRST.index(gate.verdict))

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
        read = Comparison.model_validate_json(path.read_bytes())
        name = path.stem.removeprefix("comparison-").removeprefix(f"{read.chain}-")
        return read.model_copy(update={"run": name})
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run `mirrorset parity compare` first.") from None
    except ValidationError as error:
        where, fault = first_fault(error)
        raise InputError(
            f"{path} is not a parity comparison: {where or 'the file'}: {fault}."
        ) from None


def _slice_words(name: str) -> str:
    return name.replace("=", ": ").replace("_", " ")


def number(value: float | None) -> str:
    """Three significant digits, or an en dash for None."""
    return "–" if value is None else f"{value:.3g}".replace("inf", "∞")


def percent(share: float) -> str:
    """A share as percent with three significant digits; under 0.0005 % it is "≈0 %"."""
    if 0 < abs(share) < 5e-6:
        return "≈0 %"
    return f"{100 * share:.3g} %"
