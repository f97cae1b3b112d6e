"""Tables in Markdown of what was crawled or computed: no text of others becomes markup."""

import re
from collections.abc import Iterable, Mapping

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|&~$:@/])")


def escaped(text: object) -> str:
    """Text of one line that Markdown and HTML show as it is, and that links to nothing."""
    words = " ".join(str(text).split())
    return "".join(one for one in _MARKUP.sub(r"\\\1", words) if one.isprintable()).replace(
        "\\<", "&lt;"
    )


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table, every cell of it escaped."""
    names = list(head)
    lines = [_row(names), _row_of(["---"] * len(names)), *map(_row, rows)]
    return "\n".join(lines)


def table_of(counts: Mapping[str, int]) -> str:
    """Counts by name; "rejected.too_small" is a rejection by its reason."""
    return table(("what", "count"), counts.items())


def _row(cells: Iterable[object]) -> str:
    return _row_of(escaped(cell) for cell in cells)


def _row_of(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
