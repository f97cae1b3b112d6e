"""What a file is, by its first bytes; names and Content-Type headers count for nothing.

Magic numbers: the formats' own specifications; ISO base media brands: the MP4 Registration
Authority (mp4ra.org) and ISO/IEC 23008-12.
"""

import re
from dataclasses import dataclass
from typing import Literal

Family = Literal["picture", "video", "archive", "program", "document", "markup", "text", "other"]


@dataclass(frozen=True)
class Kind:
    """name: with its article, as a sentence takes it ("a GIF picture").

    media_type: of pictures that mirrorset reads where a decoder is installed, otherwise "".
    """

    name: str
    family: Family
    media_type: str = ""


JPEG = Kind("a JPEG picture", "picture", "image/jpeg")
PNG = Kind("a PNG picture", "picture", "image/png")
WEBP = Kind("a WebP picture", "picture", "image/webp")
AVIF = Kind("an AVIF picture", "picture", "image/avif")
ANIMATED_AVIF = Kind("an animated AVIF", "picture")
HEIC = Kind("a HEIC picture", "picture")
ZIP = Kind("a ZIP archive", "archive")
RAR = Kind("a RAR archive", "archive")
SEVEN_ZIP = Kind("a 7z archive", "archive")
PDF = Kind("a PDF document", "document")
HTML = Kind("an HTML page", "markup")
SVG = Kind("an SVG drawing", "markup")
XML = Kind("an XML document", "markup")
PHP = Kind("a PHP script", "program")
UNKNOWN = Kind("of no known type", "other")

# Longer magic first where one begins with another.
_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF8", Kind("a GIF picture", "picture")),
    (b"II*\0\x10\0\0\0CR", Kind("a Canon raw picture (CR2)", "picture")),
    (b"II*\0", Kind("a TIFF picture, or a camera's raw file built as one", "picture")),
    (b"MM\0*", Kind("a TIFF picture, or a camera's raw file built as one", "picture")),
    (b"II+\0", Kind("a BigTIFF picture", "picture")),
    (b"MM\0+", Kind("a BigTIFF picture", "picture")),
    (b"IIRO", Kind("an Olympus raw picture (ORF)", "picture")),
    (b"IIRS", Kind("an Olympus raw picture (ORF)", "picture")),
    (b"MMOR", Kind("an Olympus raw picture (ORF)", "picture")),
    (b"IIU\0", Kind("a Panasonic raw picture (RW2)", "picture")),
    (b"FUJIFILMCCD-RAW", Kind("a Fujifilm raw picture (RAF)", "picture")),
    (b"FOVb", Kind("a Sigma raw picture (X3F)", "picture")),
    (b"\0MRM", Kind("a Minolta raw picture (MRW)", "picture")),
    (b"8BPS", Kind("a Photoshop picture (PSD)", "picture")),
    (b"gimp xcf", Kind("a GIMP picture (XCF)", "picture")),
    (b"\0\0\1\0", Kind("an icon (ICO)", "picture")),
    (b"\0\0\2\0", Kind("a cursor (CUR)", "picture")),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Kind("a JPEG 2000 picture", "picture")),
    (b"\xff\x4f\xff\x51", Kind("a JPEG 2000 codestream", "picture")),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Kind("a JPEG XL picture", "picture")),
    (b"\xff\x0a", Kind("a JPEG XL codestream", "picture")),
    (b"qoif", Kind("a QOI picture", "picture")),
    (b"DDS ", Kind("a DirectDraw picture (DDS)", "picture")),
    (b"v/1\1", Kind("an OpenEXR picture", "picture")),
    (b"#?RADIANCE", Kind("a Radiance HDR picture", "picture")),
    (b"\x8aMNG\r\n\x1a\n", Kind("an MNG animation", "video")),
    (b"\x1aE\xdf\xa3", Kind("a Matroska or WebM video", "video")),
    (b"OggS", Kind("an Ogg file", "video")),
    (b"PK\3\4", ZIP),
    (b"PK\5\6", ZIP),
    (b"Rar!\x1a\x07", RAR),
    (b"7z\xbc\xaf\x27\x1c", SEVEN_ZIP),
    (b"\x1f\x8b", Kind("a gzip archive", "archive")),
    (b"BZh", Kind("a bzip2 archive", "archive")),
    (b"\xfd7zXZ\0", Kind("an xz archive", "archive")),
    (b"\x28\xb5\x2f\xfd", Kind("a Zstandard archive", "archive")),
    (b"%PDF-", PDF),
    (b"%!PS", Kind("a PostScript document (EPS)", "document")),
    (b"\xc5\xd0\xd3\xc6", Kind("a PostScript document (EPS)", "document")),
    (b"\x7fELF", Kind("a program (ELF)", "program")),
    (b"MZ", Kind("a program (Windows)", "program")),
    (b"\xca\xfe\xba\xbe", Kind("a program (Java class or Mach-O)", "program")),
    (b"\xcf\xfa\xed\xfe", Kind("a program (Mach-O)", "program")),
    (b"#!", Kind("a script", "program")),
    (b"<?php", PHP),
    (b"BM", Kind("a BMP picture", "picture")),
)
_RIFF = {
    b"WEBP": WEBP,
    b"AVI ": Kind("an AVI video", "video"),
    b"WAVE": Kind("a WAV sound", "video"),
}
_BRANDS: tuple[tuple[frozenset[bytes], Kind], ...] = (
    (frozenset([b"avif"]), AVIF),
    (frozenset(b"heic heix heim heis hevc hevx hevm hevs".split()), HEIC),
    (frozenset([b"mif1", b"msf1"]), Kind("a HEIF picture", "picture")),
    (frozenset([b"crx "]), Kind("a Canon raw picture (CR3)", "picture")),
    (frozenset([b"qt  "]), Kind("a QuickTime video (MOV)", "video")),
)
_MP4 = Kind("an MP4 video", "video")
_MARKUP: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"<svg\b", re.I), SVG),
    (re.compile(r"<(!doctype\s+html|html|head|body|script|iframe|title|meta)\b", re.I), HTML),
    (re.compile(r"<(\?xml|!--|!doctype|[a-z][\w:.\-]*[\s/>])", re.I), XML),
)
_TEXT_HEAD = 1024

