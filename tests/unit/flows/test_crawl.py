"""Other people's servers are crawled only where somebody answers for it."""

import pytest

from crawlers.sources.commons import CommonsStart
from crawlers.sources.gallery import GalleryStart
from flows.crawl import require_answerable, title
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
    ["https://example.org/map.xml", "http://127.0.0.1.example.org/", "http://10.0.0.1/", "nowhere"],
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
