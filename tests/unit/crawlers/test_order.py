from pathlib import Path

import pytest
from pydantic import ValidationError

from crawlers.order import CrawlOrder, ShardOrder
from crawlers.settings import scrapy_settings
from crawlers.sources.commons import CommonsStart
from crawlers.sources.gallery import GalleryStart


@pytest.fixture
def order(tmp_path: Path) -> CrawlOrder:
    return CrawlOrder(
        start=GalleryStart(url="https://example.org/sitemap.xml"),
        intended_use="research",
        catalogue_url=f"sqlite:///{tmp_path}/catalogue.sqlite",
        blobs_url=str(tmp_path / "blobs"),
        log=tmp_path / "crawl.log",
        contact="crawl@example.org",
    )


def test_an_order_survives_its_file(order: CrawlOrder) -> None:
    changes = {"start": CommonsStart(category="Portraits"), "limit": 3, "shards": 2}
    networks = CrawlOrder(**{**dict(order), "allow_addresses": ("127.0.0.0/8", "fd00::/8")})
    for each in (order, order.model_copy(update=changes), networks):
        assert CrawlOrder.model_validate_json(each.model_dump_json()) == each
        shard = ShardOrder(order=each, run=2, index=1)
        assert ShardOrder.model_validate_json(shard.model_dump_json()) == shard


def test_every_request_says_who_asks(order: CrawlOrder) -> None:
    assert order.signed_user_agent == f"{order.user_agent} (+crawl@example.org)"
    assert order.robots_agent == order.terms.robots_agent == "mirrorset"
    settings = scrapy_settings(ShardOrder(order=order, run=1))
    assert settings["USER_AGENT"] == order.signed_user_agent


@pytest.mark.parametrize("contact", ["", "me"])
def test_a_contact_that_leads_nowhere_is_refused(order: CrawlOrder, contact: str) -> None:
    with pytest.raises(ValidationError, match="contact must be"):
        CrawlOrder.model_validate({**order.model_dump(), "contact": contact})


@pytest.mark.parametrize("network", ["127.0.0.1/8", "localhost", "10.0.0.0/33"])
def test_a_network_that_is_none_is_refused(order: CrawlOrder, network: str) -> None:
    with pytest.raises(ValidationError, match="allow_addresses"):
        CrawlOrder.model_validate({**order.model_dump(), "allow_addresses": [network]})


def test_commons_starts_from_one_way_in() -> None:
    for wrong in ({}, {"search": "a", "category": "b"}, {"search": "a", "user": "b"}):
        with pytest.raises(ValidationError, match="a search, a category or a user"):
            CommonsStart(**wrong)


def test_a_broken_link_pattern_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        GalleryStart(url="http://example.org/", link_pattern="(")


def test_nothing_listens_and_certificates_are_checked(order: CrawlOrder) -> None:
    settings = scrapy_settings(ShardOrder(order=order, run=1))
    assert set(settings["EXTENSIONS_BASE"]) == {"scrapy.extensions.throttle.AutoThrottle"}
    assert settings["DOWNLOAD_VERIFY_CERTIFICATES"] is True


def test_only_http_is_spoken_and_only_behind_the_guard(order: CrawlOrder) -> None:
    settings = scrapy_settings(ShardOrder(order=order, run=1))
    spoken = {scheme: by for scheme, by in settings["DOWNLOAD_HANDLERS"].items() if by}
    assert set(spoken) == {"http", "https"}
    assert all("Guarded" in by for by in spoken.values())
    used = {**settings["DOWNLOADER_MIDDLEWARES_BASE"], **settings["DOWNLOADER_MIDDLEWARES"]}
    assert not any("cookies" in name or "httpproxy" in name for name in used)
