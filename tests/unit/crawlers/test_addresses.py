import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy import Request

from crawlers.addresses import web_address
from crawlers.sources.gallery import page_id


@pytest.mark.parametrize(
    "address",
    ["", "mailto:a@b.org", "http://", "http://[::1", "http://h.org:port/", "javascript:x", "//"],
)
def test_what_cannot_be_asked_is_no_address(address: str) -> None:
    assert web_address(address) == ""


@given(st.one_of(st.text(), st.text().map("http://h.org/{}".format), st.text().map("//{}".format)))
def test_every_address_can_be_asked(written: str) -> None:
    if address := web_address(written, "http://example.org/a/"):
        assert Request(address).url.startswith("http")
        assert page_id(address)
