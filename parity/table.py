"""A comparison as a table for the terminal."""

import math
from collections.abc import Iterable, Iterator

from rich.table import Table
from rich.text import Text

from mirrorset.records import ParityKey
from parity.gates import exactly
from parity.records import Comparison, Estimate, GateVerdict, Outcome, SliceRow

_REVIEW = {
    "unreviewed": "labels unreviewed: no person has checked them",
    "partly_reviewed": "labels reviewed in part",
    "reviewed": "labels reviewed",
}
_VERDICTS: dict[Outcome, Text] = {
    "pass": Text("pass", style="green"),
    "fail": Text("FAIL", style="bold red"),
    "not_enough_evidence": Text("not enough evidence", style="yellow"),
}
_MEASURES = {
    "tensor_max_abs": "largest deviation of {output}",
    "nme_to_reference": "NME to the reference",
    "displacement_px": "displacement, px",
    "worst_displacement_px": "farthest point, px",
    "reference_nme": "NME of the reference to the labels",
    "candidate_nme": "NME of the candidate to the labels",
    "nme_increase": "NME added",
    "presence_flip_share": "share with a face in one run only",
    "latency_ratio": "time, as a multiple of the reference's",
}
_SLICED = (
    "nme_to_reference",
    "displacement_px",
    "worst_displacement_px",
    "reference_nme",
    "candidate_nme",
    "nme_increase",
    "presence_flip_share",
)


def render(comparison: Comparison) -> Table:
    """One line a measure and slice: what was measured, the limit and verdict where a gate is set.

    All measures for all images, the NME to the reference for each slice, and whatever else a gate
    looks at.
    """
    table = Table(
        title="\n".join(
            f"{net.net}: {_key(net.candidate)} against {_key(net.reference)}"
            for net in comparison.nets
        )
        or "Nothing ran",
        caption=(
            f"{comparison.release} {comparison.version}, {comparison.count} images; "
            f"{_REVIEW[comparison.review_state]}"
        ),
    )
    for heading in ("measure", "slice"):
        table.add_column(heading)
    for heading in ("images", "measured", "95 % interval", "limit"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict")
    judged: dict[tuple[str, str, str], GateVerdict] = {
        (each.gate.metric, each.gate.output, each.slice): each for each in comparison.gates
    }
    for line in _lines(comparison):
        verdict = judged.pop(line[:3], None)
        table.add_row(*_cells(line, verdict))
    for name, one in comparison.not_runnable.items():
        what = f"{name} cannot run: {one.reason}"
        table.add_row(what, "", "", "", "", "", _VERDICTS["fail"])
    for verdict in judged.values():
        gate = verdict.gate
        line = (gate.metric, gate.output, verdict.slice, verdict.count, verdict.measured)
        table.add_row(*_cells(line, verdict))
    return table


# measure, output, slice, images, measured
_Line = tuple[str, str, str, int, Estimate | None]


def _lines(comparison: Comparison) -> Iterator[_Line]:
    whole, *cells = comparison.slices
    for tensor in comparison.tensors:
        yield "tensor_max_abs", tensor.output, whole.slice, whole.count, exactly(tensor.max_abs)
    for metric in _SLICED:
        rows: Iterable[SliceRow] = (whole, *cells) if metric == "nme_to_reference" else (whole,)
        for row in rows:
            yield metric, "", row.slice, row.count, getattr(row, metric)
    if comparison.latency_ratio is not None:
        ratio = exactly(comparison.latency_ratio)
        yield "latency_ratio", "", whole.slice, whole.count, ratio


def _cells(line: _Line, verdict: GateVerdict | None) -> tuple[str | Text, ...]:
    metric, output, where, count, measured = line
    if verdict is not None:
        said = _VERDICTS[verdict.verdict]
    elif measured is None:
        said = _VERDICTS["not_enough_evidence"]
    else:
        said = Text("")
    return (
        _MEASURES[metric].format(output=output),
        where,
        str(count),
        "" if measured is None else _number(measured.value),
        _interval(measured),
        "" if verdict is None else _number(verdict.gate.limit),
        said,
    )


def _key(key: ParityKey) -> str:
    threads = "1 thread" if key.threads == 1 else f"{key.threads} threads"
    return f"{key.model_sha256[:8]} {key.runtime} {key.kernel} ({threads})"


def _interval(estimate: Estimate | None) -> str:
    # A single image has no interval: its bounds are no numbers.
    if estimate is None or estimate.low == estimate.high or math.isnan(estimate.low):
        return ""
    return f"{_number(estimate.low)} … {_number(estimate.high)}"


def _number(value: float) -> str:
    return f"{value:.3g}"
