"""Location and device traces out of encoded pictures, and pictures upright.

What decides the pixels and their colours stays: the picture's own segments, and of its colour
profile what a transformation reads (`strip_icc`). All else goes: EXIF, with GPS, serial numbers
and dates, comments, thumbnails, further pictures behind the first. Where the stored pixels lie
upright not one of them is touched; else they are turned first (`upright`).

Bytes within the coded pixels stay as they are, such as those behind a JPEG's last block and before
the next marker: to find them is to decode the picture.
"""

import struct
from collections.abc import Callable, Iterator

from curation.strip_avif import strip_avif
from curation.strip_icc import strip_icc
from curation.strip_png import strip_png
from curation.upright import upright
from mirrorset.errors import InputError

_WEBP_KEPT = frozenset([b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"])
_WEBP_PROFILE, _WEBP_ALPHA, _WEBP_ANIMATION = 0x20, 0x10, 0x02
_VP8X_BYTES = 10
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)
_APP0, _APP2, _APP14 = 0xE0, 0xE2, 0xEE
_JFIF_BYTES, _ADOBE_BYTES = 14, 12
_PROFILE_PART = b"ICC_PROFILE\x00"
# Frames (SOF0 to SOF15 without JPG), tables, scans and restarts.
_JPEG_KEPT = (frozenset(range(0xC0, 0xD0)) - {0xC8}) | {_SOS, 0xDB, 0xDC, 0xDD}


def strip(content: bytes, media_type: str) -> bytes:
    """The picture `content` (image/jpeg, image/png, image/webp or image/avif) without its traces,
    its stored pixels upright; the same bytes each time.

    Raises InputError where the bytes are not built as their media type is.
    """
    try:
        stripper = _STRIPPERS[media_type]
    except KeyError:
        raise InputError(f"Pictures of type {media_type} cannot be stripped of traces.") from None
    try:
        return stripper(upright(content, media_type))
    except Exception as error:  # whatever corrupt bytes lead Pillow's parsers to
        raise InputError(f"This {media_type} picture is not well-formed: {error}.") from None


# --- JPEG: ISO/IEC 10918-1, markers FF xx, lengths big-endian and counting themselves ----------


def _strip_jpeg(content: bytes) -> bytes:
    kept = bytearray(b"\xff\xd8")
    segments = list(_jpeg_segments(content))
    profile = _jpeg_profile([payload for marker, payload, _ in segments if marker == _APP2])
    for marker, payload, scan in segments:
        if marker in _JPEG_KEPT:
            kept += _jpeg_segment(marker, payload) + scan
        elif marker == _APP2:
            kept += profile
            profile = b""
        else:
            kept += _jpeg_application(marker, payload)
    return bytes(kept + b"\xff\xd9")


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(marker, payload, entropy-coded bytes that follow) up to the first picture's end."""
    if content[:2] != b"\xff\xd8":
        raise ValueError("no start-of-image marker")
    at = 2
    is_scanned = False
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
        if marker == _SOI and is_scanned:
            return  # a further picture
        if marker in (0x00, _TEM, _SOI) or marker in _RESTARTS:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        payload = content[at + 4 : at + 2 + length]
        at += 2 + length
        is_scanned |= marker == _SOS
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


def _jpeg_application(marker: int, payload: bytes) -> bytes:
    """What is kept of a segment for applications; nothing of most."""
    if marker == _APP0 and payload.startswith(b"JFIF\x00") and len(payload) >= _JFIF_BYTES:
        # Ends in a thumbnail, after its width and height.
        return _jpeg_segment(marker, payload[: _JFIF_BYTES - 2] + b"\x00\x00")
    if marker == _APP14 and payload.startswith(b"Adobe") and len(payload) >= _ADOBE_BYTES:
        # Tells whether the three channels are YCbCr or RGB.
        return _jpeg_segment(marker, payload[:_ADOBE_BYTES])
    return b""


def _jpeg_segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def _jpeg_profile(payloads: list[bytes]) -> bytes:
    """The segments of the profile, rebuilt: each has its number and how many there are (ICC.1:2022,
    B.4). Empty where it is none.
    """
    parts = sorted(one[12:] for one in payloads if one.startswith(_PROFILE_PART))
    stripped = strip_icc(b"".join(part[2:] for part in parts))
    if stripped is None:
        return b""
    room = 0xFFFF - 2 - len(_PROFILE_PART) - 2
    pieces = [stripped[at : at + room] for at in range(0, len(stripped), room)]
    return b"".join(
        _jpeg_segment(_APP2, _PROFILE_PART + bytes([number, len(pieces)]) + piece)
        for number, piece in enumerate(pieces, start=1)
    )


# --- WebP: RIFF chunks, lengths little-endian, padded to even -----------------------------------


def _strip_webp(content: bytes) -> bytes:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        raise ValueError("no RIFF WEBP header")
    chunks = list(_webp_chunks(content))
    profiles = [data for kind, data in chunks if kind == b"ICCP"]
    profile = strip_icc(profiles[0]) if profiles else None
    kept = bytearray()
    for kind, data in chunks:
        if kind == b"VP8X" and not kept:
            flags = data[0] & (_WEBP_ALPHA | _WEBP_ANIMATION) | (_WEBP_PROFILE if profile else 0)
            kept += _webp_chunk(kind, bytes([flags, 0, 0, 0]) + data[4:_VP8X_BYTES])
            kept += _webp_chunk(b"ICCP", profile) if profile else b""
        if kind in _WEBP_KEPT:
            kept += _webp_chunk(kind, data)
    return b"RIFF" + struct.pack("<I", len(kept) + 4) + b"WEBP" + bytes(kept)


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    end = 8 + struct.unpack_from("<I", content, 4)[0]
    at = 12
    while at + 8 <= min(end, len(content)):
        kind, length = struct.unpack_from("<4sI", content, at)
        yield kind, content[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _webp_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2)


_STRIPPERS: dict[str, Callable[[bytes], bytes]] = {
    "image/jpeg": _strip_jpeg,
    "image/png": strip_png,
    "image/webp": _strip_webp,
    "image/avif": strip_avif,
}
