"""Tables in Markdown of what was crawled or computed: no text of others becomes markup."""

from collections.abc import Iterable, Mapping

from mirrorset.markup import escaped


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table, every cell of it escaped."""
    names = list(head)
    lines = [_row(names), _row_of(["---"] * len(names)), *map(_row, rows)]
    return "\n".join(lines)


def table_of(counts: Mapping[str, int]) -> str:
    """Counts by name; "rejected.too_small" is a rejection by its reason."""
    return table(("what", "count"), counts.items())


def _row(cells: Iterable[object]) -> str:
    return _row_of(escaped(str(cell)) for cell in cells)


def _row_of(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
