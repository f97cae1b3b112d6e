"""Pixels: what is no whole picture is refused for its own reason; what is, is upright."""

import contextlib
import io
import struct
from pathlib import Path

import imagehash
import numpy as np
import pytest
import simplejpeg
from blake3 import blake3
from hostile_files import (
    MP4,
    box,
    chunk,
    claiming,
    encoded,
    segment,
    with_chunks,
    with_scans,
    with_segments,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps, features
from skimage import data

from mirrorset.errors import InputError
from mirrorset.pixels import (
    PixelParams,
    UnusableImageError,
    decode,
    hamming,
    inspect,
    phash,
)
from mirrorset.records import Reason


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    return Image.fromarray(data.astronaut())


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
    assert refused(claiming(encoded(astronaut, "PNG"), 60000, 60000)) is Reason.DECOMPRESSION_BOMB
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


def test_the_facts_are_those_that_the_docstrings_promise(shared_data: Path) -> None:
    paths = sorted((shared_data / "photos").rglob("*.jpg"))
    for path in paths[::24]:
        with Image.open(path) as image:
            rgb = ImageOps.exif_transpose(image).convert("RGB")
        for picture in (rgb, rgb.resize((331, 457))):
            content = encoded(picture, "WEBP", lossless=True, method=0)
            record = inspect(content, PixelParams())
            pixels = repr((picture.height, picture.width, 3)).encode() + picture.tobytes()
            assert record.pixel_hash == blake3(pixels).hexdigest()
            assert record.phash == phash(np.asarray(picture))
            assert hamming(record.phash, str(imagehash.phash(picture))) <= 4


def test_real_photographs_pass_as_they_are(shared_data: Path) -> None:
    for path in sorted((shared_data / "photos").rglob("*.jpg"))[::12]:
        assert inspect(path.read_bytes(), PixelParams(min_side_px=1)).media_type == "image/jpeg"


def test_jpegs_have_the_pixels_that_pillow_reads(shared_data: Path, astronaut: Image.Image) -> None:
    files = [path.read_bytes() for path in sorted((shared_data / "photos").rglob("*.jpg"))[::12]]
    for side in (1, 17, 333):
        for subsampling in ("4:4:4", "4:2:2", "4:2:0", "keep_rgb"):
            options = (
                {"keep_rgb": True} if subsampling == "keep_rgb" else {"subsampling": subsampling}
            )
            picture = astronaut.resize((side, 333))
            files.append(encoded(picture, "JPEG", **options))
            files.append(encoded(picture, "JPEG", progressive=True, **options))
    for content in files:
        with Image.open(io.BytesIO(content)) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        assert np.array_equal(decode(content), np.asarray(upright))


def test_what_the_decoder_only_warns_of_is_judged_by_pillow(astronaut: Image.Image) -> None:
    content = encoded(astronaut, "JPEG")
    # A scan that ends early, and the end marker after all: the rest is filled in.
    short = content[: len(content) // 2] + content[-2:]
    with pytest.raises(ValueError, match="premature end"):
        simplejpeg.decode_jpeg(short, strict=True)
    with Image.open(io.BytesIO(short)) as image:
        assert np.array_equal(decode(short), np.asarray(image))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_every_mode_is_read(mode: str, astronaut: Image.Image) -> None:
    kind = "JPEG" if mode in {"CMYK", "YCbCr"} else "PNG"
    picture = astronaut.convert("L").convert(mode) if mode == "I;16" else astronaut.convert(mode)
    assert decode(encoded(picture, kind)).shape == (512, 512, 3)


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
def test_avif_is_read_and_turned_upright(astronaut: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = encoded(astronaut.crop((0, 0, 400, 300)), "AVIF", exif=exif, speed=10)
    record = inspect(lying, PixelParams())
    assert (record.media_type, record.width_px, record.height_px) == ("image/avif", 300, 400)
    assert decode(lying).shape == (400, 300, 3)


@pytest.mark.parametrize("feature", ["avif", "webp"])
def test_without_its_decoder_a_picture_is_refused_by_name(
    feature: str, astronaut: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(astronaut.resize((32, 32)), feature.upper())
    monkeypatch.setattr(features, "check", lambda name: name != feature)
    with pytest.raises(UnusableImageError, match=r"for which there is no decoder here\.$"):
        inspect(content, PixelParams(min_side_px=1))


SAMSUNG = b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1732492800000SEFH" + bytes(20) + b"SEFT"


@pytest.mark.parametrize(
    "trailer",
    [
        MP4,
        SAMSUNG,
        MP4 + SAMSUNG,
        bytes(4096),
        b"\xff" * 64,
        b"\n",
        b'vivo{"id":1}',
        b"MPF of a maker",
    ],
    ids=["motion photo", "Samsung", "both", "zeros", "fill", "newline", "Vivo", "maker's block"],
)
def test_what_phones_append_is_no_polyglot(trailer: bytes, astronaut: Image.Image) -> None:
    whole = encoded(astronaut)
    assert (
        inspect(whole + trailer, PixelParams()).pixel_hash
        == inspect(whole, PixelParams()).pixel_hash
    )


def test_words_in_metadata_are_no_polyglot(astronaut: Image.Image) -> None:
    words = b"How to write <html> and <script> by hand"
    xmp = b"http://ns.adobe.com/xap/1.0/\0<?xpacket begin=''?><x:xmpmeta>" + words
    jpeg = with_segments(encoded(astronaut), segment(0xE1, xmp), segment(0xFE, words))
    png = with_chunks(encoded(astronaut, "PNG"), chunk(b"tEXt", b"Title\0" + words))
    for content in (jpeg, png):
        assert inspect(content, PixelParams()).width_px == 512


def test_a_box_behind_an_avif_is_no_polyglot(astronaut: Image.Image) -> None:
    content = encoded(astronaut, "AVIF", speed=10) + box(b"free", bytes(100))
    assert inspect(content, PixelParams()).width_px == 512


def test_an_ordinary_progressive_jpeg_passes(astronaut: Image.Image) -> None:
    progressive = encoded(astronaut, progressive=True)
    assert inspect(progressive, PixelParams()).width_px == 512
    assert inspect(with_scans(progressive, 400), PixelParams()).width_px == 512
    with pytest.raises(UnusableImageError, match="10 scans"):
        inspect(progressive, PixelParams(max_scans=8))


def test_a_corrupt_profile_does_not_cost_the_picture(astronaut: Image.Image) -> None:
    for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
        content = encoded(astronaut, kind, icc_profile=b"no profile at all" * 20)
        assert inspect(content, PixelParams()).width_px == 512


SMALL = Image.fromarray(data.astronaut()[::16, ::16])
EXIF = Image.Exif()
EXIF.update({0x0112: 6, 0x010F: "maker", 0x011A: 72.0})
EXIF.get_ifd(0x8769)[0x9003] = "2026:11:23 12:00:00"
WITH_EXIF = {kind: encoded(SMALL, kind, exif=EXIF) for kind in ("JPEG", "PNG", "WEBP", "MPO")}


WHOLE = {
    **WITH_EXIF,
    "progressive JPEG": encoded(SMALL, progressive=True),
    "palette PNG": encoded(SMALL.convert("P"), "PNG"),
    "lossless WebP": encoded(SMALL, "WEBP", lossless=True),
    "AVIF": encoded(SMALL, "AVIF"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_no_strict_prefix_of_a_picture_passes(kind: str) -> None:
    whole, params = WHOLE[kind], PixelParams(min_side_px=1)
    assert inspect(whole, params).width_px == 32
    for length in range(len(whole)):
        with pytest.raises(UnusableImageError) as refusal:
            inspect(whole[:length], params)
        assert refusal.value.reason in {Reason.TRUNCATED, Reason.NOT_AN_IMAGE}
        with pytest.raises(InputError):
            decode(whole[:length])


@pytest.mark.parametrize(("tag", "kind"), [(0x010F, 9), (0x010F, 12), (0x011A, 2), (0x011A, 7)])
def test_corrupt_exif_does_not_cost_the_picture(tag: int, kind: int) -> None:
    content = bytearray(WITH_EXIF["JPEG"])
    content[content.index(struct.pack(">H", tag)) + 3] = kind
    assert inspect(bytes(content), PixelParams(min_side_px=1)).width_px == 32


@pytest.mark.parametrize("kind", WHOLE)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 400) | st.integers(0, 4000), st.integers(0, 255)), max_size=8
    ),
    cut=st.none() | st.integers(0, 4000),
)
def test_no_bytes_raise_anything_else(
    kind: str, changes: list[tuple[int, int]], cut: int | None
) -> None:
    content = bytearray(WHOLE[kind])
    for at, value in changes:
        content[at % len(content)] = value
    with contextlib.suppress(UnusableImageError):
        inspect(bytes(content[:cut]), PixelParams(min_side_px=1, max_pixels=10**6))
    with contextlib.suppress(InputError):
        decode(bytes(content[:cut]))


def test_near_duplicates_have_near_hashes(astronaut: Image.Image) -> None:
    rgb = np.asarray(astronaut)
    again = decode(encoded(astronaut, quality=40))
    assert hamming(phash(rgb), phash(again)) <= 6
    assert hamming(phash(rgb), phash(data.coffee())) > 16
