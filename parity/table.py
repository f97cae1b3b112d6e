"""A comparison as tables for the terminal."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from parity.lines import HEADINGS, VERDICTS, caption, lines, title
from parity.records import Comparison, Confusion, Outcome

_STYLES: dict[Outcome, str] = {
    "pass": "green",
    "fail": "bold red",
    "not_enough_evidence": "yellow",
}


def render(comparison: Comparison) -> Group:
    """One line a measure and slice, what gates say first, and the labels that flipped."""
    table = Table(title="\n".join(title(comparison)), caption="\n".join(caption(comparison)))
    for heading in HEADINGS[:2]:
        table.add_column(heading)
    for heading in HEADINGS[2:-1]:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(HEADINGS[-1])
    for line in lines(comparison, has_details=False):
        said = Text(VERDICTS[line.verdict], _STYLES[line.verdict]) if line.verdict else ""
        # Slices are no markup, whatever stands in them.
        cells = (line.words, line.slice, line.count, line.measured, line.interval, line.limit)
        table.add_row(*map(Text, cells), said)
    flipped = [one for one in comparison.confusions if one.rows == "reference" and one.has_flips]
    return Group(table, *map(_flips, flipped))


def _flips(confusion: Confusion) -> Table:
    """Which label of the reference's became which."""
    words = confusion.used
    table = Table(title=f"{confusion.output}: from the reference's label to the candidate's")
    table.add_column("")
    for word in words:
        table.add_column(word, justify="right")
    for word, counts in confusion.table.items():
        table.add_row(word, *(str(count) for count in counts))
    return table
