"""Comparisons of parity as one HTML file of their own, without a release around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mirrorset.files import write_text
from reports.charts import Chart
from reports.environment import filled
from reports.judged import Judged, read_judged
from reports.parity_charts import latency_chart


@dataclass(frozen=True)
class ParityPage:
    """All that the template asks for."""

    title: str
    judged: tuple[Judged, ...]
    latency: Chart | None


def render_parity(comparisons: Sequence[Path], out: Path, title: str) -> Path:
    """Write the comparison.json files as a self-contained page, whole or not at all; return `out`.

    It shows no picture: only the release report knows who is to be named with one. Raises
    InputError naming the file where one is missing or is no comparison.
    """
    judged = read_judged(comparisons)
    latency = latency_chart([one.comparison for one in judged])
    write_text(out, filled("comparison.html.j2", ParityPage(title, judged, latency)))
    return out
