"""Tables in Markdown of what was crawled or computed: no text of others becomes markup."""

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from mirrorset.markup import escaped


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table, every cell of it escaped."""
    return table_of_cells(head, ([escaped(str(cell)) for cell in row] for row in rows))


def table_of_cells(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are Markdown already."""
    names = [escaped(name) for name in head]
    return "\n".join(map(_row, [names, ["---"] * len(names), *rows]))


def table_of(counts: Mapping[str, int]) -> str:
    """Counts by name; "rejected.too_small" is a rejection by its reason."""
    return table(("what", "count"), counts.items())


def link(text: str, url: str) -> str:
    """A link that ends where its address does, whatever that holds."""
    return f"[{escaped(text)}]({quote(url, safe='/:?&=%~,;@!$+[]#')})"


def picture(text: str, url: str) -> str:
    """A picture, which a browser fetches from its address; text: what is said in its place."""
    return f"!{link(text, url)}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
