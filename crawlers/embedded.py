"""What a picture file says of itself: licence, author and reservation in XMP, IPTC and EXIF.

Property names: XMP Rights Management, Dublin Core and Creative Commons schemas; PLUS Data Mining
(IPTC Photo Metadata Standard 2023.1); IPTC-IIM records 2:80 and 2:116; EXIF tags 0x013B, 0x8298.
"""

import io
import re
import warnings
from dataclasses import dataclass

from parsel import Selector
from PIL import Image, IptcImagePlugin

from crawlers.items import Statement

# Metadata precede the pixels; 256 KiB hold them in nearly all files.
HEAD_BYTES = 262_144

_NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "cc": "http://creativecommons.org/ns#",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
}
_XMP_RDF = re.compile(rb"<rdf:RDF\b.*?</rdf:RDF>", re.DOTALL)

_IPTC_BYLINE, _IPTC_COPYRIGHT = (2, 80), (2, 116)
_EXIF_ARTIST, _EXIF_COPYRIGHT = 0x013B, 0x8298


@dataclass(frozen=True)
class Embedded:
    """statements: about the licence, most explicit first. mining_reserved_by: the words that
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
    xmp = _xmp(content)
    iptc, exif = _iptc_and_exif(content)
    stated = (
        ("xmp cc:license", _property(xmp, "cc:license")),
        ("xmp xmpRights:WebStatement", _property(xmp, "xmpRights:WebStatement")),
        ("xmp xmpRights:UsageTerms", _property(xmp, "xmpRights:UsageTerms")),
        ("xmp dc:rights", _property(xmp, "dc:rights")),
        ("iptc 2:116", iptc.get(_IPTC_COPYRIGHT, "")),
        ("exif Copyright", exif.get(_EXIF_COPYRIGHT, "")),
    )
    mining = _property(xmp, "plus:DataMining")
    return Embedded(
        statements=tuple(Statement(read_from=where, text=text) for where, text in stated if text),
        author=_property(xmp, "dc:creator")
        or iptc.get(_IPTC_BYLINE, "")
        or exif.get(_EXIF_ARTIST, ""),
        mining_reserved_by=mining if "PROHIBITED" in mining.upper() else "",
    )


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


def _iptc_and_exif(content: bytes) -> tuple[dict[tuple[int, int], str], dict[int, str]]:
    try:
        with warnings.catch_warnings():
            # Nothing is decoded here; mirrorset.pixels judges the size.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as image:
                iptc = IptcImagePlugin.getiptcinfo(image) or {}
                exif = image.getexif()
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, Image.DecompressionBombError):
        return {}, {}
    return (
        {key: _text(value) for key, value in iptc.items()},
        {tag: _text(exif[tag]) for tag in (_EXIF_ARTIST, _EXIF_COPYRIGHT) if tag in exif},
    )


def _text(value: object) -> str:
    first = value[0] if isinstance(value, list) and value else value
    decoded = first.decode("utf-8", errors="replace") if isinstance(first, bytes) else str(first)
    return " ".join(decoded.replace("\0", " ").split())
