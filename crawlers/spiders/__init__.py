"""Sources by name: one spider each."""

from crawlers.spiders.commons import CommonsSpider
from crawlers.spiders.gallery import GallerySpider
from crawlers.spiders.source import SourceSpider

SPIDERS: dict[str, type[SourceSpider]] = {
    spider.name: spider for spider in (CommonsSpider, GallerySpider)
}
