"""Location and device traces out of encoded pictures; not one pixel is touched.

What decides the pixels stays: the picture's own segments, its colour profile, and the EXIF
orientation where it is not upright, alone in an EXIF of its own. All else goes: GPS, serial
numbers, dates, comments, thumbnails, further pictures behind the first.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from curation.strip_avif import strip_avif
from mirrorset.errors import InputError

_ORIENTATION_TAG = 0x0112
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD pHYs".split()
)
_WEBP_KEPT = frozenset([b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"])
_WEBP_EXIF_FLAG, _WEBP_XMP_FLAG = 0x08, 0x04
_SOI, _EOI, _SOS, _COM, _TEM = 0xD8, 0xD9, 0xDA, 0xFE, 0x01
_RESTARTS = range(0xD0, 0xD8)
_APP0, _APP1, _APP2, _APP14, _APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF


def strip(content: bytes, media_type: str) -> bytes:
    """The picture `content` (image/jpeg, image/png, image/webp or image/avif) without its traces.

    Raises InputError where the bytes are not built as their media type is.
    """
    try:
        stripper = _STRIPPERS[media_type]
    except KeyError:
        raise InputError(f"Pictures of type {media_type} cannot be stripped of traces.") from None
    try:
        return stripper(content, _orientation(content))
    except (struct.error, IndexError, ValueError, OSError, SyntaxError, RuntimeError) as error:
        raise InputError(f"This {media_type} picture is not well-formed: {error}.") from None


def _orientation(content: bytes) -> int:
    """EXIF orientation 1 to 8 as it is applied on decoding (XMP's where EXIF has none)."""
    with Image.open(io.BytesIO(content)) as image:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    return orientation if orientation in range(1, 9) else 1


def _minimal_exif(orientation: int) -> bytes:
    """A TIFF header with one entry: tag, type SHORT, count 1, value; no next directory."""
    entry = struct.pack(">HHIHH", _ORIENTATION_TAG, 3, 1, orientation, 0)
    return b"MM\x00\x2a" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


# --- JPEG: ISO/IEC 10918-1, markers FF xx, lengths big-endian and counting themselves ----------


def _strip_jpeg(content: bytes, orientation: int) -> bytes:
    kept = bytearray(b"\xff\xd8")
    is_orientation_due = orientation != 1
    for marker, payload, scan in _jpeg_segments(content):
        if not _is_jpeg_segment_kept(marker, payload):
            continue
        if is_orientation_due and marker != _APP0:
            kept += _jpeg_segment(_APP1, b"Exif\x00\x00" + _minimal_exif(orientation))
            is_orientation_due = False
        # A JFIF header ends in a thumbnail, after its width and height.
        kept += _jpeg_segment(marker, payload[:12] + b"\x00\x00" if marker == _APP0 else payload)
        kept += scan
    return bytes(kept + b"\xff\xd9")


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(marker, payload, entropy-coded bytes that follow) up to the first picture's end."""
    if content[:2] != b"\xff\xd8":
        raise ValueError("no start-of-image marker")
    at = 2
    while True:
        at = content.find(b"\xff", at)
        if at < 0 or at + 1 >= len(content):
            return  # some cameras write no end-of-image marker
        marker = content[at + 1]
        if marker == _EOI:
            return
        if marker == 0xFF:  # fill bytes may stand before a marker
            at += 1
            continue
        if marker in (0x00, _TEM, _SOI) or marker in _RESTARTS:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        payload = content[at + 4 : at + 2 + length]
        at += 2 + length
        end = _scan_end(content, at) if marker == _SOS else at
        yield marker, payload, content[at:end]
        at = end


def _scan_end(content: bytes, at: int) -> int:
    """Where the entropy-coded bytes from `at` end: at a marker that is no restart."""
    while True:
        at = content.find(b"\xff", at)
        if at < 0 or at + 1 >= len(content):
            return len(content)
        if content[at + 1] != 0x00 and content[at + 1] not in _RESTARTS:
            return at
        at += 2


def _is_jpeg_segment_kept(marker: int, payload: bytes) -> bool:
    if marker == _APP0:
        return payload.startswith(b"JFIF\x00")
    if marker == _APP2:
        return payload.startswith(b"ICC_PROFILE\x00")
    if marker == _APP14:  # tells whether the three channels are YCbCr or RGB
        return payload.startswith(b"Adobe")
    return not (_APP0 <= marker <= _APP15 or marker == _COM)


def _jpeg_segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


# --- PNG: length, type, data, CRC of type and data ----------------------------------------------


def _strip_png(content: bytes, orientation: int) -> bytes:
    if not content.startswith(_PNG_SIGNATURE):
        raise ValueError("no PNG signature")
    kept = bytearray(_PNG_SIGNATURE)
    at = len(_PNG_SIGNATURE)
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind in _PNG_KEPT:
            kept += content[at : at + 12 + length]
        if kind == b"IHDR" and orientation != 1:
            kept += _png_chunk(b"eXIf", _minimal_exif(orientation))
        if kind == b"IEND":
            return bytes(kept)
        at += 12 + length
    raise ValueError("no IEND chunk")


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# --- WebP: RIFF chunks, lengths little-endian, padded to even -----------------------------------


def _strip_webp(content: bytes, orientation: int) -> bytes:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        raise ValueError("no RIFF WEBP header")
    end = 8 + struct.unpack_from("<I", content, 4)[0]
    kept = bytearray()
    at = 12
    while at + 8 <= min(end, len(content)):
        kind, length = struct.unpack_from("<4sI", content, at)
        data = content[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
        if kind == b"VP8X":
            flags = data[0] & ~(_WEBP_EXIF_FLAG | _WEBP_XMP_FLAG)
            data = bytes([flags | (_WEBP_EXIF_FLAG if orientation != 1 else 0)]) + data[1:]
        if kind in _WEBP_KEPT:
            kept += _webp_chunk(kind, data)
    if orientation != 1:  # only a picture with VP8X can have had one
        kept += _webp_chunk(b"EXIF", _minimal_exif(orientation))
    return b"RIFF" + struct.pack("<I", len(kept) + 4) + b"WEBP" + bytes(kept)


def _webp_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2)


_STRIPPERS: dict[str, Callable[[bytes, int], bytes]] = {
    "image/jpeg": _strip_jpeg,
    "image/png": _strip_png,
    "image/webp": _strip_webp,
    "image/avif": lambda content, _: strip_avif(content),
}
