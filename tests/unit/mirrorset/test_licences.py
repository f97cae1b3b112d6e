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
        ("https://creativecommons.org/licenses/by/4.0/?ref=chooser-v1", "CC-BY", "4.0"),
        ("www.creativecommons.org/licenses/by-sa/4.0/legalcode", "CC-BY-SA", "4.0"),
        ("Licensed under the CC BY 4.0 license.", "CC-BY", "4.0"),
        ("Creative Commons Attribution-ShareAlike 4.0 (CC BY-SA 4.0)", "CC-BY-SA", "4.0"),
        (
            "This work is licensed under a Creative Commons Attribution-NonCommercial 4.0 "
            "International License. To view a copy of this license, visit "
            "http://creativecommons.org/licenses/by-nc/4.0/.",
            "CC-BY-NC",
            "4.0",
        ),
        ("CC0 1.0 Universal", "CC0", "1.0"),
        ("Creative Commons Zero, Public Domain Dedication", "CC0", "1.0"),
        ("Public Domain Mark 1.0", "PD", ""),
        ("PD-USGov-NASA", "PD", ""),
        ("PD-old-100-expired", "PD", ""),
        ("PD-self", "PD", ""),
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
        # A name or an address, and words that take it back.
        "CC BY 4.0 NC ND",
        "CC-BY 4.0-ND",
        "CC BY 4.0 ND",
        "CC BY 2.0 NoDerivs",
        "CC BY 4.0, no derivatives",
        "CC-BY-3.0-DE-nd",
        "CC BY 4.0 de",
        "Creative Commons Attribution 4.0 NonCommercial",
        "Creative Commons Attribution 4.0 International, NonCommercial use only",
        "Creative Commons Attribution-NonCommercial 4.0 (CC BY 4.0)",
        "https://creativecommons.org/licenses/by/4.0-nd",
        "https://creativecommons.org/licenses/by/4.0/deed.en nd",
        "not CC BY 4.0",
        "This is not licensed under CC BY 4.0",
        "formerly CC BY 2.0, now all rights reserved",
        "All rights reserved. Text: CC BY-SA 4.0",
        "Licensed CC BY 4.0 except portraits (all rights reserved)",
        "CC BY 4.0 (all rights reserved)",
        "https://notcreativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org.example/licenses/by/4.0/",
        "https://evil.com/?x=creativecommons.org/licenses/by/4.0",
        "CC BY-\u017fa 4.0",
        "PD not proven",
        "PD - not public domain in Germany",
        "pd disputed",
        "PD-notPD",
        "PD-author|All rights reserved",
        "Creative Commons 0 rights: all rights reserved",
        "CC0-1.0 with restrictions",
        "https://creativecommons.org/publicdomain/zero/1.0/ "
        "https://creativecommons.org/licenses/by-nd/4.0/",
        "CC0 for the text, CC BY-ND 4.0 for the photographs",
    ],
)
def test_anything_else_is_unknown(text: str) -> None:
    assert normalise(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "http://creativecommons.org/licenses/by-sa/3.0/de/deed.en",
        "cc-by-sa-3.0-de",
        "CC BY-SA 3.0 DE",
        "Creative Commons Attribution-Share Alike 3.0 de",
    ],
)
def test_a_port_stays_in_the_address(text: str) -> None:
    assert normalise(text) == Licence(
        code="CC-BY-SA",
        version="3.0",
        url="https://creativecommons.org/licenses/by-sa/3.0/de/",
    )


@given(
    st.sampled_from(["CC BY 4.0", "CC0", "PD", "https://creativecommons.org/licenses/by/4.0/"]),
    st.text(min_size=1, max_size=30).filter(lambda text: text.strip(" .").isalpha()),
)
def test_words_beside_a_licence_make_it_unknown(name: str, words: str) -> None:
    assert normalise(f"{words} {name}") is None
    assert normalise(f"{name}, {words}") is None


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
