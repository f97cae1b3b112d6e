"""A comparison for the terminal: lines of at most 80 columns."""

from collections.abc import Iterable, Iterator

from rich.console import Group
from rich.text import Text

from parity.lines import VERDICTS, Line, caption, lines, title
from parity.records import Comparison, Confusion, Outcome

_SAID: dict[Outcome, tuple[str, str]] = {
    "pass": ("pass", "green"),
    "fail": ("FAIL", "bold red"),
    "not_enough_evidence": ("open", "yellow"),
}
_HEADINGS = Line("", "slice", "images", "measured", "95 % interval", "limit", None)


def render(comparison: Comparison) -> Group:
    """One line a measure and slice, what gates say first; then the labels that flipped."""
    parts = [Text(each) for each in (*title(comparison), "", *caption(comparison), "")]
    parts.append(_row(_HEADINGS))
    # Words and slices are no markup, whatever stands in them.
    for (words, _), group in _by_measure(lines(comparison, has_details=False)).items():
        parts.append(Text(words, "bold" if group[0].slice else "bold red"))
        parts += [_row(line) for line in group if line.slice]
    flipped = [one for one in comparison.confusions if one.rows == "reference" and one.has_flips]
    return Group(
        *parts, *(Text(each) for one in flipped for each in _flips(one)), _summary(comparison)
    )


def _by_measure(told: Iterable[Line]) -> dict[tuple[str, bool], list[Line]]:
    """The lines of each measure together, those of gates apart from the others."""
    groups: dict[tuple[str, bool], list[Line]] = {}
    for line in told:
        groups.setdefault((line.words, line.verdict is None), []).append(line)
    return groups


def _row(line: Line) -> Text:
    said, style = _SAID[line.verdict] if line.verdict else ("", "")
    told = f"{line.slice:<17}{line.count:>6}{line.measured:>11}{line.interval:>25}{line.limit:>10}"
    return Text.assemble((f"  {said:<6}", style), told)


def _flips(confusion: Confusion) -> Iterator[str]:
    """Which label of the reference's became which."""
    words = confusion.used
    yield ""
    yield f"{confusion.output}, from the reference's label to the candidate's:"
    for word, counts in confusion.table.items():
        for other, count in zip(words, counts, strict=True):
            if count and other != word:
                yield f"  {word} → {other}: {count} of {sum(counts)}"


def _summary(comparison: Comparison) -> Text:
    """What all gates say, and what open means where one is."""
    said = [one.verdict for one in comparison.gates]
    if not said:
        return Text("\nNo gate was set.", "yellow")
    told = ", ".join(f"{said.count(word)} {_SAID[word][0]}" for word in _SAID if word in said)
    is_open = "not_enough_evidence" in said
    more = f" (open: {VERDICTS['not_enough_evidence']})" if is_open else ""
    worst: Outcome = "not_enough_evidence" if is_open else "pass"
    return Text(f"\nGates: {told}{more}", _SAID["fail" if comparison.has_failed else worst][1])
