"""Pictures as they are meant to be seen, without a tag that says how to turn them.

Not every reader looks at EXIF's orientation, nor at AVIF's irot and imir, and labels are of the
upright picture. Where one is to be turned, its pixels are, and are encoded anew in the same format;
all others keep their bytes. Settings are fixed: with the same libraries the same bytes come out.
"""

import io
import warnings
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from curation.strip_png import SIGNATURE, chunk, chunks
from mirrorset.anatomy import boxes
from mirrorset.pixels import PILLOW_FORMATS, turn_of

# Chunks that say what a PNG's numbers mean in colours, in the order in which they are written.
_PNG_COLOURS = (b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI")
_PNG_PIXELS = (b"PLTE", b"tRNS", b"IDAT")
_JPEG: dict[str, Any] = {"quality": 95, "subsampling": "4:4:4"}
_WEBP: dict[str, Any] = {"quality": 95, "method": 4, "use_sharp_yuv": True}
_WEBP_LOSSLESS: dict[str, Any] = {"lossless": True, "exact": True, "quality": 80, "method": 4}
# The tiles that libavif makes depend on the number of threads.
_AVIF: dict[str, Any] = {"quality": 95, "subsampling": "4:4:4", "speed": 6, "max_threads": 1}
_Deep = NDArray[np.uint16]
_DEEP_TURNS: dict[Image.Transpose, Callable[[_Deep], _Deep]] = {
    Image.Transpose.FLIP_LEFT_RIGHT: lambda pixels: pixels[:, ::-1],
    Image.Transpose.FLIP_TOP_BOTTOM: lambda pixels: pixels[::-1],
    Image.Transpose.ROTATE_90: lambda pixels: np.rot90(pixels, 1),
    Image.Transpose.ROTATE_180: lambda pixels: np.rot90(pixels, 2),
    Image.Transpose.ROTATE_270: lambda pixels: np.rot90(pixels, 3),
    Image.Transpose.TRANSPOSE: lambda pixels: pixels.swapaxes(0, 1),
    Image.Transpose.TRANSVERSE: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
}


def upright(content: bytes, media_type: str) -> bytes:
    """`content` itself where its stored pixels lie upright, else the turned picture.

    PNG and lossless WebP lose nothing. JPEG, WebP and AVIF are encoded at quality 95, JPEG and AVIF
    without subsampling of colours, AVIF in 8 bits. The colour profile comes along.

    Raises whatever corrupt bytes lead Pillow's parsers to.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of corrupt metadata, which are not kept
        with _opened(content, media_type) as image:
            turn = turn_of(image)
            if turn is None:
                return content
            if media_type == "image/png":
                return _turned_png(content, image, turn)
            if media_type == "image/avif":
                return _with_primaries(content, _turned(image, turn, "AVIF", _AVIF))
            if media_type == "image/jpeg":
                return _turned(image, turn, "JPEG", _JPEG)
            settings = _WEBP_LOSSLESS if _is_lossless(content) else _WEBP
            return _turned(image, turn, "WEBP", settings)


def _opened(content: bytes, media_type: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=[PILLOW_FORMATS[media_type]])
    except UnidentifiedImageError:  # names an object in memory
        raise ValueError("it cannot be opened") from None


def _turned(
    image: Image.Image, turn: Image.Transpose, form: str, settings: dict[str, Any]
) -> bytes:
    out = io.BytesIO()
    profile = image.info.get("icc_profile")
    image.transpose(turn).save(out, form, icc_profile=profile, **settings)
    return out.getvalue()


def _is_lossless(webp: bytes) -> bool:
    """Whether a still WebP's pixels are in a VP8L chunk (RFC 9649); ALPH, too, stands before it."""
    at = 12
    while at + 8 <= len(webp):
        kind = webp[at : at + 4]
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        length = int.from_bytes(webp[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return False


# --- PNG -----------------------------------------------------------------------------------------


def _turned_png(content: bytes, image: Image.Image, turn: Image.Transpose) -> bytes:
    """The pixels as the encoder writes them, the chunks about colour as they were."""
    is_deep = content[24] == 16 and image.mode != "I;16"
    encoded = _turned_deep(content, turn) if is_deep else _turned(image, turn, "PNG", {})
    written = list(chunks(encoded))
    colours = dict(chunks(content))
    parts = [
        *(one for one in written if one[0] == b"IHDR"),
        *((kind, colours[kind]) for kind in _PNG_COLOURS if kind in colours),
        *(one for one in written if one[0] in _PNG_PIXELS),
        (b"IEND", b""),
    ]
    return SIGNATURE + b"".join(chunk(*part) for part in parts)


def _turned_deep(content: bytes, turn: Image.Transpose) -> bytes:
    """PNG of 16-bit colours, which Pillow would read as 8-bit ones."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("its pixels cannot be decoded")
    turned = _DEEP_TURNS[turn](pixels.astype(np.uint16, copy=False))
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(turned))
    return encoded.tobytes()


# --- AVIF ----------------------------------------------------------------------------------------


def _with_primaries(content: bytes, turned: bytes) -> bytes:
    """`turned` with the primaries and the transfer function that `content` names by number."""
    named, written = _primaries(content), _primaries(turned)
    if named is None or written is None:
        return turned
    return turned[:written] + content[named : named + 4] + turned[written + 4 :]


def _primaries(avif: bytes) -> int | None:
    """Where a colr box of numbers (ISO/IEC 14496-12, 12.1.5) has these two, of 2 bytes each."""
    spans = [(0, len(avif))]
    for wanted, skipped in ((b"meta", 4), (b"iprp", 0), (b"ipco", 0), (b"colr", 0)):
        spans = [
            (start + skipped, stop)
            for span in spans
            for kind, start, stop in boxes(avif, *span)
            if kind == wanted
        ]
    return next((start + 4 for start, _ in spans if avif[start : start + 4] == b"nclx"), None)
