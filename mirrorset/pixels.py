"""Encoded bytes → pixels and the facts a record needs; refusing what is not a whole picture."""

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import simplejpeg
from blake3 import blake3
from numpy.typing import NDArray
from PIL import ExifTags, Image, features

from mirrorset.anatomy import MOST_EXIF_PARTS, MOST_PARTS, dissect
from mirrorset.errors import InputError
from mirrorset.records import ImageRecord, Reason, Record
from mirrorset.sniff import HEIC, Kind, hidden, sniff

# EXIF 2.32, tag 0x0112: how the stored picture is to be turned.
_TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# The first rows of the discrete cosine transform (type II), scale left out: a hash of signs.
_PHASH_SIDE_PX = 32
_SAMPLED_ROWS = 256
_COSINES = np.cos(np.pi / _PHASH_SIDE_PX * np.outer(np.arange(8), np.arange(_PHASH_SIDE_PX) + 0.5))
# Pillow's names. A phone's JPEG may carry further pictures behind the first: MPO, opened by JPEG.
PILLOW_FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
}
# Decoders that Pillow may have been built without.
_OPTIONAL = {"image/webp": "webp", "image/avif": "avif"}


class PixelParams(Record):
    """What counts as a usable picture, and how much work a file may ask for.

    min_side_px: shorter side. max_pixels: width × height beyond which bytes are not decoded.
    max_scans: passes a progressive JPEG may make; ordinary ones make 10, and libjpeg-turbo's own
    fuzz targets allow 500. max_scan_pixels: width × height × scans. A few hundred bytes make one
    more scan of a huge picture ("Two Issues with the JPEG Standard", libjpeg-turbo.org), and a
    decoder in a thread cannot be interrupted, so its time is bounded here: a scan takes about
    1 ns a pixel.
    """

    min_side_px: int = 200
    max_pixels: int = 100_000_000
    max_scans: int = 500
    max_scan_pixels: int = 2_000_000_000


class UnusableImageError(Exception):
    """Bytes that are no whole picture of a supported type, with the reason for a record."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def inspect(content: bytes, params: PixelParams) -> ImageRecord:
    """The ImageRecord of `content`, its type sniffed from the bytes.

    A file is whole by its structure: its last byte is there, and its decoder did not stop. What
    the decoder fills in without a word, as libjpeg does for a scan that ends early in a file that
    goes on to its end, is not noticed.

    Raises UnusableImageError (NOT_AN_IMAGE, DECOMPRESSION_BOMB, TRUNCATED, POLYGLOT, TOO_SMALL).
    """
    media_type, rgb = _upright(content, params)
    height, width = rgb.shape[:2]
    return ImageRecord(
        image_id=hashlib.sha256(content).hexdigest(),
        media_type=media_type,
        size_bytes=len(content),
        width_px=width,
        height_px=height,
        pixel_hash=_pixel_hash(rgb),
        phash=phash(rgb),
    )


def decode(content: bytes) -> NDArray[np.uint8]:
    """Upright RGB pixels (H, W, 3) uint8 of `content`.

    Raises InputError where the bytes are no whole picture.
    """
    try:
        return _upright(content, PixelParams(min_side_px=1))[1]
    except UnusableImageError as unusable:
        raise InputError(f"This picture cannot be decoded: {unusable.detail}") from None


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What turns the stored pixels of `image` upright; None where they lie so.

    EXIF says it, or XMP where EXIF does not; of AVIF, irot and imir do.
    """
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # whatever corrupt metadata leads to: the pixels are whole
        return None


def _pixel_hash(rgb: NDArray[np.uint8]) -> str:
    """BLAKE3 over the shape (H, W, 3) and the bytes of an RGB picture, in 64 hex digits.

    sha256 takes three times as long, which a crawl of millions feels.
    """
    digest = blake3(repr(rgb.shape).encode())
    digest.update(rgb.data)
    return str(digest.hexdigest())


