from pathlib import Path

import pytest
from pydantic import ValidationError

from crawlers.order import CommonsStart, CrawlOrder, CrawlSummary, GalleryStart, Tally
from crawlers.settings import scrapy_settings
from mirrorset.records import Reason


def test_an_order_survives_its_file(order: CrawlOrder) -> None:
    commons = order.model_copy(update={"start": CommonsStart(category="Portraits"), "limit": 3})
    for each in (order, commons):
        assert CrawlOrder.model_validate_json(each.model_dump_json()) == each
    assert commons.source == "commons"


def test_every_request_says_who_asks(order: CrawlOrder) -> None:
    assert order.signed_user_agent == f"{order.user_agent} (+crawl@example.org)"
    assert order.robots_agent == "mirrorset"
    assert scrapy_settings(order)["USER_AGENT"] == order.signed_user_agent


@pytest.mark.parametrize("contact", ["", "me"])
def test_a_contact_that_leads_nowhere_is_refused(order: CrawlOrder, contact: str) -> None:
    with pytest.raises(ValidationError, match="contact must be"):
        CrawlOrder.model_validate({**order.model_dump(), "contact": contact})


def test_commons_starts_from_a_search_or_a_category() -> None:
    for wrong in ({}, {"search": "a", "category": "b"}):
        with pytest.raises(ValidationError, match="either a search or a category"):
            CommonsStart(**wrong)


def test_a_broken_link_pattern_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        GalleryStart(url="http://example.org/", link_pattern="(")


def test_unsettled_items_are_counted() -> None:
    tally = Tally(found=5, stored=2, already_known=1, rejected={Reason.ROBOTS: 1})
    assert tally.summary().unsettled == 1
    assert tally.summary().rejected == {Reason.ROBOTS: 1}
    assert CrawlSummary().unsettled == 0


def test_nothing_listens_and_certificates_are_checked(order: CrawlOrder, tmp_path: Path) -> None:
    settings = scrapy_settings(order)
    assert settings["TELNETCONSOLE_ENABLED"] is False
    assert settings["REMOTE_CONTROL_ENABLED"] is False
    assert settings["COOKIES_ENABLED"] is False
    assert settings["DOWNLOAD_VERIFY_CERTIFICATES"] is True
