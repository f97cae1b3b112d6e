"""A source is asked so often in a day and no more; the rest waits."""

from pathlib import Path

import pytest
from loopback import QUICK, Site, fill_gallery, ordered
from sqlalchemy import create_engine, text
from thorough import thorough

from crawlers.order import CrawlSummary
from crawlers.run import crawl
from crawlers.sources.gallery import GalleryStart

CAP = 30


@pytest.mark.parametrize("shards", [3, *thorough(1)])
def test_what_is_beyond_the_cap_waits_for_another_day(
    site: Site, tmp_path: Path, shards: int
) -> None:
    fill_gallery(site, 40)
    polite = QUICK.model_copy(update={"daily_cap": CAP, "retries": 0})
    start = GalleryStart(url=f"{site.url}/sitemap.xml")
    order = ordered(tmp_path, start, politeness=polite, shards=shards)
    summary = crawl(order)
    # Three files of rules and the first HEAD, then whole entries.
    assert CAP - 4 <= len(site.log) <= CAP + 4
    assert summary.waiting > 0
    assert crawl(order).stored == summary.stored
    assert len(site.log) <= CAP + 8, "the same day: hardly the rules are asked for"

    engine = create_engine(order.catalogue_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE request_counts SET day = '2000-01-01'"))
    engine.dispose()
    without = order.model_copy(update={"politeness": QUICK})
    assert crawl(without) == CrawlSummary(found=40, stored=40)
    assert all(site.gets(f"/i/{n}.jpg") == 1 for n in range(40))
