import logging

import pytest

from crawlers.secrets import MaskedFormatter, masked

KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        f"https://api.flickr.com/services/rest/?method=x&api_key={KEY}&page=2",
        f"<GET https://api.flickr.com/services/rest/?API_KEY={KEY}>",
        f"client_secret={KEY}",
        f'"access_token={KEY}"',
    ],
)
def test_a_key_is_never_shown(text: str) -> None:
    assert KEY not in masked(text)
    assert masked(masked(text)) == masked(text)


def test_other_words_stay() -> None:
    text = "GET https://example.org/?page=2&monkey=3"
    assert masked(text) == text


def test_a_log_line_is_masked_with_its_traceback() -> None:
    try:
        raise ValueError(f"api_key={KEY}")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "at api_key=%s", (KEY,), info)
    line = MaskedFormatter("%(message)s").format(record)
    assert KEY not in line
    assert "ValueError" in line
