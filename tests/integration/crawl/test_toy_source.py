"""The recipe of docs/crawl.md, word for word: a source of a few lines, crawled over real HTTP."""

import json
import re
import subprocess
import sys
from pathlib import Path

from loopback import BY, Answer, Site, photograph

from crawlers.order import CrawlSummary
from mirrorset.catalogue import Catalogue
from mirrorset.records import Reason, Sighting

RECIPE = Path(__file__).resolve().parents[3] / "docs" / "crawl.md"

# What crawlers/sources/__init__.py would say, with the new name in it.
BEFORE = """
import json, sys
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

import crawlers.sources
from crawlers.items import Candidate, Refusal, Statement, judge, rejected
from crawlers.source import Answer, Ask, Found, Source, SourceStart

"""
AFTER = """
crawlers.sources.Start = Annotated[
    crawlers.sources.GalleryStart | DeskStart, Field(discriminator="source")
]
crawlers.sources.SOURCES["desk"] = Desk

from crawlers.order import CrawlOrder
from crawlers.run import crawl_here

print(crawl_here(CrawlOrder.model_validate_json(sys.argv[1])).model_dump_json())
"""


def test_the_recipe_of_the_docs_makes_a_source(site: Site, tmp_path: Path) -> None:
    (recipe,) = re.findall(r"```python\n(class DeskStart.*?)```", RECIPE.read_text(), re.DOTALL)
    rows = [
        {"id": "1", "file": f"{site.url}/1.jpg", "licence": BY},
        {"id": "2", "file": f"{site.url}/2.jpg", "licence": "all rights reserved"},
    ]
    site.answers |= {
        "/desk": Answer(json.dumps(rows).encode()),
        "/1.jpg": Answer(photograph(1)),
        "/2.jpg": Answer(photograph(2)),
    }
    order = {
        "start": {"source": "desk", "url": f"{site.url}/desk"},
        "intended_use": "research",
        "catalogue_url": f"sqlite:///{tmp_path}/catalogue.sqlite",
        "blobs_url": str(tmp_path / "blobs"),
        "log": str(tmp_path / "crawl.log"),
        "contact": "crawl@example.org",
        "allow_addresses": ["127.0.0.0/8"],
    }
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + recipe + AFTER, json.dumps(order)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    summary = CrawlSummary.model_validate_json(done.stdout)
    assert summary == CrawlSummary(found=2, stored=1, rejected={Reason.LICENCE_UNKNOWN: 1})
    assert site.gets("/2.jpg") == 0
    with Catalogue(str(order["catalogue_url"])) as catalogue:
        (sighting,) = catalogue.read(Sighting)
    assert (sighting.source, sighting.source_item_id) == ("desk", "1")
