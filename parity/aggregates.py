"""A comparison's figures as DVC reads metrics: names within names, and numbers."""

import json
import math
from pathlib import Path
from typing import Any

from mirrorset.files import write_text
from parity.records import Comparison
from parity.slices import ALL


def write_aggregates(path: Path, comparison: Comparison) -> None:
    """Write the figures of all images and the counts of verdicts, whole or not at all."""
    write_text(path, json.dumps(aggregates(comparison), indent=2, sort_keys=True) + "\n")


def aggregates(comparison: Comparison) -> dict[str, Any]:
    """Figures by output and metric, verdicts by outcome, and how many images there are.

    JSON has no infinity: what a broken model gave is the text "Infinity", which `dvc metrics`
    shows and does not reckon with.
    """
    measured: dict[str, Any] = {}
    for figure in comparison.figures:
        if figure.slice == ALL and figure.estimate is not None:
            # DVC takes a dot for the way into a name; outputs have none.
            place = measured.setdefault(figure.output or "chain", {})
            place[figure.metric] = _number(figure.estimate.value)
    said = [verdict.verdict for verdict in comparison.gates]
    return {
        "count": comparison.count,
        "has_failed": int(comparison.has_failed),
        "verdicts": {word: said.count(word) for word in ("pass", "fail", "not_enough_evidence")},
        "measured": measured,
    }


def _number(value: float) -> float | str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(f"{value:.6g}")
