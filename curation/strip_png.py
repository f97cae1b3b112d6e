"""Traces out of PNG, third edition: chunks of length, type, data, CRC of type and data.

Kept are the chunks that decide the pixels and their colours, the first of each where one is all
that may be, and of the length that they have. Image data end where their zlib stream does; what
that stream holds beyond the last row of pixels is not looked at.
"""

import struct
import zlib
from collections.abc import Collection, Iterator

from curation.strip_icc import strip_icc

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Lengths that a kept chunk may have; a palette's is checked by its kind.
_LENGTHS: dict[bytes, Collection[int]] = {
    b"IHDR": {13},
    b"PLTE": range(3, 769, 3),
    b"tRNS": range(1, 257),
    b"cHRM": {32},
    b"gAMA": {4},
    b"sBIT": range(1, 5),
    b"sRGB": {1},
    b"cICP": {4},
    b"mDCV": {24},
    b"cLLI": {8},
    b"bKGD": {1, 2, 6},
    b"pHYs": {9},
}
_INDEXED = 3
_MOST_PROFILE_BYTES = 1 << 24
_INFLATED_AT_ONCE = 1 << 20
_MOST_STORED = 0xFFFF


def strip_png(content: bytes) -> bytes:
    """`content` up to its IEND, of the same pixels.

    Raises ValueError or struct.error where the bytes are not built as PNG is.
    """
    kept = bytearray(SIGNATURE)
    seen: set[bytes] = set()
    is_indexed = False
    pixels = zlib.decompressobj()
    for kind, data in chunks(content):
        if kind == b"IDAT":
            if not pixels.eof:
                kept += chunk(kind, _of_stream(pixels, data))
        elif kind not in seen:
            if kind == b"IHDR":
                is_indexed = data[9] == _INDEXED
            if kind == b"PLTE" and not is_indexed:
                continue  # a suggestion for screens of few colours
            if kind == b"iCCP":
                profile = _profile(data)
                kept += chunk(kind, profile) if profile else b""
            elif len(data) in _LENGTHS.get(kind, ()):
                kept += chunk(kind, data)
        seen.add(kind)
    return bytes(kept + chunk(b"IEND", b""))


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, data) of the chunks before IEND.

    Raises ValueError or struct.error where the bytes are not built as PNG is.
    """
    if not content.startswith(SIGNATURE):
        raise ValueError("no PNG signature")
    at = len(SIGNATURE)
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind == b"IEND":
            return
        yield kind, content[at + 8 : at + 8 + length]
        at += 12 + length
    raise ValueError("no IEND chunk")


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk as it is written."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _of_stream(pixels: "zlib._Decompress", data: bytes) -> bytes:
    """`data` up to the end of the stream that `pixels` is reading, if it ends there."""
    rest = data
    while rest and not pixels.eof:
        pixels.decompress(rest, _INFLATED_AT_ONCE)
        rest = pixels.unconsumed_tail
    return data[: len(data) - len(pixels.unused_data)]


def _profile(data: bytes) -> bytes | None:
    """Data of an iCCP chunk: a name for people, a zero, the method 0, the profile compressed."""
    _, _, compressed = data.partition(b"\0")
    try:
        profile = zlib.decompressobj().decompress(compressed[1:], _MOST_PROFILE_BYTES)
    except zlib.error:
        return None
    stripped = strip_icc(profile)
    return b"ICC\0\0" + _stored(stripped) if stripped else None


def _stored(data: bytes) -> bytes:
    """A zlib stream (RFC 1950, 1951) without compression: the same bytes from every zlib."""
    stream = bytearray(b"\x78\x01")
    for at in range(0, len(data), _MOST_STORED):
        block = data[at : at + _MOST_STORED]
        is_last = at + _MOST_STORED >= len(data)
        stream += struct.pack("<BHH", is_last, len(block), len(block) ^ _MOST_STORED) + block
    return bytes(stream + struct.pack(">I", zlib.adler32(data)))
