import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from curation.strip import strip
from mirrorset.errors import InputError
from mirrorset.pixels import decode

MEDIA_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
}
SECRET = b"SN-0123456789"
GPS, BODY_SERIAL_NUMBER, ORIENTATION, MAKE = 0x8825, 0xA431, 0x0112, 0x010F


def traced(media_type: str, orientation: int | None = None, **options: object) -> bytes:
    """A small picture with a serial number, a place, XMP and a profile."""
    rng = np.random.default_rng(7)
    picture = Image.fromarray(rng.integers(0, 256, (24, 40, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[MAKE] = SECRET.decode()
    exif.get_ifd(0x8769)[BODY_SERIAL_NUMBER] = SECRET.decode()
    exif.get_ifd(GPS)[2] = (51.0, 30.0, 26.0)
    if orientation is not None:
        exif[ORIENTATION] = orientation
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    out = io.BytesIO()
    picture.save(
        out, FORMATS[media_type], exif=exif, icc_profile=profile, xmp=b"<x>" + SECRET, **options
    )
    return out.getvalue()


def profile_of(content: bytes) -> bytes | None:
    with Image.open(io.BytesIO(content)) as picture:
        return picture.info.get("icc_profile")


def test_real_photographs_keep_every_pixel(shared_data):
    had_traces = 0
    paths = [p for p in sorted((shared_data / "photos").rglob("*")) if p.suffix in MEDIA_TYPES]
    assert paths
    for path in paths[::6]:
        content = path.read_bytes()
        stripped = strip(content, MEDIA_TYPES[path.suffix])
        assert np.array_equal(decode(stripped), decode(content)), path
        assert profile_of(stripped) == profile_of(content)
        with Image.open(io.BytesIO(stripped)) as picture:
            assert not set(picture.getexif()) - {ORIENTATION}
        assert not any(trace in stripped for trace in (b"http://ns.adobe.com", b"Photoshop 3.0"))
        had_traces += len(stripped) < len(content)
    assert had_traces


@pytest.mark.parametrize("media_type", list(FORMATS))
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_traces_go_and_the_picture_stays_upright(media_type, orientation):
    content = traced(media_type, orientation)
    stripped = strip(content, media_type)
    assert SECRET in content
    assert SECRET not in stripped
    assert np.array_equal(decode(stripped), decode(content))
    assert profile_of(content) is not None
    assert profile_of(stripped) == profile_of(content)
    with Image.open(io.BytesIO(stripped)) as picture:
        expected = {ORIENTATION: orientation} if orientation not in (None, 1) else {}
        assert dict(picture.getexif()) == expected
        assert not picture.getexif().get_ifd(GPS)


@pytest.mark.parametrize("media_type", list(FORMATS))
def test_stripping_twice_changes_nothing_more(media_type):
    once = strip(traced(media_type, 6), media_type)
    assert strip(once, media_type) == once


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"quality": 5}, {"restart_marker_rows": 1}]
)
def test_jpeg_coding_variants(options):
    content = traced("image/jpeg", **options)
    assert np.array_equal(decode(strip(content, "image/jpeg")), decode(content))


def test_cmyk_jpeg_keeps_its_colour_transform():
    rng = np.random.default_rng(3)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (16, 16, 4), dtype=np.uint8), "CMYK").save(out, "JPEG")
    stripped = strip(out.getvalue(), "image/jpeg")
    assert np.array_equal(decode(stripped), decode(out.getvalue()))


def test_orientation_that_only_xmp_states_is_kept():
    xmp = PngImagePlugin.PngInfo()
    xmp.add_itxt("XML:com.adobe.xmp", '<rdf tiff:Orientation="6"/>')
    out = io.BytesIO()
    Image.new("RGB", (30, 20)).save(out, "PNG", pnginfo=xmp)
    stripped = strip(out.getvalue(), "image/png")
    assert decode(stripped).shape == decode(out.getvalue()).shape == (30, 20, 3)
    assert b"xmp" not in stripped


def test_further_pictures_behind_the_first_are_cut_off():
    first, second = traced("image/jpeg"), traced("image/jpeg", quality=20)
    stripped = strip(first + second, "image/jpeg")
    assert stripped == strip(first, "image/jpeg")


