"""Other people's servers are crawled only where somebody answers for it."""

from datetime import date

import pytest
from pydantic import ValidationError

from crawlers.sources.commons import CommonsStart
from crawlers.sources.flickr import FlickrStart
from crawlers.sources.gallery import GalleryStart
from crawlers.sources.openverse import OpenverseStart
from flows.crawl import CrawlParams, require_answerable, title
from mirrorset.errors import SettingsError
from mirrorset.params import Responsible

SOMEBODY = Responsible(
    controller="Lab", legal_basis="consent", contact="lab@example.org", retention_days=30
)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8000/map.xml", "http://localhost/map.xml", "http://[::1]/map.xml"]
)
def test_this_machine_is_ones_own(address: str) -> None:
    require_answerable(GalleryStart(url=address), Responsible())


@pytest.mark.parametrize(
    "address",
    ["https://example.org/map.xml", "http://127.0.0.1.example.org/", "http://10.0.0.1/"],
)
def test_anything_else_needs_all_four(address: str) -> None:
    require_answerable(GalleryStart(url=address), SOMEBODY)
    for name in ("controller", "legal_basis", "contact", "retention_days"):
        lacking = Responsible(**SOMEBODY.model_dump(exclude={name}))
        with pytest.raises(SettingsError, match=name):
            require_answerable(GalleryStart(url=address), lacking)


def test_two_sources_of_one_kind_have_titles_of_their_own() -> None:
    assert title(GalleryStart(url="http://localhost/a")) != title(
        GalleryStart(url="http://localhost/b")
    )
    assert title(CommonsStart(search="selfie")) != title(CommonsStart(category="Portraits"))


def test_the_default_wiki_is_somebody_elses() -> None:
    with pytest.raises(SettingsError, match=r"commons\.wikimedia\.org"):
        require_answerable(CommonsStart(search="portrait"), Responsible())


def test_two_searches_of_one_name_are_two_crawls() -> None:
    starts = [
        CommonsStart(search="selfie"),
        CommonsStart(category="selfie"),
        CommonsStart(user="selfie"),
        CommonsStart(search="selfie", api_url="https://wiki.example.org/api.php"),
        FlickrStart(tags="selfie"),
        FlickrStart(tags="selfie", min_upload_date=date(2020, 1, 1)),
        FlickrStart(text="selfie"),
        OpenverseStart(query="selfie"),
        OpenverseStart(query="selfie", providers="flickr"),
    ]
    assert len({title(start) for start in starts}) == len(starts)


def test_a_workspace_has_one_place_of_a_kind_whose_ids_are_its_own() -> None:
    wikis = [
        {"source": "commons", "search": "selfie"},
        {"source": "commons", "search": "b", "api_url": "https://wiki.example.org/api.php"},
    ]
    with pytest.raises(ValidationError, match="a workspace crawls one commons place"):
        CrawlParams.model_validate({"sources": wikis})
    galleries = [{"source": "gallery", "url": f"https://{name}.org/"} for name in ("a", "b")]
    assert len(CrawlParams.model_validate({"sources": galleries}).sources) == 2


@pytest.mark.parametrize("url", ["example.org/gallery", "file:///etc/passwd", ""])
def test_a_gallery_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="begins with https"):
        GalleryStart(url=url)


def test_a_contact_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(ValidationError, match="a mail address or a page's address"):
        Responsible(contact="Jane Doe")
