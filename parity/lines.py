"""What a table of a comparison says, line by line, for whatever shows it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mirrorset.records import ParityKey
from parity.measures import MEASURES
from parity.records import Comparison, Estimate, GateVerdict, Outcome
from parity.slices import ALL

REVIEW = {
    "unreviewed": "labels unreviewed: no person has checked them",
    "partly_reviewed": "labels reviewed in part",
    "reviewed": "labels reviewed",
}
VERDICTS: dict[Outcome, str] = {
    "pass": "pass",
    "fail": "FAIL",
    "not_enough_evidence": "not enough evidence",
}
HEADINGS = ("measure", "slice", "images", "measured", "95 % interval", "limit", "verdict")


@dataclass(frozen=True)
class Line:
    """A measure of a slice. verdict: "" where no gate looks at it."""

    words: str
    slice: str
    count: str
    measured: str
    interval: str
    limit: str
    verdict: Outcome | None


def lines(comparison: Comparison, has_details: bool) -> Iterator[Line]:
    """What all gates say; what was measured of all images, and the headlines of each slice; what
    cannot run. has_details: those measures, too, that are details.
    """
    judged = {
        (one.gate.metric, one.output, one.slice)
        for one in comparison.gates
        if one.gate.times is None
    }
    for verdict in comparison.gates:
        yield _judged(verdict)
    for net, one in comparison.not_runnable.items():
        yield Line(f"{net} cannot run: {one.reason}", "", "", "", "", "", "fail")
    for figure in comparison.figures:
        place = MEASURES[figure.metric].place
        is_shown = place == "headline" or (figure.slice == ALL and (place == "line" or has_details))
        if is_shown and (figure.metric, figure.output, figure.slice) not in judged:
            yield Line(
                _words(figure.metric, figure.output),
                figure.slice,
                str(figure.count),
                _value(figure.estimate),
                _interval(figure.estimate),
                "",
                None,
            )


def title(comparison: Comparison) -> list[str]:
    """What ran against what, a line for each net."""
    return [
        f"{net.net}: {_key(net.candidate)} against {_key(net.reference)}" for net in comparison.nets
    ] or ["Nothing ran"]


def caption(comparison: Comparison) -> list[str]:
    """On which images, under which labels, and what was not compared."""
    counted = f"{comparison.count} images"
    if {comparison.reference_count, comparison.candidate_count} != {comparison.count}:
        counted += (
            f" that both runs hold, of {comparison.reference_count} and "
            f"{comparison.candidate_count}"
        )
    said = [
        f"{comparison.release} {comparison.version}, {counted}; {REVIEW[comparison.review_state]}"
    ]
    other = comparison.other_pack
    if other is not None:
        said.append(
            f"the candidate ran on another pack ({other.pack_digest[:8]}, not "
            f"{comparison.pack_digest[:8]}), of {other.release} {other.version} with "
            f"{other.count} images ({REVIEW[other.review_state]})"
        )
        said += [f"{stage} is not compared: {why}" for stage, why in other.left_out.items()]
    return said


def _judged(verdict: GateVerdict) -> Line:
    gate = verdict.gate
    words = _words(gate.metric, verdict.output)
    if gate.times is not None:
        words += f", beyond {gate.times:g} × the reference's"
    sign = "≥ " if MEASURES[gate.metric].is_high_good else ""
    return Line(
        words,
        verdict.slice,
        str(verdict.count),
        _value(verdict.measured),
        _interval(verdict.measured),
        sign + _number(gate.limit or 0.0),
        verdict.verdict,
    )


def _words(metric: str, output: str) -> str:
    """ "NME to the reference of points, share"."""
    measure = MEASURES[metric]
    unit = f", {measure.unit}" if measure.unit not in ("", "share") else ""
    return measure.words + (f" ({output})" if output else "") + unit


def _key(key: ParityKey) -> str:
    threads = "1 thread" if key.threads == 1 else f"{key.threads} threads"
    return f"{key.model_sha256[:8]} {key.runtime} {key.kernel} ({threads})"


def _interval(estimate: Estimate | None) -> str:
    # A single image has no interval: it may be anything.
    if estimate is None or estimate.low == estimate.high or math.isinf(estimate.high):
        return ""
    return f"{_number(estimate.low)} … {_number(estimate.high)}"


def _value(estimate: Estimate | None) -> str:
    return "" if estimate is None else _number(estimate.value)


def _number(value: float) -> str:
    return f"{value:.3g}"
