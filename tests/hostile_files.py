"""Hostile files, made from a public-domain picture: what a crawl meets and must refuse by name.

No file here is dangerous to keep: archives hold one line, programs are a signature, and bombs are
small because only their headers claim much.
"""

import bz2
import gzip
import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from PIL import Image
from skimage import data

from mirrorset.records import Reason

ASTRONAUT = Image.fromarray(data.astronaut()).resize((256, 256))


@dataclass(frozen=True)
class HostileFile:
    """words: of the sentence that tells a person why the file was refused."""

    name: str
    content: bytes
    reason: Reason
    words: str


def encoded(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """`picture` as a file of Pillow's format `kind`."""
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def segment(marker: int, payload: bytes = b"") -> bytes:
    """A JPEG segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def chunk(kind: bytes, payload: bytes = b"") -> bytes:
    """A PNG chunk."""
    return (
        struct.pack(">I", len(payload))
        + kind
        + payload
        + struct.pack(">I", zlib.crc32(kind + payload))
    )


def box(kind: bytes, payload: bytes = b"") -> bytes:
    """A box of an ISO base media file."""
    return struct.pack(">I", len(payload) + 8) + kind + payload


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP file of chunks."""
    body = b"".join(
        kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)
        for kind, payload in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def archive() -> bytes:
    """A ZIP archive of one line."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(zipfile.ZipInfo("a.txt"), "a line")
    return out.getvalue()


JPEG = encoded(ASTRONAUT)
PROGRESSIVE = encoded(ASTRONAUT, progressive=True)
PNG = encoded(ASTRONAUT, "PNG", compress_level=1)
WEBP = encoded(ASTRONAUT, "WEBP", method=0)
AVIF = encoded(ASTRONAUT, "AVIF", speed=10)
ZIP = archive()
REST = bytes(range(256)) * 4
HTML = b"<html><body>a page</body></html>"
PDF = b"%PDF-1.7\n%%EOF\n"
MP4 = box(b"ftyp", b"isom\0\0\2\0isommp42") + box(b"mdat", bytes(64))


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """`jpeg` with segments behind its first marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """`png` with chunks behind its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def with_scans(jpeg: bytes, count: int) -> bytes:
    """A progressive JPEG that makes its last scan `count` times more."""
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + last * count + jpeg[-2:]


def claiming(content: bytes, width: int, height: int) -> bytes:
    """`content` with another size in its header."""
    changed = bytearray(content)
    if content.startswith(b"\xff\xd8"):
        frame = max(content.find(b"\xff\xc0\0\x11\x08"), content.find(b"\xff\xc2\0\x11\x08"))
        struct.pack_into(">HH", changed, frame + 5, height, width)
    elif content.startswith(b"\x89PNG"):
        return (
            content[:8]
            + chunk(b"IHDR", struct.pack(">II", width, height) + content[24:29])
            + content[33:]
        )
    elif content.startswith(b"RIFF"):
        struct.pack_into("<HH", changed, 26, width, height)
    else:
        struct.pack_into(">II", changed, content.index(b"ispe") + 8, width, height)
    return bytes(changed)


def _named(words: str, *contents: bytes) -> Iterator[HostileFile]:
    for number, content in enumerate(contents, start=1):
        yield HostileFile(f"{words}, {number}", content, Reason.NOT_AN_IMAGE, words)


def _words() -> Iterator[HostileFile]:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="900"/>'
    yield from _named("empty", b"")
    yield from _named("a text", b"404: not found\n")
    yield from _named(
        "an HTML page",
        HTML,
        b"\n\t <!DOCTYPE html><title>Sign in</title>",
        b"\xef\xbb\xbf<HTML>",
        "<html>é</html>".encode("utf-16"),
        b"<!-- moved --><script>location='/'</script>",
    )
    yield from _named("an SVG drawing", svg, b'<?xml version="1.0"?>\n' + svg)
    yield from _named(
        "an XML document", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'
    )
    yield from _named("a JSON text", json.dumps({"error": "rate limited"}).encode())
    yield from _named(
        "a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    )


def _other_pictures() -> Iterator[HostileFile]:
    yield from _named(
        "a GIF picture",
        encoded(ASTRONAUT, "GIF"),
        encoded(ASTRONAUT, "GIF", save_all=True, append_images=[ASTRONAUT.rotate(90)]),
    )
    yield from _named("a BMP picture", encoded(ASTRONAUT, "BMP"))
    yield from _named("a TIFF picture", encoded(ASTRONAUT, "TIFF"), b"MM\0*" + REST)
    yield from _named("a BigTIFF picture", b"II+\0" + REST)
    yield from _named("a Canon raw picture (CR2)", b"II*\0\x10\0\0\0CR\2\0" + REST)
    yield from _named("a Canon raw picture (CR3)", box(b"ftyp", b"crx \0\0\0\1crx isom") + REST)
    yield from _named("an Olympus raw picture", b"IIRO" + REST)
    yield from _named("a Panasonic raw picture", b"IIU\0" + REST)
    yield from _named("a Fujifilm raw picture", b"FUJIFILMCCD-RAW 0201" + REST)
    yield from _named("a Sigma raw picture", b"FOVb" + REST)
    yield from _named("a Photoshop picture", b"8BPS\0\1" + REST)
    yield from _named("an icon", encoded(ASTRONAUT, "ICO"))
    yield from _named("a JPEG 2000 picture", encoded(ASTRONAUT, "JPEG2000"))
    yield from _named("a JPEG 2000 codestream", encoded(ASTRONAUT, "JPEG2000", no_jp2=True))
    yield from _named("a JPEG XL picture", b"\0\0\0\x0cJXL \r\n\x87\n" + REST)
    yield from _named("a JPEG XL codestream", b"\xff\x0a" + REST)
    yield from _named("an OpenEXR picture", b"v/1\1" + REST)
    yield from _named(
        "a HEIC picture, for which there is no decoder here",
        box(b"ftyp", b"heic\0\0\0\0mif1heic") + REST,
        box(b"ftyp", b"mif1\0\0\0\0mif1heic") + REST,
    )
    yield from _named("a HEIF picture", box(b"ftyp", b"mif1\0\0\0\0mif1") + REST)
    yield from _named("an animated AVIF", _animated("AVIF"))
    yield from _named("an animated PNG", _animated("PNG"))
    yield from _named("an animated WebP", _animated("WEBP"))


def _archives_programs_videos() -> Iterator[HostileFile]:
    yield from _named("a PDF document", PDF)
    yield from _named(
        "a PostScript document", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xc5\xd0\xd3\xc6" + REST
    )
    yield from _named("a ZIP archive", ZIP)
    yield from _named(
        "a gzip archive", gzip.compress(JPEG, 1, mtime=0), gzip.compress(bytes(10**6))
    )
    yield from _named("a bzip2 archive", bz2.compress(JPEG))
    yield from _named("an xz archive", lzma.compress(JPEG, preset=0))
    yield from _named("a RAR archive", b"Rar!\x1a\x07\x01\0" + REST)
    yield from _named("a 7z archive", b"7z\xbc\xaf\x27\x1c" + REST)
    yield from _named("a program (ELF)", b"\x7fELF\2\1\1" + REST)
    yield from _named("a program (Windows)", b"MZ\x90\0" + REST)
    yield from _named("a script", b"#!/bin/sh\nexit 0\n")
    yield from _named("a PHP script", b"<?php exit;")
    yield from _named("an MP4 video", MP4)
    yield from _named("a QuickTime video", box(b"ftyp", b"qt  \0\0\0\0qt  "), box(b"wide") + REST)
    yield from _named("a Matroska or WebM video", b"\x1aE\xdf\xa3" + REST)
    yield from _named("an AVI video", b"RIFF\0\1\0\0AVI " + REST)
    yield from _named("of no known type", REST)


def _false_beginnings() -> Iterator[HostileFile]:
    yield from _named("begins as a JPEG picture", JPEG[:2] + segment(0xE0, b"JFIF\0") + b"\xff\xd9")
    yield from _named("begins as a PNG picture", PNG[:8] + chunk(b"IEND"), claiming(PNG, 0, 0))
    yield from _named("begins as a WebP picture", riff((b"VP8 ", bytes(64))))
    yield from _named("begins as an AVIF picture", AVIF[: struct.unpack_from(">I", AVIF)[0]])


def _animated(kind: str) -> bytes:
    return encoded(ASTRONAUT, kind, save_all=True, append_images=[ASTRONAUT.rotate(90)])


def _cut_short() -> Iterator[HostileFile]:
    lossless = encoded(ASTRONAUT, "WEBP", lossless=True, method=0)
    wholes = {"JPEG": JPEG, "progressive JPEG": PROGRESSIVE, "PNG": PNG}
    wholes |= {"WebP": WEBP, "lossless WebP": lossless, "AVIF": AVIF}
    for name, whole in wholes.items():
        for part, content in (
            ("a half of a", whole[: len(whole) // 2]),
            ("all but a byte of a", whole[:-1]),
        ):
            yield HostileFile(
                f"{part} {name}", content, Reason.TRUNCATED, "ends before its picture"
            )
    without_end = {"JPEG without EOI": JPEG[:-2], "PNG without IEND": PNG[:-12]}
    without_end["JPEG whose thumbnail alone ends"] = with_segments(
        JPEG, segment(0xE1, b"Exif\0\0" + encoded(ASTRONAUT.resize((32, 32))))
    )[:9000]
    for name, content in without_end.items():
        yield HostileFile(name, content, Reason.TRUNCATED, "ends before its picture")
    pixels = b"".join(b"\0" + row.tobytes() for row in np.asarray(ASTRONAUT))
    header = PNG[:33]
    for name, idat in (
        ("PNG whose zlib stream is cut", zlib.compress(pixels)[:2000]),
        ("PNG whose zlib stream is none", bytes(2000)),
    ):
        content = header + chunk(b"IDAT", idat) + chunk(b"IEND")
        yield HostileFile(name, content, Reason.TRUNCATED, "damaged")


def _bombs() -> Iterator[HostileFile]:
    def bomb(name: str, content: bytes, words: str) -> HostileFile:
        return HostileFile(name, content, Reason.DECOMPRESSION_BOMB, words)

    canvas = struct.pack("<I", 0) + (16_382).to_bytes(3, "little") * 2
    interlaced = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 1)
    million = zlib.compress(bytes(1_100_000))
    almost = zlib.compress(bytes(1_040_000))
    yield bomb("JPEG of 65500×65500", claiming(JPEG, 65_500, 65_500), "65500×65500")
    yield bomb("PNG of 60000×60000", claiming(PNG, 60_000, 60_000), "60000×60000")
    yield bomb(
        "interlaced PNG bomb", PNG[:8] + chunk(b"IHDR", interlaced) + PNG[33:], "60000×60000"
    )
    yield bomb("PNG of the largest size", claiming(PNG, 2**31 - 1, 2**31 - 1), "2147483647")
    yield bomb("WebP of 16383×16383", claiming(WEBP, 16_383, 16_383), "16383×16383")
    yield bomb("WebP canvas bomb", riff((b"VP8X", canvas), (b"VP8 ", WEBP[20:])), "16383×16383")
    yield bomb(
        "lossless WebP of 16384×16384",
        riff((b"VP8L", b"\x2f\xff\xff\xff\x0f" + bytes(64))),
        "16384×16384",
    )
    yield bomb("AVIF of 65500×65500", claiming(AVIF, 65_500, 65_500), "65500×65500")
    yield bomb("JPEG of many scans", with_scans(PROGRESSIVE, 500), "scans of 256×256")
    yield bomb(
        "JPEG of many huge scans",
        with_scans(claiming(PROGRESSIVE, 9_000, 9_000), 20),
        "scans of 9000×9000",
    )
    yield bomb("JPEG of many comments", with_segments(JPEG, segment(0xFE) * 100_001), "parts")
    yield bomb("JPEG of fill bytes", with_segments(JPEG, b"\xff" * 100_001), "parts")
    yield bomb("JPEG of stuffed bytes", with_segments(JPEG, b"\xff\0" * 50_001), "parts")
    yield bomb(
        "JPEG of many EXIFs", with_segments(JPEG, segment(0xE1, b"Exif\0\0MM\0*") * 17), "EXIF"
    )
    yield bomb("PNG of many chunks", with_chunks(PNG, chunk(b"vpAg") * 100_001), "parts")
    yield bomb(
        "WebP of many chunks", riff((b"VP8 ", WEBP[20:]), *[(b"junk", b"")] * 100_001), "parts"
    )
    yield bomb("AVIF of many boxes", AVIF + box(b"free") * 100_001, "parts")
    yield bomb("PNG text bomb", with_chunks(PNG, chunk(b"zTXt", b"a\0\0" + million)), "too large")
    yield bomb(
        "PNG Unicode text bomb",
        with_chunks(PNG, chunk(b"iTXt", b"a\0\1\0\0\0" + million)),
        "too large",
    )
    yield bomb(
        "PNG profile bomb", with_chunks(PNG, chunk(b"iCCP", b"a\0\0" + million)), "too large"
    )
    yield bomb(
        "PNG of many texts", with_chunks(PNG, chunk(b"zTXt", b"a\0\0" + almost) * 66), "too large"
    )
    yield bomb(
        "PNG text bomb at the end",
        PNG[:-12] + chunk(b"zTXt", b"a\0\0" + million) + PNG[-12:],
        "too large",
    )


def _polyglots() -> Iterator[HostileFile]:
    def both(name: str, content: bytes, words: str) -> HostileFile:
        return HostileFile(name, content, Reason.POLYGLOT, words)

    rar, seven = b"Rar!\x1a\x07\x01\0" + bytes(64), b"7z\xbc\xaf\x27\x1c" + bytes(64)
    pictures = {"JPEG": JPEG, "PNG": PNG, "WebP": WEBP, "AVIF": AVIF}
    trailers = {"ZIP archive": ZIP, "HTML page": HTML, "PDF document": PDF, "RAR archive": rar}
    for picture, content in pictures.items():
        for trailer, behind in trailers.items():
            yield both(f"{picture} and {trailer}", content + behind, trailer)
    others = {
        "7z archive": seven,
        "gzip archive": gzip.compress(b"a line", mtime=0),
        "program (ELF)": b"\x7fELF\2\1\1" + bytes(64),
        "program (Windows)": b"MZ\x90\0" + bytes(64),
        "program (Java": b"\xca\xfe\xba\xbe\0\0\0\x41",
        "script": b"#!/bin/sh\nexit 0\n",
        "PHP script": b"<?php exit;",
        "SVG drawing": b'<svg onload="x()"/>',
        "XML document": b"<?xml version='1.0'?><a/>",
    }
    for trailer, behind in others.items():
        yield both(f"JPEG and {trailer}", JPEG + behind, trailer)
    yield both("JPEG, padding, HTML", JPEG + bytes(4096) + b"\n" + HTML, "HTML page")
    yield both("JPEG, a word, SCRIPT", JPEG + b"hello <SCRIPT >x()</SCRIPT>", "HTML page")
    yield both("JPEG, video, HTML", JPEG + MP4 + HTML, "HTML page")
    yield both("JPEG, video, PHP", JPEG + MP4 + b"<?php exit;", "PHP script")
    yield both("JPEG, JPEG, ZIP", JPEG + JPEG + ZIP, "ZIP archive")
    yield both("JPEG, ZIP, padding", JPEG + ZIP + bytes(512), "ZIP archive")
    yield both("empty ZIP behind a JPEG", JPEG + b"PK\5\6" + bytes(18), "ZIP archive")
    yield both("ZIP in a JPEG's comment", with_segments(JPEG, segment(0xFE, ZIP)), "ZIP archive")
    yield both("ZIP in a PNG's chunk", PNG[:-12] + chunk(b"ruSt", ZIP) + PNG[-12:], "ZIP archive")
    yield both("ZIP in a free box", AVIF + box(b"free", ZIP), "ZIP archive")
    yield both("PDF in a JPEG's comment", with_segments(JPEG, segment(0xFE, PDF)), "PDF document")
    yield both(
        "PDF in a PNG's text", with_chunks(PNG, chunk(b"tEXt", b"a\0" + PDF)), "PDF document"
    )
    yield both("RAR in a JPEG's comment", with_segments(JPEG, segment(0xFE, rar)), "RAR archive")


def _too_small() -> Iterator[HostileFile]:
    for width, height in ((199, 400), (5_000, 2), (1, 10_000)):
        content = encoded(Image.new("RGB", (width, height)), "PNG")
        yield HostileFile(f"{width}×{height} px", content, Reason.TOO_SMALL, f"{width}×{height}")
    without_height = claiming(JPEG, 256, 0)
    yield HostileFile("JPEG of no height", without_height, Reason.NOT_AN_IMAGE, "not built as one")


HOSTILE: list[HostileFile] = list(
    chain(
        _words(),
        _other_pictures(),
        _archives_programs_videos(),
        _false_beginnings(),
        _cut_short(),
        _bombs(),
        _polyglots(),
        _too_small(),
    )
)
