"""Comparisons with what a page draws of them."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.charts import Chart
from reports.comparisons import WORST_FIRST, Comparison, read_comparison
from reports.explanations import (
    Explanation,
    WorstImage,
    explanation_of,
    read_explanation,
    take_worst,
)
from reports.parity_charts import slices_chart
from reports.shown import Row


@dataclass(frozen=True)
class Judged:
    """One comparison. explanation: why its run departs, where that was looked into.

    pictures: folder of the worst images' pictures, relative to the page.
    """

    comparison: Comparison
    slices: Chart | None
    explanation: Explanation | None
    worst: tuple[WorstImage, ...] = ()
    pictures: str = ""


def read_judged(
    paths: Sequence[Path], beside: Path | None = None, rows: Mapping[str, Row] | None = None
) -> tuple[Judged, ...]:
    """The comparisons in `paths`, those that failed first, each with the explanation beside it.

    beside: the page's folder, which gets the pictures of the worst images that `rows` tells the
    authors of; without it there are none. Raises InputError naming a file that is missing or is
    none.
    """
    judged = []
    for path in paths:
        comparison, why = read_comparison(path), explanation_of(path)
        explanation = read_explanation(why) if why.is_file() else None
        worst: Sequence[WorstImage] = ()
        pictures = ""
        if explanation is not None and beside is not None:
            out = beside / "worst" / path.stem
            worst = take_worst(explanation, why.parent, out, rows or {})
            pictures = out.relative_to(beside.parent).as_posix()
        chart = slices_chart(comparison)
        judged.append(Judged(comparison, chart, explanation, tuple(worst), pictures))
    return tuple(sorted(judged, key=lambda one: _rank(one.comparison)))


def clear_worst(beside: Path, judged: Sequence[Judged]) -> None:
    """Remove the pictures of worst images that no comparison of the page has any more."""
    kept = {Path(one.pictures).name for one in judged if one.worst}
    for folder in (beside / "worst").glob("*"):
        if folder.name not in kept:
            shutil.rmtree(folder)
    if not kept and (beside / "worst").exists():
        (beside / "worst").rmdir()


def _rank(comparison: Comparison) -> int:
    if comparison.verdict is None:
        return len(WORST_FIRST)
    return WORST_FIRST.index(comparison.verdict[0])
