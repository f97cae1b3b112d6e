"""PNG: chunks that decide no pixel go, and bytes that chunks have beyond their form."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from curation.strip import strip
from curation.strip_png import chunk, chunks, strip_png
from mirrorset.pixels import decode

SECRET = b"SN-0123456789"
AFTER_HEADER = 33


def picture(**options: object) -> bytes:
    rng = np.random.default_rng(2)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (16, 24, 3), dtype=np.uint8)).save(out, "PNG", **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", [b"tEXt", b"tIME", b"prVt", b"sPLT", b"pHYs", b"gAMA", b"PLTE"])
def test_chunks_for_people_and_of_a_wrong_length_go(kind):
    png = picture()
    planted = chunk(kind, b"word\0" + SECRET + b"12")
    content = png[:AFTER_HEADER] + planted + png[AFTER_HEADER:]
    assert strip(content, "image/png") == strip(png, "image/png")


def test_a_truecolour_picture_keeps_no_suggested_palette():
    png = picture()
    content = png[:AFTER_HEADER] + chunk(b"PLTE", SECRET[:12]) + png[AFTER_HEADER:]
    assert np.array_equal(decode(content), decode(png))
    assert b"PLTE" not in strip(content, "image/png")


def test_resolution_and_colours_stay():
    png = picture(dpi=(300, 300))
    gamma = chunk(b"gAMA", struct.pack(">I", 45455))
    content = png[:AFTER_HEADER] + gamma + png[AFTER_HEADER:]
    kept = dict(chunks(strip(content, "image/png")))
    assert {b"pHYs", b"gAMA"} <= kept.keys()


def test_image_data_end_with_their_stream():
    """Behind it in the last chunk, and in a chunk of its own."""
    png = picture()
    parts = list(chunks(png))
    data = b"".join(data for kind, data in parts if kind == b"IDAT")
    halves = [data[: len(data) // 2], data[len(data) // 2 :] + SECRET, SECRET]
    content = png[:AFTER_HEADER] + b"".join(chunk(b"IDAT", half) for half in halves) + png[-12:]
    stripped = strip(content, "image/png")
    assert SECRET not in stripped
    assert np.array_equal(decode(stripped), decode(png))
    kept = b"".join(data for kind, data in chunks(stripped) if kind == b"IDAT")
    assert kept == data


def test_a_profile_keeps_no_name():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    png = picture()
    named = chunk(b"iCCP", SECRET + b"\0\0" + zlib.compress(profile + SECRET))
    stripped = strip(png[:AFTER_HEADER] + named + png[AFTER_HEADER:], "image/png")
    assert SECRET not in stripped
    with Image.open(io.BytesIO(stripped)) as opened:
        left = opened.info["icc_profile"]
    assert SECRET not in left
    ImageCms.ImageCmsProfile(io.BytesIO(left))


@pytest.mark.parametrize(
    "data",
    [
        b"name\0\0no stream",
        b"no end of the name",
        b"name\0\0" + zlib.compress(bytes(1 << 25)),
        b"name\0\0" + zlib.compress(SECRET),
    ],
)
def test_what_is_no_profile_goes(data):
    png = picture()
    content = png[:AFTER_HEADER] + chunk(b"iCCP", data) + png[AFTER_HEADER:]
    assert strip_png(content) == strip_png(png)
