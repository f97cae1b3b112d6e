"""Licences as they occur, what each allows, and that unknown ones are never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorset.licences import normalise, refusal
from mirrorset.records import IntendedUse, Licence, Reason


@pytest.mark.parametrize(
    ("text", "code", "version"),
    [
        ("CC BY-SA 4.0", "CC-BY-SA", "4.0"),
        ("cc-by-sa-3.0-de", "CC-BY-SA", "3.0"),
        ("Creative Commons BY-NC-SA 2.0 license", "CC-BY-NC-SA", "2.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/2.0/", "CC-BY-NC-SA", "2.0"),
        ("http://creativecommons.org/licenses/by/3.0/deed.en", "CC-BY", "3.0"),
        ("Creative Commons Attribution-Share Alike 4.0 International", "CC-BY-SA", "4.0"),
        ("Creative Commons Attribution-NonCommercial-NoDerivs 2.0", "CC-BY-NC-ND", "2.0"),
        ("CC BY-ND 2.0", "CC-BY-ND", "2.0"),
        ("CC0", "CC0", "1.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/deed.de", "CC0", "1.0"),
        ("Public domain", "PD", ""),
        ("PD US Government", "PD", ""),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "PD", ""),
    ],
)
def test_spellings_that_occur(text: str, code: str, version: str) -> None:
    licence = normalise(text)
    assert licence is not None
    assert (licence.code, licence.version) == (code, version)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "All rights reserved",
        "Copyright",
        "free to use",
        "CC",
        "CC BY",
        "GFDL",
        "by-sa",
        "not in the public domain",
        "CC BY-SA-ND 4.0",
    ],
)
def test_anything_else_is_unknown(text: str) -> None:
    assert normalise(text) is None


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    assert normalise(text) is None or isinstance(normalise(text), Licence)


@pytest.mark.parametrize(
    ("text", "use", "reason"),
    [
        ("CC BY 4.0", "commercial", None),
        ("CC BY-SA 4.0", "commercial", None),
        ("CC BY-NC 4.0", "research", None),
        ("CC BY-NC 4.0", "commercial", Reason.NON_COMMERCIAL),
        ("CC BY-ND 4.0", "research", Reason.NO_DERIVATIVES),
        ("CC BY-NC-ND 4.0", "commercial", Reason.NO_DERIVATIVES),
        ("CC0", "commercial", None),
        ("Public domain", "commercial", None),
    ],
)
def test_what_each_allows(text: str, use: IntendedUse, reason: Reason | None) -> None:
    licence = normalise(text)
    assert licence is not None
    assert refusal(licence, use) == reason
