"""Sources by name: one file each, with its section of params.yaml and what reads its answers."""

from typing import Annotated, Any

from pydantic import Field

from crawlers.source import Answer, Ask, Found, Source
from crawlers.sources.commons import Commons, CommonsStart
from crawlers.sources.flickr import Flickr, FlickrStart
from crawlers.sources.folder import Folder, FolderStart
from crawlers.sources.gallery import Gallery, GalleryStart
from crawlers.sources.openverse import Openverse, OpenverseStart
from crawlers.sources.urls import Urls, UrlsStart
from crawlers.terms import Terms

Start = Annotated[
    CommonsStart | OpenverseStart | FlickrStart | UrlsStart | GalleryStart | FolderStart,
    Field(discriminator="source"),
]

SOURCES: dict[str, type[Source[Any]]] = {
    source.name: source for source in (Commons, Openverse, Flickr, Urls, Gallery, Folder)
}


def read_page(start: Start, terms: Terms, ask: Ask, answer: Answer) -> list[Found]:
    """What a page holds, read by a source of its own: for another process. Raises as it does."""
    return list(source_of(start, terms).read(ask, answer))


def source_of(start: Start, terms: Terms) -> Source[Any]:
    """The source that a section of params.yaml names, ready to read its answers."""
    return SOURCES[start.source](start, terms)
