import json

import pytest
from pydantic import TypeAdapter, ValidationError

from crawlers.presets import expanded, names, preset
from crawlers.sources import Start
from mirrorset.errors import SettingsError

# How each source may be entered: exactly one of these.
WAYS_IN = {
    "commons": {"search", "category"},
    "flickr": {"tags", "text"},
    "openverse": {"query"},
}
GALLERY = {"source": "gallery", "url": "https://example.org/sitemap.xml"}


@pytest.mark.parametrize("name", names())
def test_every_start_of_a_preset_names_its_source_and_one_way_in(name: str) -> None:
    for start in preset(name):
        assert len(WAYS_IN[start["source"]] & start.keys()) == 1
        assert len(start.keys() - {"shows_author"}) == 2
        assert TypeAdapter(Start).validate_python(start).source == start["source"]


@pytest.mark.parametrize("name", names())
def test_nothing_is_asked_twice(name: str) -> None:
    asked = [json.dumps(start).casefold() for start in preset(name)]
    assert len(set(asked)) == len(asked)


def test_selfies_are_looked_for_at_every_source_in_several_scripts() -> None:
    starts = preset("selfie")
    for source in WAYS_IN:
        found = [one for one in starts if one["source"] == source]
        words = json.dumps(found, ensure_ascii=False).casefold()
        for word in ("selfie", "selbstporträt", "autorretrato", "селфи", "自撮り", "셀카"):
            assert word in words, f"{source} lacks {word}"


def test_every_search_for_selfies_says_that_they_show_their_author() -> None:
    assert all(TypeAdapter(Start).validate_python(start).shows_author for start in preset("selfie"))


def test_a_preset_stands_among_other_sources() -> None:
    selfies = preset("selfie")
    assert expanded([GALLERY, {"preset": "selfie"}]) == (GALLERY, *selfies)
    flickr = expanded([{"preset": "selfie", "only": ["flickr"]}, GALLERY])
    assert flickr == (*(one for one in selfies if one["source"] == "flickr"), GALLERY)
    assert expanded([None, "preset"]) == (None, "preset")


def test_what_a_preset_lacks_is_said() -> None:
    with pytest.raises(SettingsError, match=r"no crawl preset 'selfy'; there are selfie\."):
        expanded([{"preset": "selfy"}])
    with pytest.raises(SettingsError, match="no source 'flikr'; it has commons, flickr, openverse"):
        expanded([{"preset": "selfie", "only": ["flikr"]}])
    with pytest.raises(ValidationError, match="limit"):
        expanded([{"preset": "selfie", "limit": 3}])