def test_comments_and_thumbnails_go():
    jpeg = traced("image/jpeg", comment=SECRET)
    thumbnail = struct.pack(">H", 16 + 3) + b"JFIF\0\1\1\0\0\1\0\1\1\1" + b"\x01\x02\x03"
    with_thumbnail = jpeg[:2] + b"\xff\xe0" + thumbnail + jpeg[2:]
    stripped = strip(with_thumbnail, "image/jpeg")
    assert SECRET not in stripped
    assert b"\x01\x02\x03" not in stripped[:40]


def test_the_thumbnail_of_exif_goes():
    thumbnail = io.BytesIO()
    Image.new("RGB", (16, 12), "red").save(thumbnail, "JPEG")
    small = thumbnail.getvalue()
    # A TIFF header, a first directory of nothing, a second one that says where the thumbnail is.
    entries = struct.pack(">HHIIHHII", 0x0201, 4, 1, 44, 0x0202, 4, 1, len(small))
    tiff = struct.pack(">2sHIHIH", b"MM", 42, 8, 0, 14, 2) + entries + struct.pack(">I", 0)
    tiff = tiff.ljust(44, b"\0") + small
    payload = b"Exif\0\0" + tiff
    jpeg = traced("image/jpeg")
    with_thumbnail = (
        jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]
    )
    with Image.open(io.BytesIO(with_thumbnail)) as picture:
        assert picture.getexif().get_ifd(ExifTags.IFD.IFD1)[0x0202] == len(small)
    stripped = strip(with_thumbnail, "image/jpeg")
    assert small[2:-2] not in stripped
    assert np.array_equal(decode(stripped), decode(with_thumbnail))


def test_png_text_and_time_go():
    png = traced("image/png")
    chunk = b"tIME" + b"\x07\xea\x01\x02\x03\x04\x05"
    timed = (
        png[:33] + struct.pack(">I", 7) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]
    )
    assert b"tIME" in timed
    assert b"tIME" not in strip(timed, "image/png")


def with_boxes(avif: bytes, *boxes: tuple[bytes, bytes]) -> bytes:
    return avif + b"".join(
        struct.pack(">I", len(payload) + 8) + kind + payload for kind, payload in boxes
    )


def test_boxes_and_bytes_that_make_no_avif_picture_go():
    whole = traced("image/avif")
    mdat = whole.index(b"mdat") - 4
    unused = struct.pack(">I", len(whole) - mdat + len(SECRET)) + whole[mdat + 4 :] + SECRET
    for content in (
        with_boxes(whole, (b"free", SECRET), (b"uuid", SECRET * 2), (b"skip", SECRET)),
        whole[:mdat] + unused,
        whole + SECRET,
    ):
        stripped = strip(content, "image/avif")
        assert SECRET not in stripped
        assert np.array_equal(decode(stripped), decode(whole))


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_avif_keeps_its_transparency_and_greys(mode):
    rng = np.random.default_rng(5)
    shape = (24, 40, 4) if mode == "RGBA" else (24, 40)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(out, "AVIF", xmp=SECRET)
    stripped = strip(out.getvalue(), "image/avif")
    assert SECRET not in stripped
    with (
        Image.open(io.BytesIO(out.getvalue())) as before,
        Image.open(io.BytesIO(stripped)) as after,
    ):
        assert np.array_equal(before, after)


AVIF = traced("image/avif", 6)


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=4))
def test_no_bytes_of_an_avif_raise_anything_else(changes):
    content = bytearray(AVIF)
    for at, value in changes:
        content[at % len(content)] = value
    with contextlib.suppress(InputError):
        strip(bytes(content), "image/avif")


@given(st.binary(max_size=64))
def test_jpeg_segments_of_any_content_are_dropped(payload):
    jpeg = strip(traced("image/jpeg"), "image/jpeg")
    for marker in (0xE1, 0xED, 0xFE):
        segment = bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload
        assert strip(jpeg[:2] + segment + jpeg[2:], "image/jpeg") == jpeg


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (traced("image/png"), "image/jpeg"),
        (traced("image/png"), "image/gif"),
        (traced("image/webp"), "image/png"),
        (b"no picture", "image/webp"),
        (traced("image/png"), "image/avif"),
    ],
)
def test_what_it_cannot_strip_it_refuses(content, media_type):
    with pytest.raises(InputError, match=media_type):
        strip(content, media_type)
