import json

from hypothesis import given
from hypothesis import strategies as st

from crawlers.text import clean, read_json


@given(st.text(st.characters()))
def test_clean_text_can_be_encoded_and_is_otherwise_the_same(text: str) -> None:
    cleaned = clean(text)
    assert "\0" not in cleaned.encode().decode()
    assert cleaned == "".join(c for c in text if c != "\0" and not "\ud800" <= c <= "\udfff")


def test_json_is_clean_at_any_depth() -> None:
    dirty = {"a\ud800": ["b\0", {"c": "d\udfff"}], "n": 1.5, "none": None, "pair": "😀"}
    assert read_json(json.dumps(dirty)) == {
        "a": ["b", {"c": "d"}], "n": 1.5, "none": None, "pair": "😀",
    }  # fmt: skip