_SOUGHT = ((b"Rar!\x1a\x07", RAR), (b"7z\xbc\xaf\x27\x1c", SEVEN_ZIP))
_FOREIGN = frozenset({"archive", "program", "document", "markup"})
_TAGS = {b"html": HTML, b"script": HTML, b"svg": SVG, b"?php": PHP}
_TAG = re.compile(rb"<(html|script|svg|\?php)[\s/>]", re.I)


def sniff(content: bytes) -> Kind:
    """The kind of file that `content` begins as.

    >>> sniff(b"GIF89a").name
    'a GIF picture'
    """
    if not content:
        return Kind("empty", "other")
    if content[4:8] == b"ftyp":
        return _by_brand(content)
    if content[:4] == b"RIFF":
        return _RIFF.get(content[8:12], Kind("a RIFF file", "other"))
    if content[4:8] in {b"moov", b"mdat", b"wide"}:
        return Kind("a QuickTime video (MOV)", "video")
    return next((kind for magic, kind in _MAGIC if content.startswith(magic)), None) or _by_words(
        content
    )


def hidden(content: bytes, end: int) -> Kind | None:
    """What else a picture's file is, the picture ending at byte `end`; None where nothing.

    Others' programs find their file in ours in three ways, and each is looked for: ZIP readers by
    a directory near the end of the file, wherever the archive begins; PDF, RAR and 7z readers by
    a signature that need not come first; browsers and interpreters by what follows the picture.

    What cameras append is none of it: padding, further pictures (MPO), Samsung's SEFT trailer,
    the video of a motion photo, makers' own blocks. Words inside EXIF, XMP and comments are not
    judged either: XMP is itself markup, no reader of pictures runs it, and releases leave it out.
    """
    if _is_zip(content):
        return ZIP
    if found := next((kind for magic, kind in _SOUGHT if magic in content), None):
        return found
    if b"%PDF-" in content[:1024]:
        return PDF
    trailer = content[end:].lstrip(b"\0\t\n\r ")
    if (kind := sniff(trailer)).family in _FOREIGN:
        return kind
    tag = _TAG.search(trailer)
    return _TAGS[tag[1].lower()] if tag else None


def _is_zip(content: bytes) -> bool:
    """Whether a ZIP reader finds a directory: APPNOTE 4.3.16, at most 65557 bytes from the end.

    Four bytes come about by chance; here the counts and the directory's own signature agree too.
    """
    at = len(content)
    earliest = max(0, len(content) - 65557)
    while (at := content.rfind(b"PK\5\6", earliest, at)) >= 0:
        record = content[at : at + 22]
        size = int.from_bytes(record[12:16], "little")
        is_empty = size == 0 and record[4:12] == bytes(8)
        if len(record) == 22 and (is_empty or content.startswith(b"PK\1\2", max(0, at - size))):
            return True
    return False


def _by_brand(content: bytes) -> Kind:
    """ISO base media: the major brand decides, then the compatible ones."""
    if content[8:12] == b"avis":
        return ANIMATED_AVIF
    length = min(int.from_bytes(content[:4]), 512)
    compatible = {content[at : at + 4] for at in range(16, length, 4)}
    for brands in ({content[8:12]} - {b"mif1", b"msf1"}, compatible, {content[8:12]}):
        for known, kind in _BRANDS:
            if brands & known:
                return kind
    return _MP4


def _by_words(content: bytes) -> Kind:
    head = content[:_TEXT_HEAD]
    encoding = "utf-16" if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    # A cut through a character's bytes is no fault of the text.
    words = head.decode(encoding, errors="replace").rstrip("�").lstrip()
    if "�" in words or "\0" in words:
        return UNKNOWN
    if words.startswith("<"):
        for pattern, kind in _MARKUP:
            if pattern.search(words):
                return kind
    if words.startswith(("{", "[")):
        return Kind("a JSON text", "text")
    if words.startswith("version https://git-lfs"):
        return Kind("a Git LFS pointer", "text")
    return Kind("a text", "text") if words.isprintable() or "\n" in words else UNKNOWN
