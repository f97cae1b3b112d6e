"""Sources by name: one file each, with its section of params.yaml and what reads its answers."""

from typing import Annotated, Any

from pydantic import Field

from crawlers.source import Source
from crawlers.sources.commons import Commons, CommonsStart
from crawlers.sources.flickr import Flickr, FlickrStart
from crawlers.sources.gallery import Gallery, GalleryStart
from crawlers.sources.openverse import Openverse, OpenverseStart
from crawlers.sources.urls import Urls, UrlsStart
from crawlers.terms import Terms

Start = Annotated[
    CommonsStart | OpenverseStart | FlickrStart | UrlsStart | GalleryStart,
    Field(discriminator="source"),
]

SOURCES: dict[str, type[Source[Any]]] = {
    source.name: source for source in (Commons, Openverse, Flickr, Urls, Gallery)
}


def source_of(start: Start, terms: Terms) -> Source[Any]:
    """The source that a section of params.yaml names, ready to read its answers."""
    return SOURCES[start.source](start, terms)
