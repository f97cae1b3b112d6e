"""A comparison as Markdown, for a pull request or a release's notes."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mirrorset.files import write_text
from mirrorset.markup import escaped
from parity.lines import HEADINGS, VERDICTS, caption, lines, title
from parity.records import Comparison, Confusion


def write_markdown(path: Path, comparison: Comparison) -> None:
    """Write the tables of a comparison, whole or not at all."""
    write_text(path, "\n".join(_text(comparison)) + "\n")


def _text(comparison: Comparison) -> Iterator[str]:
    yield "# Parity"
    yield ""
    for said in (*title(comparison), *caption(comparison)):
        yield f"- {escaped(said)}"
    yield ""
    yield from _table(
        HEADINGS,
        (
            (
                line.words, line.slice, line.count, line.measured, line.interval, line.limit,
                VERDICTS[line.verdict] if line.verdict else "",
            )
            for line in lines(comparison, has_details=True)
        ),
    )  # fmt: skip
    for confusion in comparison.confusions:
        yield from _confusion(confusion)


def _confusion(confusion: Confusion) -> Iterator[str]:
    yield ""
    yield f"## {escaped(confusion.output)}: {confusion.rows} to {confusion.columns}"
    yield ""
    yield from _table(
        ("", *confusion.used),
        ((word, *map(str, counts)) for word, counts in confusion.table.items()),
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(headings)
    yield _row(["---"] * len(headings))
    for row in rows:
        yield _row([escaped(cell) for cell in row])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
