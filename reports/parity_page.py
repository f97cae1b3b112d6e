"""Comparisons of parity as one HTML file of their own, without a release around them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mirrorset.files import write_text
from reports.charts import Chart
from reports.environment import filled
from reports.explanations import Drawn, WorstImage, take_worst
from reports.judged import Judged, read_judged
from reports.parity_charts import latency_chart

#: Worst images of one comparison: they stand inside the file.
_IMAGES = 6


@dataclass(frozen=True)
class ParityPage:
    """All that the template asks for."""

    title: str
    judged: tuple[Judged, ...]
    latency: Chart | None


def render_parity(
    comparisons: Sequence[Path],
    out: Path,
    title: str,
    credit_of: Mapping[str, str],
    drawn: Mapping[Path, Drawn] | None = None,
) -> Path:
    """Write the comparison.json files as one self-contained file, whole or not at all; return it.

    credit_of: author and licence by image_id; an image without is not shown. drawn: by file the
    worst images of its comparison; by itself those of the explanation beside it. Raises InputError
    naming the file where one is missing or is no comparison.
    """

    def take(_: Path, worst: Drawn) -> Sequence[WorstImage]:
        return list(islice(take_worst(worst, credit_of, _inline), _IMAGES))

    judged = read_judged(comparisons, take, drawn)
    latency = latency_chart([one.comparison for one in judged])
    write_text(out, filled("comparison.html.j2", ParityPage(title, judged, latency)))
    return out


def _inline(_: str, jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
