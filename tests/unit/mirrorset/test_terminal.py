"""What strangers wrote is shown on a terminal and steers nothing; no secret is."""

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from mirrorset.terminal import Terminal, echo, echo_json, legible

_HOSTILE = "Ann\x1b[31m\x1b]0;pwned\x07\u202eeve\n  licence  CC0\r\x9b2J\u2028"
_SHOWN = r"Ann\x1b[31m\x1b]0;pwned\x07\u202eeve\n  licence  CC0\r\x9b2J\u2028"
_STEERS = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printed(part: object) -> str:
    console = Terminal(width=200, file=io.StringIO(), record=True)
    console.print(part)
    return console.export_text()


@given(st.text(st.characters(), max_size=60))
def test_nothing_that_steers_is_left(text: str) -> None:
    shown = legible(text)
    assert not _STEERS.search(shown)
    assert "\n" not in shown
    shown.encode()


@pytest.mark.parametrize("name", ["Ann O'Nym", "علی‌رضا", "山田　太郎", "Ünal [b] :smile:", r"a\nb"])
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert legible(name) == name
    assert printed(name) == f"{name}\n"


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    echo(f"author  {_HOSTILE}", "licence  CC BY 4.0")
    echo(_HOSTILE, is_error=True)
    said = capsys.readouterr()
    assert said.out == f"author  {_SHOWN}\nlicence  CC BY 4.0\n"
    assert said.err == f"{_SHOWN}\n"


def test_tables_show_no_more_than_lines_do() -> None:
    table = Table(_HOSTILE, "other", title=_HOSTILE, box=None)
    table.add_row("[/] [link=http://evil.example]x[/link] :bomb:", Text(f"note {_HOSTILE}"))
    shown = printed(table)
    assert not _STEERS.search(shown)
    assert shown.count(r"Ann\x1b[31m\x1b]0;pwned\x07\u202eeve\n") == 2
    assert shown.count(r"\x1b]0;") == 3
    assert "[/] [link=http://evil.example]x[/link] :bomb:" in shown


@pytest.mark.parametrize("part", [str, Text])
def test_no_secret_is_shown(part: type) -> None:
    said = part("s3://KEYID:planted-s3-url-77@good/orig does not answer")
    assert printed(said) == "s3://KEYID:***@good/orig does not answer\n"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_json_means_the_same(text: str) -> None:
    import contextlib

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        echo_json(json.dumps({"author": text}, indent=2, ensure_ascii=False))
    assert json.loads(out.getvalue()) == {"author": text}
    assert not _STEERS.search(out.getvalue())
