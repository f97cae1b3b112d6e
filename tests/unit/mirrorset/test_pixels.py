"""Pixels: what is no whole picture is refused for its own reason; what is, is upright."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from skimage import data

from mirrorset.errors import InputError
from mirrorset.pixels import PixelParams, UnusableImageError, decode, hamming, inspect, phash
from mirrorset.records import Reason


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    return Image.fromarray(data.astronaut())


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60000 × 60000 px."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b"")
    )


def refused(content: bytes) -> Reason:
    with pytest.raises(UnusableImageError) as refusal:
        inspect(content, PixelParams())
    return refusal.value.reason


def test_facts_of_a_picture(astronaut: Image.Image) -> None:
    record = inspect(encoded(astronaut, "PNG"), PixelParams())
    assert (record.width_px, record.height_px) == (512, 512)
    assert record.media_type == "image/png"
    assert (
        record.pixel_hash
        == inspect(encoded(astronaut, "WEBP", lossless=True), PixelParams()).pixel_hash
    )


def test_bad_bytes_are_refused_for_their_own_reason(astronaut: Image.Image) -> None:
    whole = encoded(astronaut)
    assert refused(whole[: len(whole) // 2]) is Reason.TRUNCATED
    assert refused(bomb()) is Reason.DECOMPRESSION_BOMB
    assert refused(b"<html>not found</html>") is Reason.NOT_AN_IMAGE
    assert refused(b"") is Reason.NOT_AN_IMAGE
    assert refused(encoded(astronaut, "GIF")) is Reason.NOT_AN_IMAGE
    assert refused(encoded(astronaut.resize((100, 400)))) is Reason.TOO_SMALL
    assert refused(encoded(astronaut.resize((5000, 2)))) is Reason.TOO_SMALL


def test_a_cut_png_is_truncated(astronaut: Image.Image) -> None:
    whole = encoded(astronaut, "PNG")
    assert refused(whole[: len(whole) // 2]) is Reason.TRUNCATED
    with pytest.raises(InputError, match="cannot be decoded"):
        decode(whole[:5000])


def test_a_jpeg_with_further_pictures_is_a_jpeg(astronaut: Image.Image) -> None:
    several = encoded(astronaut, "MPO", save_all=True, append_images=[astronaut.resize((64, 64))])
    record = inspect(several, PixelParams())
    assert (record.media_type, record.width_px) == ("image/jpeg", 512)


def test_pictures_are_turned_upright(astronaut: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    lying = encoded(astronaut.crop((0, 0, 400, 300)), exif=exif)
    record = inspect(lying, PixelParams())
    assert (record.width_px, record.height_px) == (300, 400)
    assert decode(lying).shape == (400, 300, 3)


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_turned_as_pillow_does(
    orientation: int, astronaut: Image.Image
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(astronaut.resize((24, 16)), "PNG", exif=exif)
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(decode(content), np.asarray(ImageOps.exif_transpose(image)))


def test_sixteen_bits_become_eight(astronaut: Image.Image) -> None:
    grey = np.asarray(astronaut.convert("L"))
    deep = encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG")
    assert np.array_equal(decode(deep), np.stack([grey] * 3, axis=-1))
    assert (
        inspect(deep, PixelParams()).pixel_hash
        == inspect(encoded(Image.fromarray(grey), "PNG"), PixelParams()).pixel_hash
    )


SMALL = Image.fromarray(data.astronaut()[::16, ::16])
EXIF = Image.Exif()
EXIF.update({0x0112: 6, 0x010F: "maker", 0x011A: 72.0})
EXIF.get_ifd(0x8769)[0x9003] = "2026:11:23 12:00:00"
WITH_EXIF = {kind: encoded(SMALL, kind, exif=EXIF) for kind in ("JPEG", "PNG", "WEBP", "MPO")}


@pytest.mark.parametrize(("tag", "kind"), [(0x010F, 9), (0x010F, 12), (0x011A, 2), (0x011A, 7)])
def test_corrupt_exif_does_not_cost_the_picture(tag: int, kind: int) -> None:
    content = bytearray(WITH_EXIF["JPEG"])
    content[content.index(struct.pack(">H", tag)) + 3] = kind
    assert inspect(bytes(content), PixelParams(min_side_px=1)).width_px == 32


@pytest.mark.parametrize("kind", WITH_EXIF)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 400) | st.integers(0, 4000), st.integers(0, 255)), max_size=8
    ),
    cut=st.none() | st.integers(0, 4000),
)
def test_no_bytes_raise_anything_else(
    kind: str, changes: list[tuple[int, int]], cut: int | None
) -> None:
    content = bytearray(WITH_EXIF[kind])
    for at, value in changes:
        content[at % len(content)] = value
    with contextlib.suppress(UnusableImageError):
        inspect(bytes(content[:cut]), PixelParams(min_side_px=1, max_pixels=10**6))


def test_near_duplicates_have_near_hashes(astronaut: Image.Image) -> None:
    rgb = np.asarray(astronaut)
    again = decode(encoded(astronaut, quality=40))
    assert hamming(phash(rgb), phash(again)) <= 6
    assert hamming(phash(rgb), phash(data.coffee())) > 16
