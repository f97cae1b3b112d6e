"""Words of strangers in tables that a spreadsheet opens."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorset.spreadsheets import disarmed


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff20"])
def test_what_begins_a_formula_comes_after_an_apostrophe(start):
    formula = f'{start}HYPERLINK("https://example.org";"Ann")'
    shown = formula if start.isprintable() or start == "\n" else f" {formula[1:]}"
    assert disarmed(formula) == f"'{shown}"


@pytest.mark.parametrize("field", ["", "Ann", "Ann = Bob", "4", "https://example.org/?a=-1", " -"])
def test_other_words_stay(field):
    assert disarmed(field) == field


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_a_row_stays_one_row_with_as_many_fields(fields: list[str]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(map(disarmed, fields))
    # What else ends a line ends a row for some readers, also within quotes.
    assert all(one.isprintable() or one == "\n" for one in out.getvalue())
    (row,) = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert row == [disarmed(field) for field in fields]
    assert not any(field.startswith(("=", "+", "-", "@")) for field in row)
