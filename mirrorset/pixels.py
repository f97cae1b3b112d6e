"""Encoded bytes → pixels and the facts a record needs; refusing what is not a whole picture."""

import hashlib
import io
import warnings

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from mirrorset.errors import InputError
from mirrorset.records import ImageRecord, Reason, Record

_FORMATS = ("JPEG", "PNG", "WEBP")
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
# A phone's JPEG may carry further pictures behind the first; Pillow then calls it MPO.
_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
}


class PixelParams(Record):
    """What counts as a usable picture.

    min_side_px: shorter side. max_pixels: width × height beyond which bytes are not decoded.
    """

    min_side_px: int = 200
    max_pixels: int = 100_000_000


class UnusableImageError(Exception):
    """Bytes that are no whole picture of a supported type, with the reason for a record."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def inspect(content: bytes, params: PixelParams) -> ImageRecord:
    """The ImageRecord of `content`, its type sniffed from the bytes.

    Raises UnusableImageError (NOT_AN_IMAGE, DECOMPRESSION_BOMB, TRUNCATED, TOO_SMALL).
    """
    media_type, upright = _upright(content, params.max_pixels)
    if min(upright.size) < params.min_side_px:
        raise UnusableImageError(
            Reason.TOO_SMALL,
            f"{upright.width}×{upright.height} px, under {params.min_side_px} px on a side.",
        )
    rgb = np.asarray(upright)
    return ImageRecord(
        image_id=hashlib.sha256(content).hexdigest(),
        media_type=media_type,
        size_bytes=len(content),
        width_px=upright.width,
        height_px=upright.height,
        pixel_hash=pixel_hash(rgb),
        phash=str(imagehash.phash(upright)),
    )


def decode(content: bytes) -> NDArray[np.uint8]:
    """Upright RGB pixels (H, W, 3) uint8 of `content`.

    Raises InputError where the bytes are no whole picture.
    """
    try:
        return np.asarray(_upright(content, PixelParams().max_pixels)[1])
    except UnusableImageError as unusable:
        raise InputError(f"This picture cannot be decoded: {unusable.detail}") from None


def pixel_hash(rgb: NDArray[np.uint8]) -> str:
    """sha256 over the shape and the bytes of (H, W, 3) uint8 pixels."""
    return hashlib.sha256(repr(rgb.shape).encode() + rgb.tobytes()).hexdigest()


def phash(rgb: NDArray[np.uint8]) -> str:
    """64-bit DCT hash of (H, W, 3) uint8 pixels as 16 hex digits (imagehash.phash)."""
    return str(imagehash.phash(Image.fromarray(rgb)))


def hamming(a: str, b: str) -> int:
    """Number of differing bits of two hex hashes of equal length."""
    return (int(a, 16) ^ int(b, 16)).bit_count()


def _upright(content: bytes, max_pixels: int) -> tuple[str, Image.Image]:
    """Media type and upright RGB picture, its size checked before any pixel is decoded.

    Every fault becomes UnusableImageError: Pillow's parsers raise whatever corrupt bytes lead to.
    """
    with warnings.catch_warnings():
        # The size is judged below, by our own limit; other warnings are of corrupt metadata.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(content), formats=list(_FORMATS))
        except Image.DecompressionBombError:
            raise UnusableImageError(
                Reason.DECOMPRESSION_BOMB, f"The header claims far more than {max_pixels} pixels."
            ) from None
        except Exception as error:
            raise UnusableImageError(
                Reason.NOT_AN_IMAGE, "The bytes are no JPEG, PNG or WebP picture."
            ) from error
        with image:
            if image.width * image.height > max_pixels:
                raise UnusableImageError(
                    Reason.DECOMPRESSION_BOMB,
                    f"The header claims {image.width}×{image.height} px, over {max_pixels} pixels.",
                )
            try:
                rgb = _rgb(image)
            except Exception as error:
                raise UnusableImageError(
                    Reason.TRUNCATED, f"The picture is damaged or ends early: {error}."
                ) from error
            turn = _TURNS.get(_orientation(image))
            upright = rgb if turn is None else rgb.transpose(turn)
            return _MEDIA_TYPES[str(image.format)], upright


def _rgb(image: Image.Image) -> Image.Image:
    image.load()
    if image.mode.startswith("I"):
        # 16-bit grey, which Pillow would clip to white: the high byte, as it does for colour.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whatever corrupt metadata leads to: the pixels are whole
        return None
