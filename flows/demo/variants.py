"""Files made from files, the same bytes every time: near-duplicates, broken and hostile ones."""

import io
import struct
import zlib

from PIL import Image, ImageOps


def reencoded(content: bytes) -> bytes:
    """The picture as a JPEG of quality 60."""
    return _jpeg(_upright(content), quality=60)


def mirrored(content: bytes) -> bytes:
    """The picture with left and right exchanged, as a JPEG."""
    return _jpeg(ImageOps.mirror(_upright(content)), quality=92)


def recropped(content: bytes) -> bytes:
    """The picture as others post it again: a little less of every side, not the same of each."""
    return _jpeg(_cropped(_upright(content), (0.04, 0.03, 0.08, 0.06)), quality=92)


def trimmed(content: bytes, margin: float) -> bytes:
    """The picture without `margin` (a share of width and height) at each side, as a JPEG."""
    return _jpeg(_cropped(_upright(content), (margin, margin, margin, margin)), quality=90)


def cut_short(content: bytes) -> bytes:
    """A download that broke off: the header is whole, 60 % of the bytes are there."""
    return content[: len(content) * 6 // 10]


def bomb(side_px: int) -> bytes:
    """A PNG of under 200 bytes whose valid header claims a square of `side_px`, RGB."""
    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    # Level 0 stores without compressing: the same bytes from every build of zlib.
    pixels = zlib.compress(bytes(64), level=0)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND")
    )


def _chunk(kind: bytes, data: bytes = b"") -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def _upright(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def _cropped(image: Image.Image, shares: tuple[float, float, float, float]) -> Image.Image:
    """Without these shares of width and height at the left, top, right and bottom."""
    left, top, right, bottom = shares
    width, height = image.size
    return image.crop(
        (
            round(left * width),
            round(top * height),
            round((1 - right) * width),
            round((1 - bottom) * height),
        )
    )


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()
