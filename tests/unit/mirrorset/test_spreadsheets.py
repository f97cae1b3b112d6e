"""Words of strangers in tables that a spreadsheet opens."""

import pytest

from mirrorset.spreadsheets import disarmed


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff20"])
def test_what_begins_a_formula_comes_after_an_apostrophe(start):
    formula = f'{start}HYPERLINK("https://example.org";"Ann")'
    assert disarmed(formula) == f"'{formula}"


@pytest.mark.parametrize("field", ["", "Ann", "Ann = Bob", "4", "https://example.org/?a=-1", " -"])
def test_other_words_stay(field):
    assert disarmed(field) == field
