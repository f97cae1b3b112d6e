"""Comparisons of parity as one HTML file of their own, without a release around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mirrorset.files import write_text
from reports.comparisons import Comparison, read_comparison
from reports.environment import filled


@dataclass(frozen=True)
class ParityPage:
    """All that the template asks for."""

    title: str
    comparisons: tuple[Comparison, ...]


def render_parity(comparisons: Sequence[Path], out: Path, title: str) -> Path:
    """Write the comparison.json files as a self-contained page, whole or not at all; return `out`.

    Raises InputError naming the file where one is missing or is no comparison.
    """
    page = ParityPage(title, tuple(map(read_comparison, comparisons)))
    write_text(out, filled("comparison.html.j2", page))
    return out
