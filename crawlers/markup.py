"""What an HTML page says of its pictures: addresses, licences, authors, opt-outs.

A licence counts as near as it stands to its picture: the picture's own JSON-LD ImageObject
(https://schema.org/ImageObject), then `rel=license` or `itemprop=license` in its frame (a <figure>
or a microdata ImageObject), then the page's `rel=license` outside any frame. The nearest that says
anything decides.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import Any
from urllib.parse import urlsplit

from parsel import Selector

from crawlers.addresses import web_address
from crawlers.items import Statement
from crawlers.text import read_json

_ORIGINAL_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_OTHER_SUFFIXES = (".svg", ".gif", ".ico", ".avif")
# "data-" is where scripts that load pictures late find them. <source> elements of formats that are
# not read are passed over; to lxml they are no void elements, so that the <img> lies in them.
_SRCSETS = (
    "@srcset | @data-srcset | ancestor::picture[1]//source[not(@type) or @type='image/jpeg'"
    " or @type='image/png' or @type='image/webp']/@srcset"
)
_IMAGE_TYPES = ("ImageObject", "Photograph")
_CREDIT = re.compile(
    r"\s*(?:(?:photo|image|picture)\s+)?(?:credits?|author|photographer|by|©)\s*:?\s+(\S.*)",
    re.IGNORECASE | re.DOTALL,
)
# XPath 1.0: "rel" and "itemprop" hold words, those of "rel" in any case.
_REL_LICENCE = (
    "(self::a or self::link) and contains(concat(' ', translate(normalize-space(@rel),"
    " 'LICENSE', 'license'), ' '), ' license ')"
)
_ITEMPROP_LICENCE = "contains(concat(' ', normalize-space(@itemprop), ' '), ' license ')"
_FRAME = "self::figure or contains(@itemtype, 'schema.org/ImageObject')"
_AUTHOR = (
    ".//*[contains(@rel, 'author') or contains(@itemprop, 'creator')"
    " or contains(@itemprop, 'creditText')]//text()"
)

_Framed = tuple[tuple[Statement, ...], str]


@dataclass(frozen=True)
class ShownImage:
    """A picture on a page.

    statements: from the nearest place that states a licence. licence_page: where a licence can be
    asked for (acquireLicensePage), or "".
    """

    url: str
    statements: tuple[Statement, ...]
    author: str
    licence_page: str = ""


@dataclass(frozen=True)
class ReadPage:
    """metas: (name or http-equiv, content) of the page's <meta> tags."""

    metas: tuple[tuple[str, str], ...]
    images: tuple[ShownImage, ...]


def read_html(
    body: bytes, url: str, min_side_px: int = 0, content_type: bytes | None = None
) -> ReadPage:
    """The page at `url` from its bytes; the Content-Type header's charset precedes the page's own.

    JSON-LD ImageObjects with a contentUrl are its pictures; without one, the <img> elements that
    are not declared smaller than `min_side_px`, by the original they link to or the largest
    candidate of their <picture>.
    """
    from scrapy.http import HtmlResponse  # noqa: PLC0415  (whoever reads params needs no Scrapy)

    headers = {"Content-Type": content_type} if content_type else {}
    html = HtmlResponse(url=url, body=body, headers=headers).selector
    base = web_address(html.xpath("//base/@href").get(""), url) or url
    metas = tuple(
        (meta.xpath("@name | @http-equiv").get(""), meta.xpath("@content").get(""))
        for meta in html.css("meta[name], meta[http-equiv]")
    )
    page_statements = tuple(_licences(html, f"//*[{_REL_LICENCE}][not(ancestor::*[{_FRAME}])]"))
    page_author = _first_text(
        html, '//meta[@name="author"]/@content', '//*[contains(@rel, "author")]//text()'
    )
    described = [image for node in _json_ld(html) if (image := _image_object(node, base))]
    # A frame is read once, however many pictures it holds.
    read_frame = cache(_frame)
    shown = [
        image
        for element in html.css("img")
        if (image := _img(element, base, min_side_px, read_frame))
    ]
    images = tuple(
        replace(
            image,
            statements=image.statements or page_statements,
            author=image.author or page_author,
        )
        for image in _merged(described or shown)
    )
    return ReadPage(metas=metas, images=images)


def _merged(images: list[ShownImage]) -> Iterable[ShownImage]:
    """One image an address; all that is stated of it stands side by side."""
    by_url: dict[str, ShownImage] = {}
    for image in images:
        other = by_url.get(image.url, image)
        by_url[image.url] = replace(
            other,
            statements=tuple(dict.fromkeys((*other.statements, *image.statements))),
            author=other.author or image.author,
            licence_page=other.licence_page or image.licence_page,
        )
    return by_url.values()


