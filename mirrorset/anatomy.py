"""How a picture file is built: size, scans and end, read without decoding a pixel.

Built as ISO/IEC 10918-1 (JPEG), the PNG specification (third edition), RFC 9649 (WebP) and
ISO/IEC 14496-12, 23008-12 (AVIF) say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# libpng writes image data in chunks of 8 KiB: a file of 100 MB has 12 800 of them.
MOST_PARTS = 100_000
# EXIF fits into one segment of 64 KiB. Pillow joins several in time that grows with their square:
# 1500 of them, 100 MB, take a minute.
MOST_EXIF_PARTS = 16

_SOI, _EOI, _SOS, _APP1, _TEM = 0xD8, 0xD9, 0xDA, 0xE1, 0x01
_NO_FRAME = {0xC4, 0xC8, 0xCC}  # DHT, JPG and DAC lie among the frame headers SOF0 to SOF15
# A marker that is neither a stuffed FF, a restart nor a fill byte.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_AVIF_TOP = frozenset(
    b"ftyp styp meta mdat moov moof mfra free skip uuid sidx pdin meco emsg prft".split()
)


@dataclass(frozen=True)
class Anatomy:
    """width_px, height_px: as the header claims them, before any turning; 0 where it does not.

    end: offset after the picture's last byte, None where the bytes end before it. scans: passes
    over the pixels that decoding makes. parts: segments, chunks or boxes; reading stops with the
    first beyond MOST_PARTS. exif_parts: those that hold EXIF, in a JPEG.
    """

    width_px: int
    height_px: int
    end: int | None
    scans: int = 1
    is_animated: bool = False
    parts: int = 0
    exif_parts: int = 0


def dissect(content: bytes, media_type: str) -> Anatomy:
    """The anatomy of a picture of type image/jpeg, image/png, image/webp or image/avif.

    A JPEG without its end-of-image marker is cut short, though its decoder would not say so.
    Bytes that decode to nothing are for the decoder to find.
    """
    return _DISSECTORS[media_type](content)


def _jpeg(content: bytes) -> Anatomy:
    width = height = scans = parts = exif_parts = 0
    end = None
    at = 2
    while parts <= MOST_PARTS and (found := _MARKER.search(content, at)):
        # Before the first scan Pillow reads stray bytes one by one: each counts.
        parts += 0 if scans else found.start() - at
        at = found.end()
        marker = content[at - 1]
        if marker == _EOI:
            end = at
            break
        parts += 1
        if marker in {_SOI, _TEM}:
            continue
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = _big(content, at + 3, 2), _big(content, at + 5, 2)
        scans += marker == _SOS
        exif_parts += marker == _APP1 and content.startswith(b"Exif\0\0", at + 2)
        # Entropy-coded bytes after a scan's header hold no marker: the search passes over them.
        at += _big(content, at, 2)
    return Anatomy(width, height, end, scans, parts=parts, exif_parts=exif_parts)


def _png(content: bytes) -> Anatomy:
    end = None
    is_animated = False
    parts = 0
    at = 8
    while parts <= MOST_PARTS and at + 12 <= len(content):
        kind = content[at + 4 : at + 8]
        at += 12 + _big(content, at, 4)
        parts += 1
        is_animated |= kind == b"acTL"
        if kind == b"IEND" and at <= len(content):
            end = at
            break
    width, height = _big(content, 16, 4), _big(content, 20, 4)
    return Anatomy(width, height, end, is_animated=is_animated, parts=parts)


def _webp(content: bytes) -> Anatomy:
    size = 8 + _little(content, 4, 4)
    end = size if size <= len(content) else None
    is_animated = False
    parts = 0
    at = 12
    while parts <= MOST_PARTS and end is not None and at < end:
        kind = content[at : at + 4]
        is_animated |= kind == b"ANMF" or (kind == b"VP8X" and bool(_big(content, at + 8, 1) & 2))
        at += 8 + _little(content, at + 4, 4)
        parts += 1
        if at > end:
            end = None
        at += at % 2
    width, height = _webp_size(content)
    return Anatomy(width, height, end, is_animated=is_animated, parts=parts)


def _webp_size(content: bytes) -> tuple[int, int]:
    kind = content[12:16]
    if kind == b"VP8X":
        return _little(content, 24, 3) + 1, _little(content, 27, 3) + 1
    if kind == b"VP8L":
        bits = _little(content, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return _little(content, 26, 2) & 0x3FFF, _little(content, 28, 2) & 0x3FFF


def _avif(content: bytes) -> Anatomy:
    end: int | None = 0
    is_animated = False
    width = height = parts = 0
    for kind, start, stop in boxes(content, 0, len(content)):
        parts += 1
        if kind not in _AVIF_TOP or parts > MOST_PARTS:
            break
        if stop > len(content):
            end = None
            break
        end = stop
        is_animated |= kind == b"moov"
        if kind == b"meta":
            width, height = _largest_extent(content, start + 4, stop)
    return Anatomy(width, height, end, is_animated=is_animated, parts=parts)


def boxes(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, start of payload, end) of the ISO boxes in `content[at:end]`, MOST_PARTS + 1 at most.

    An end beyond `end` is a box cut short; what is too short to be a box ends the walk.
    """
    for _ in range(MOST_PARTS + 1):
        size, start = _big(content, at, 4), at + 8
        if size == 1:
            size, start = _big(content, start, 8), at + 16
        stop = end if size == 0 else at + size
        if start > end or stop < start:
            return
        yield content[at + 4 : at + 8], start, stop
        at = stop


def _largest_extent(content: bytes, at: int, end: int) -> tuple[int, int]:
    """(width, height) of the largest ispe property of a meta box: in iprp, there in ipco."""
    for container in (b"iprp", b"ipco"):
        spans = (
            (start, stop) for kind, start, stop in boxes(content, at, end) if kind == container
        )
        at, end = next(spans, (end, end))
    extents = (
        (_big(content, start + 4, 4), _big(content, start + 8, 4))
        for kind, start, _ in boxes(content, at, end)
        if kind == b"ispe"
    )
    return max(extents, default=(0, 0), key=lambda size: size[0] * size[1])


def _big(content: bytes, at: int, length: int) -> int:
    return int.from_bytes(content[at : at + length], "big")


def _little(content: bytes, at: int, length: int) -> int:
    return int.from_bytes(content[at : at + length], "little")


_DISSECTORS = {"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp, "image/avif": _avif}