def phash(rgb: NDArray[np.uint8]) -> str:
    """64-bit DCT hash of (H, W, 3) uint8 pixels as 16 hex digits.

    As imagehash.phash computes it (C. Zauner, "Implementation and benchmarking of perceptual image
    hash functions", 2010): which of the 8×8 lowest frequencies of the grey picture at 32×32 px are
    above their median. Here 256 rows or a few more are looked at, averaged over squares down to
    about 64 px, and made grey last: that takes less than a third of the time. On 360 photographs
    the two were equal 324 times, and differed in two bits else.
    """
    rows = Image.fromarray(np.ascontiguousarray(rgb[:: max(1, len(rgb) // _SAMPLED_ROWS)]))
    small = rows.resize((_PHASH_SIDE_PX,) * 2, Image.Resampling.LANCZOS, reducing_gap=2)
    lowest = _COSINES @ np.asarray(small.convert("L")) @ _COSINES.T
    return np.packbits(lowest > np.median(lowest)).tobytes().hex()


def hamming(a: str, b: str) -> int:
    """Number of differing bits of two hex hashes of equal length."""
    return (int(a, 16) ^ int(b, 16)).bit_count()


def _upright(content: bytes, params: PixelParams) -> tuple[str, NDArray[np.uint8]]:
    """Media type and upright RGB pixels (H, W, 3)."""
    with _opened(content, params) as (kind, image):
        rgb = _rgb(image, content)
        turn = turn_of(image)
        if turn is not None:
            rgb = np.asarray(Image.fromarray(rgb).transpose(turn))
        return kind.media_type, rgb


@contextmanager
def _opened(content: bytes, params: PixelParams) -> Iterator[tuple[Kind, Image.Image]]:
    """A picture to decode; what the file claims is judged before.

    Every fault, of decoding too, becomes UnusableImageError: Pillow's parsers raise whatever
    corrupt bytes lead to.
    """
    kind = sniff(content)
    _refuse_unreadable(kind)
    _refuse_misbuilt(content, kind, params)
    with warnings.catch_warnings():
        # The size is judged by our own limit; other warnings are of corrupt metadata.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(content), formats=[PILLOW_FORMATS[kind.media_type]])
        except Exception as error:
            if _is_limit(error):
                raise _bomb(f"Its metadata or pixels are too large to be read: {error}.") from error
            raise UnusableImageError(
                Reason.NOT_AN_IMAGE, f"The file begins as {kind.name}, but is not built as one."
            ) from error
        with image:
            _refuse_size(image.width, image.height, params)
            try:
                yield kind, image
            except Exception as error:
                if _is_limit(error):
                    raise _bomb(f"Its metadata are too large to be read: {error}.") from error
                raise UnusableImageError(
                    Reason.TRUNCATED, f"The picture is damaged or ends early: {error}."
                ) from error


def _refuse_unreadable(kind: Kind) -> None:
    """By name; HEIC for want of a decoder, others because mirrorset reads no such files."""
    feature = _OPTIONAL.get(kind.media_type)
    if kind == HEIC or (feature and not features.check(feature)):
        raise UnusableImageError(
            Reason.NOT_AN_IMAGE, f"The file is {kind.name}, for which there is no decoder here."
        )
    if not kind.media_type:
        raise UnusableImageError(
            Reason.NOT_AN_IMAGE, f"The file is {kind.name}, not a JPEG, PNG, WebP or AVIF picture."
        )


def _refuse_misbuilt(content: bytes, kind: Kind, params: PixelParams) -> None:
    """By the file's own structure, before its decoder is given a byte."""
    anatomy = dissect(content, kind.media_type)
    width, height, scans = anatomy.width_px, anatomy.height_px, anatomy.scans
    if anatomy.is_animated:
        raise UnusableImageError(
            Reason.NOT_AN_IMAGE, f"The file is an animated {kind.name.split()[1]}."
        )
    if width * height > params.max_pixels:
        raise _bomb(f"The header claims {width}×{height} px, over {params.max_pixels} pixels.")
    if scans > params.max_scans or width * height * scans > params.max_scan_pixels:
        raise _bomb(
            f"{scans} scans of {width}×{height} px: over {params.max_scans} scans or "
            f"{params.max_scan_pixels} pixels in all scans."
        )
    if anatomy.parts > MOST_PARTS or anatomy.exif_parts > MOST_EXIF_PARTS:
        raise _bomb(
            f"The file is made of over {MOST_PARTS} parts, or over {MOST_EXIF_PARTS} of EXIF."
        )
    if anatomy.end is None:
        raise UnusableImageError(Reason.TRUNCATED, "The file ends before its picture does.")
    if other := hidden(content, anatomy.end):
        raise UnusableImageError(
            Reason.POLYGLOT, f"The file is {kind.name} and {other.name} at once."
        )


def _refuse_size(width: int, height: int, params: PixelParams) -> None:
    if width * height > params.max_pixels:
        raise _bomb(f"The header claims {width}×{height} px, over {params.max_pixels} pixels.")
    if min(width, height) < params.min_side_px:
        raise UnusableImageError(
            Reason.TOO_SMALL, f"{width}×{height} px, under {params.min_side_px} px on a side."
        )


def _bomb(detail: str) -> UnusableImageError:
    return UnusableImageError(Reason.DECOMPRESSION_BOMB, detail)


def _is_limit(error: Exception) -> bool:
    """Whether one of Pillow's limits was met: most of them raise a ValueError without a class."""
    limits = ("too large", "Too much memory", "exceeds limit")
    return any(words in str(error) for words in limits)


def _rgb(image: Image.Image, content: bytes) -> NDArray[np.uint8]:
    if image.format in ("JPEG", "MPO") and image.mode == "RGB":
        try:
            # The same library and the same pixels as Pillow's, a fourth sooner: no copy in between.
            return np.asarray(simplejpeg.decode_jpeg(content, strict=True))
        except ValueError:
            # What the library only warns of, Pillow judges.
            pass
    image.load()
    if image.mode.startswith("I"):
        # 16-bit grey, which Pillow would clip to white: the high byte, as it does for colour.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
