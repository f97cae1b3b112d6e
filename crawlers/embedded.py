"""What a picture file says of itself: licence, author and reservation in XMP, IPTC and EXIF.

Property names: XMP Rights Management, Dublin Core and Creative Commons schemas; PLUS Data Mining
(IPTC Photo Metadata Standard 2023.1); IPTC-IIM records 2:80 and 2:116; EXIF tags 0x013B, 0x8298.
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from parsel import Selector
from PIL import Image, IptcImagePlugin
from PIL.ImageFile import ImageFile

from crawlers.items import Statement
from crawlers.text import clean
from mirrorset.licences import normalise

# Metadata precede the pixels; 256 KiB hold them in nearly all files.
HEAD_BYTES = 262_144

_NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "cc": "http://creativecommons.org/ns#",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
}
# What all metadata that is read here begins with, in PNG, WebP and AVIF.
_MARKS = (b"<rdf:RDF", b"Exif", b"EXIF", b"eXIf", b"8BIM", b"Raw profile type")
# JPEG keeps them in segments APP1 and APP13, whose markers its pixels cannot hold.
_JPEG, _JPEG_MARKS = b"\xff\xd8", (b"\xff\xe1", b"\xff\xed")
_XMP_RDF = re.compile(rb"<rdf:RDF\b.*?</rdf:RDF>", re.DOTALL)

_IPTC = _IPTC_BYLINE, _IPTC_COPYRIGHT = 80, 116
_EXIF = _EXIF_ARTIST, _EXIF_COPYRIGHT = 0x013B, 0x8298

# A notice as "© Ada" or the address of Ada's page is no licence; one with such words is.
_ABOUT_LICENCES = re.compile(
    r"creative\s?commons|\bcc[\s\-_]?(?:by|0|zero)\b|licen[cs]e|rights\s+reserved|public\s+domain",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Embedded:
    """statements: about the licence, most explicit first; copyright notices count where they speak
    of licences or rights reserved. mining_reserved_by: the words that
    prohibit data mining or training, or "".
    """

    statements: tuple[Statement, ...] = ()
    author: str = ""
    mining_reserved_by: str = ""


def read_embedded(content: bytes) -> Embedded:
    """Metadata of an encoded picture or of its first bytes; empty where there is none to read.

    >>> read_embedded(b"no picture")
    Embedded(statements=(), author='', mining_reserved_by='')
    """
    if not any(mark in content for mark in _marks(content)):
        return Embedded()
    xmp = _xmp(content)
    iptc, exif = _fields(content, _iptc), _fields(content, _exif)
    licences = (
        ("xmp cc:license", _property(xmp, "cc:license")),
        ("xmp xmpRights:UsageTerms", _property(xmp, "xmpRights:UsageTerms")),
    )
    notices = (
        ("xmp xmpRights:WebStatement", _property(xmp, "xmpRights:WebStatement")),
        ("xmp dc:rights", _property(xmp, "dc:rights")),
        ("iptc 2:116", iptc.get(_IPTC_COPYRIGHT, "")),
        ("exif Copyright", exif.get(_EXIF_COPYRIGHT, "")),
    )
    mining = _property(xmp, "plus:DataMining")
    stated = *licences, *(notice for notice in notices if _is_about_licences(notice[1]))
    return Embedded(
        statements=tuple(Statement(read_from=where, text=text) for where, text in stated if text),
        author=_property(xmp, "dc:creator")
        or iptc.get(_IPTC_BYLINE, "")
        or exif.get(_EXIF_ARTIST, ""),
        mining_reserved_by=mining if "PROHIBITED" in mining.upper() else "",
    )


def _marks(content: bytes) -> tuple[bytes, ...]:
    return _JPEG_MARKS if content.startswith(_JPEG) else _MARKS


def is_embedded(read_from: str) -> bool:
    """Whether a licence was read from a picture file, by the name of its place."""
    return read_from.startswith(("xmp ", "iptc ", "exif "))


def _is_about_licences(notice: str) -> bool:
    return normalise(notice) is not None or _ABOUT_LICENCES.search(notice) is not None


def _xmp(content: bytes) -> Selector | None:
    packet = _XMP_RDF.search(content)
    if packet is None:
        return None
    return Selector(text=packet[0].decode("utf-8", errors="replace"), type="xml")


def _property(xmp: Selector | None, name: str) -> str:
    """The first value of an XMP property, written as attribute, resource, text or list."""
    if xmp is None:
        return ""
    written = f"//rdf:Description/@{name} | //{name}/@rdf:resource | //{name}//text()"
    values = xmp.xpath(written, namespaces=_NAMESPACES).getall()
    return next((" ".join(value.split()) for value in values if value.strip()), "")


def _iptc(image: ImageFile) -> dict[int, str]:
    fields = IptcImagePlugin.getiptcinfo(image) or {}
    return {number: _text(fields[2, number]) for number in _IPTC if (2, number) in fields}


def _exif(image: ImageFile) -> dict[int, str]:
    fields = image.getexif()
    return {tag: _text(fields[tag]) for tag in _EXIF if tag in fields}


def _fields(content: bytes, read: Callable[[ImageFile], dict[int, str]]) -> dict[int, str]:
    try:
        with warnings.catch_warnings():
            # Nothing is decoded here; mirrorset.pixels judges the size.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as image:
                return read(image)
    except Exception:
        # Pillow's readers raise all kinds on corrupt metadata (struct.error, TypeError…).
        return {}


def _text(value: object) -> str:
    first = value[0] if isinstance(value, list) and value else value
    decoded = first.decode("utf-8", errors="replace") if isinstance(first, bytes) else str(first)
    return " ".join(clean(decoded.replace("\0", " ")).split())
