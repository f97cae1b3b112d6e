"""Turned pictures: the pixels that are stored are those that are labelled."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from curation.strip import strip
from curation.strip_png import chunk, chunks
from curation.upright import upright
from mirrorset.pixels import decode

ORIENTATION = 0x0112
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP", "image/avif": "AVIF"}
# A picture encoded twice at quality 95 differs by less on average, of 255.
MOST_OFF = 3.0
TURNS = range(2, 9)


def scene(mode: str = "RGB") -> Image.Image:
    """Smooth colours, different in each corner."""
    y, x = np.mgrid[0:48, 0:80]
    rgb = np.stack([x * 3, y * 5, 255 - x * 2 - y], axis=-1).astype(np.uint8)
    return Image.fromarray(rgb).convert(mode)


def turned(media_type: str, orientation: int, picture: Image.Image, **options: object) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    out = io.BytesIO()
    picture.save(out, FORMATS[media_type], exif=exif, **options)
    return out.getvalue()


def stored(content: bytes) -> np.ndarray:
    """As a reader that knows nothing of EXIF shows it."""
    with Image.open(io.BytesIO(content)) as picture:
        assert not picture.getexif()
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("media_type", list(FORMATS))
@pytest.mark.parametrize("orientation", TURNS)
def test_stored_pixels_are_those_that_are_labelled(media_type, orientation):
    content = turned(media_type, orientation, scene())
    seen = stored(strip(content, media_type))
    labelled = decode(content)
    assert seen.shape == labelled.shape
    assert np.abs(seen.astype(int) - labelled).mean() < MOST_OFF
    if media_type == "image/png":
        assert np.array_equal(seen, labelled)


@pytest.mark.parametrize("media_type", list(FORMATS))
def test_an_upright_picture_keeps_its_bytes(media_type):
    content = turned(media_type, 1, scene())
    assert upright(content, media_type) is content


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_of_any_mode_loses_nothing(mode):
    picture = scene()
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(scene("L")).astype(np.uint16) * 257 - 3)
    elif mode == "LA":
        picture = Image.merge("LA", (scene("L"), scene("L").rotate(180)))
    else:
        picture = picture.convert(mode)
    content = turned("image/png", 6, picture)
    with Image.open(io.BytesIO(strip(content, "image/png"))) as after:
        expected = picture.transpose(Image.Transpose.ROTATE_270)
        assert after.mode == picture.mode
        assert np.array_equal(np.asarray(after), np.asarray(expected))


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("channels", [3, 4])
def test_png_of_16_bits_stays_so(orientation, channels):
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 65536, (6, 9, channels), dtype=np.uint16)
    _, encoded = cv2.imencode(".png", pixels)
    exif = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, ORIENTATION, 3, 1, orientation, 0, 0)
    png = encoded.tobytes()
    content = png[:33] + chunk(b"eXIf", exif) + png[33:]
    stripped = strip(content, "image/png")
    after = cv2.imdecode(np.frombuffer(stripped, np.uint8), cv2.IMREAD_UNCHANGED)
    assert after.dtype == np.uint16
    assert np.array_equal(np.sort(after, axis=None), np.sort(pixels, axis=None))
    assert np.array_equal(stored(stripped), decode(content))


def test_a_turned_png_keeps_its_colours():
    png = turned("image/png", 3, scene())
    colours = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"cICP", bytes([12, 13, 0, 1]))
    kept = dict(chunks(strip(png[:33] + colours + png[33:], "image/png")))
    assert kept[b"gAMA"] == struct.pack(">I", 100000)
    assert kept[b"cICP"] == bytes([12, 13, 0, 1])


def test_lossless_webp_stays_lossless():
    rng = np.random.default_rng(6)
    picture = Image.fromarray(rng.integers(0, 256, (24, 40, 4), dtype=np.uint8))
    content = turned("image/webp", 5, picture, lossless=True, exact=True)
    with Image.open(io.BytesIO(strip(content, "image/webp"))) as after:
        expected = picture.transpose(Image.Transpose.TRANSPOSE)
        assert np.array_equal(np.asarray(after), np.asarray(expected))


def test_a_turned_jpeg_has_no_subsampled_colours():
    with Image.open(io.BytesIO(strip(turned("image/jpeg", 8, scene()), "image/jpeg"))) as after:
        assert {layer[1:3] for layer in after.layer} == {(1, 1)}


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpeg_keeps_its_channels(mode):
    content = turned("image/jpeg", 6, scene(mode), quality=95)
    stripped = strip(content, "image/jpeg")
    with Image.open(io.BytesIO(stripped)) as after:
        assert after.mode == mode
    assert np.abs(stored(stripped).astype(int) - decode(content)).mean() < MOST_OFF


def test_a_turned_avif_keeps_its_primaries():
    content = bytearray(turned("image/avif", 6, scene()))
    at = content.index(b"nclx") + 4
    content[at : at + 4] = struct.pack(">HH", 12, 13)  # Display P3
    stripped = strip(bytes(content), "image/avif")
    at = stripped.index(b"nclx") + 4
    assert stripped[at : at + 4] == struct.pack(">HH", 12, 13)
