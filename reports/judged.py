"""Comparisons with what a page draws of them."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.charts import Chart
from reports.comparisons import WORST_FIRST, Comparison, read_comparison
from reports.explanations import (
    Drawn,
    Explanation,
    WorstImage,
    explanation_of,
    read_explanation,
)
from reports.parity_charts import slices_chart

_WORST = "worst"

#: What a page shows of the worst images of the comparison in a file.
Take = Callable[[Path, Drawn], Sequence[WorstImage]]


@dataclass(frozen=True)
class Judged:
    """One comparison. explanation: why its run departs, where that was looked into."""

    comparison: Comparison
    slices: Chart | None
    explanation: Explanation | None
    worst: tuple[WorstImage, ...]


def read_judged(
    paths: Sequence[Path], take: Take, drawn: Mapping[Path, Drawn] | None = None
) -> tuple[Judged, ...]:
    """The comparisons in `paths`, those that failed first, each with the explanation beside it.

    drawn: by path worst images that were drawn, where the explanation's are not meant. Raises
    InputError naming a file that is missing or is none.
    """
    judged = []
    for path in paths:
        comparison, why = read_comparison(path), explanation_of(path)
        explanation = read_explanation(why) if why.is_file() else None
        worst = (drawn or {}).get(path)
        if worst is None and explanation is not None:
            worst = Drawn(why.parent, explanation.worst)
        images = take(path, worst) if worst is not None else ()
        chart = slices_chart(comparison)
        judged.append(Judged(comparison, chart, explanation, tuple(images)))
    return tuple(sorted(judged, key=lambda one: _rank(one.comparison)))


def worst_folder(beside: Path, comparison: Path) -> Path:
    """Where a page whose own folder is `beside` keeps pictures of the worst images."""
    return beside / _WORST / comparison.stem


def worst_pictures(page: Path) -> dict[str, list[Path]]:
    """The pictures of worst images that a page keeps, the worst first, by their comparison."""
    found: dict[str, list[Path]] = {}
    for path in sorted((page.with_suffix("") / _WORST).glob("*/*.jpg")):
        found.setdefault(path.parent.name.removeprefix("comparison-"), []).append(path)
    return found


def clear_worst(beside: Path, judged: Sequence[Judged]) -> None:
    """Remove the pictures of worst images that no comparison of the page has any more."""
    kept = {Path(image.picture).parent.name for one in judged for image in one.worst}
    for folder in (beside / _WORST).glob("*"):
        if folder.name not in kept:
            shutil.rmtree(folder)
    if not kept and (beside / _WORST).exists():
        (beside / _WORST).rmdir()


def _rank(comparison: Comparison) -> int:
    if comparison.verdict is None:
        return len(WORST_FIRST)
    return WORST_FIRST.index(comparison.verdict[0])