def _licences(scope: Selector, xpath: str) -> Iterator[Statement]:
    for element in scope.xpath(xpath):
        address = element.xpath("@href | @content | @itemid").get("")
        words = " ".join("".join(element.xpath(".//text()").getall()).split())
        if text := address or words:
            attribute = "rel" if element.xpath(f"self::*[{_REL_LICENCE}]") else "itemprop"
            yield Statement(read_from=f"{element.root.tag} {attribute}=license", text=text)


def _img(
    element: Selector, base: str, min_side_px: int, read_frame: Callable[[Any], _Framed]
) -> ShownImage | None:
    sides = element.xpath("@width | @height").getall()
    if any(side.isdecimal() and float(side) < min_side_px for side in sides):
        return None
    address = _largest(element, base)
    linked = web_address(element.xpath("ancestor::a[1]/@href").get(""), base)
    if urlsplit(linked).path.lower().endswith(_ORIGINAL_SUFFIXES):
        address = linked
    if not address:
        return None
    for frame in element.xpath(f"ancestor::*[{_FRAME}][1]"):
        statements, author = read_frame(frame.root)
        return ShownImage(url=address, statements=statements, author=author)
    return ShownImage(url=address, statements=(), author="")


def _frame(root: Any) -> _Framed:
    """Licences and author that the lxml element of a frame states."""
    frame = Selector(root=root, type="html")
    licences = _licences(frame, f".//*[({_REL_LICENCE}) or {_ITEMPROP_LICENCE}]")
    return tuple(dict.fromkeys(licences)), _first_text(frame, _AUTHOR) or _credit(frame)


def _largest(img: Selector, base: str) -> str:
    """The widest, then densest, of what an <img> offers in a format that is read; or ""."""
    offered = [(written, "") for written in img.xpath("@src | @data-src").getall()]
    for srcset in img.xpath(_SRCSETS).getall():
        offered += _srcset(srcset)
    sized = (
        (_size(descriptor), address)
        for written, descriptor in offered
        if written
        and (address := web_address(written, base))
        and not urlsplit(address).path.lower().endswith(_OTHER_SUFFIXES)
    )
    return max(sized, key=itemgetter(0), default=((0.0, 0.0), ""))[1]


def _srcset(text: str) -> Iterator[tuple[str, str]]:
    """Addresses with their descriptors ("800w", "2x" or ""), as HTML's `srcset` lists them."""
    address = ""
    for word in text.split():
        if address:
            descriptor, _, following = word.partition(",")
            yield address, descriptor
            address = following
        elif word.endswith(","):
            yield word.strip(","), ""
        else:
            address = word.lstrip(",")
    yield address, ""


def _size(descriptor: str) -> tuple[float, float]:
    """Width in px and density; 0 and 1 where they are not stated."""
    try:
        number = float(descriptor[:-1] or 0)
    except ValueError:
        number = 0.0
    return (number, 1.0) if descriptor.endswith("w") else (0.0, number or 1.0)


def _credit(figure: Selector) -> str:
    """The name in a caption line as "Credit: Ada" or "Photo by Ada"."""
    lines = figure.xpath(".//figcaption//text()").getall()
    return next((match[1].strip() for line in lines if (match := _CREDIT.match(line))), "")


def _json_ld(html: Selector) -> Iterator[dict[str, Any]]:
    """All objects of the page's JSON-LD blocks, at any depth; unreadable blocks are passed over."""
    for text in html.xpath('//script[@type="application/ld+json"]/text()').getall():
        try:
            yield from _objects(read_json(text))
        except (ValueError, RecursionError):
            continue


def _objects(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from _objects(value)


def _image_object(node: dict[str, Any], base: str) -> ShownImage | None:
    types = node.get("@type")
    named = [
        str(name).rpartition("/")[2] for name in (types if isinstance(types, list) else [types])
    ]
    address = _word(node.get("contentUrl"))
    url = web_address(address, base) if address else ""
    if not any(name in _IMAGE_TYPES for name in named) or not url:
        return None
    own = tuple(
        Statement(read_from="json-ld ImageObject.license", text=licence)
        for licence in _words(node.get("license"))
    )
    return ShownImage(
        url=url,
        statements=own,
        author=_word(node.get("creator"), "name")
        or _word(node.get("creditText"))
        or _word(node.get("author"), "name"),
        licence_page=_word(node.get("acquireLicensePage")),
    )


def _word(value: object, *names: str) -> str:
    """The first text of a schema.org value, or ""."""
    return next(_words(value, *names), "")


def _words(value: object, *names: str) -> Iterator[str]:
    """A schema.org value as text: itself, an object's field or address, or those of a list."""
    if isinstance(value, list):
        for item in value:
            yield from _words(item, *names)
    elif isinstance(value, dict):
        fields = (*names, "@id", "url", "name")
        yield from islice((word for field in fields if (word := _word(value.get(field)))), 1)
    elif isinstance(value, str) and value.strip():
        yield value.strip()


def _first_text(scope: Selector, *xpaths: str) -> str:
    for xpath in xpaths:
        if words := " ".join(" ".join(scope.xpath(xpath).getall()).split()):
            return words
    return ""
