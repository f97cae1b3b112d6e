"""Words of strangers in Markdown, read back by a parser of Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mirrorset.markup import escaped
from mirrorset.records import one_line

_HOSTILE = [
    *("<script>alert(1)</script>", "[x](javascript:alert(1))", "![x](https://a.example/x)", "a|b"),
    *("one\ntwo", "one\rtwo", "`code`", "one\u2028two", "\u202egnp", "# heading", "- item", "+ a"),
    *("1. one", "2) two", "---", "===", "&lt;", "\\\\|", "~~a~~"),
    *("https://a.example", "www.a.example"),
]  # fmt: skip


def _shown(markdown: str) -> list[str]:
    """The text of each token; a token that is more than text fails."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(markdown)
    assert [one.type for one in tokens] in (["paragraph_open", "inline", "paragraph_close"], [])
    parts = [part for one in tokens for part in one.children or []]
    assert {part.type for part in parts} <= {"text", "text_special"}
    return ["".join(part.content for part in parts)]


@pytest.mark.parametrize("text", _HOSTILE)
def test_it_is_shown_as_it_was_written(text: str) -> None:
    assert _shown(escaped(text)) == [one_line(text)]


@given(st.text())
def test_whatever_it_is(text: str) -> None:
    assert _shown(escaped(text)) == [one_line(text)]


@given(st.text())
def test_a_cell_stays_one_cell(text: str) -> None:
    table = f"| a | b |\n| --- | --- |\n| {escaped(text)} | 1 |\n"
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(table)
    assert sum(one.type == "td_open" for one in tokens) == 2
