import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from curation.strip import strip
from curation.strip_icc import strip_icc
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
        assert (profile_of(stripped) is None) == (profile_of(content) is None)
        with Image.open(io.BytesIO(stripped)) as picture:
            assert not picture.getexif()
        assert not any(trace in stripped for trace in (b"http://ns.adobe.com", b"Photoshop 3.0"))
        had_traces += len(stripped) < len(content)
    assert had_traces


@pytest.mark.parametrize("media_type", list(FORMATS))
@pytest.mark.parametrize("orientation", [None, 1])
def test_traces_go_and_an_upright_picture_keeps_its_pixels(media_type, orientation):
    content = traced(media_type, orientation)
    stripped = strip(content, media_type)
    assert SECRET in content
    assert SECRET not in stripped
    assert np.array_equal(decode(stripped), decode(content))
    assert profile_of(stripped) is not None
    with Image.open(io.BytesIO(stripped)) as picture:
        assert not picture.getexif()


@pytest.mark.parametrize("media_type", list(FORMATS))
def test_a_turned_picture_comes_out_upright_without_exif(media_type):
    content = traced(media_type, 6)
    stripped = strip(content, media_type)
    assert SECRET not in stripped
    assert b"Exif" not in stripped
    assert profile_of(stripped) is not None
    with Image.open(io.BytesIO(stripped)) as picture:
        assert not picture.getexif()
        # What a reader sees that knows nothing of EXIF.
        assert picture.size == (24, 40)
    assert decode(stripped).shape == decode(content).shape


@pytest.mark.parametrize("media_type", list(FORMATS))
def test_stripping_twice_changes_nothing_more(media_type):
    once = strip(traced(media_type, 6), media_type)
    assert strip(once, media_type) == once
    assert strip(traced(media_type, 6), media_type) == once


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


def test_orientation_that_only_xmp_states_is_applied():
    xmp = PngImagePlugin.PngInfo()
    xmp.add_itxt("XML:com.adobe.xmp", '<rdf tiff:Orientation="6"/>')
    out = io.BytesIO()
    Image.new("RGB", (30, 20)).save(out, "PNG", pnginfo=xmp)
    stripped = strip(out.getvalue(), "image/png")
    assert decode(out.getvalue()).shape == (30, 20, 3)
    with Image.open(io.BytesIO(stripped)) as picture:
        assert picture.size == (20, 30)
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


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


@pytest.mark.parametrize(
    "planted",
    [
        segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + SECRET),
        segment(0xE2, b"ICC_PROFILE\0\1\1" + SECRET),
        segment(0xE2, b"ICC_PROFILE\0\x09\x09" + SECRET),
        segment(0xE2, b"MPF\0" + SECRET),
        segment(0xED, b"Photoshop 3.0\0" + SECRET),
    ],
)
def test_segments_keep_what_decoding_needs_alone(planted):
    jpeg = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(jpeg, "JPEG")
    content = jpeg.getvalue()[:2] + planted + jpeg.getvalue()[2:]
    stripped = strip(content, "image/jpeg")
    assert SECRET not in stripped
    assert np.array_equal(decode(stripped), decode(content))
    assert (b"Adobe" in stripped) == (b"Adobe" in planted)


@pytest.mark.parametrize("media_type", list(FORMATS))
@pytest.mark.parametrize("orientation", [1, 8])
def test_profiles_lose_their_words_in_every_format(media_type, orientation):
    """Words in tags, behind the profile, and in something that only says that it is one."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for planted in (profile + SECRET, profile.replace(b"lcms", b"MAKE"), SECRET * 20):
        out = io.BytesIO()
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        Image.new("RGB", (32, 16), "teal").save(
            out, FORMATS[media_type], icc_profile=planted, exif=exif
        )
        assert profile_of(out.getvalue()) == planted
        stripped = strip(out.getvalue(), media_type)
        left = profile_of(stripped)
        if planted.startswith(SECRET):
            assert not left
        else:
            assert left.rstrip(b"\0") == strip_icc(profile).rstrip(b"\0")


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


TURNED = {media_type: traced(media_type, 6) for media_type in FORMATS}


@given(
    st.sampled_from([*FORMATS]),
    st.lists(st.tuples(st.integers(0, 2500), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 2500),
)
def test_no_bytes_raise_anything_else(media_type, changes, length):
    content = bytearray(TURNED[media_type])
    for at, value in changes:
        content[at % len(content)] = value
    with contextlib.suppress(InputError):
        strip(bytes(content[: max(length, 20)]), media_type)


@given(st.binary(max_size=64))
def test_jpeg_segments_of_any_content_are_dropped(payload):
    jpeg = strip(traced("image/jpeg"), "image/jpeg")
    for marker in (0xE1, 0xED, 0xFE):
        content = jpeg[:2] + segment(marker, payload) + jpeg[2:]
        assert strip(content, "image/jpeg") == jpeg


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
