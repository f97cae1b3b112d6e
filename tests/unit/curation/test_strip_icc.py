"""Colour profiles: the colours stay to the bit, the words go."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from curation.strip_icc import strip_icc

SECRET = b"SN-0123456789"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
D50 = bytes.fromhex("0000f6d6000100000000d32d")
SPACES = {"RGB": b"RGB ", "L": b"GRAY", "CMYK": b"CMYK"}


def built(
    mode: str,
    pcs: bytes,
    tags: dict[bytes, bytes],
    version: bytes = b"\x04\x40",
    kind: bytes = b"mntr",
) -> bytes:
    """A profile with words and a serial number wherever there is room for them."""
    tags = {
        b"desc": struct.pack(">4s4xI", b"desc", len(SECRET) + 1) + SECRET + bytes(79),
        **tags,
        b"dmnd": b"text\0\0\0\0" + SECRET,
        b"mmod": b"mmod\0\0\0\0" + SECRET,
        b"vcgt": SECRET,
    }
    at = 132 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, element in tags.items():
        table += struct.pack(">4sII", name, at + len(data), len(element))
        data += element + b"PAD!"[: -len(element) % 4]
    header = b"appl" + version + b"\0\0" + kind + SPACES[mode] + pcs
    header += struct.pack(">6H", 2026, 1, 2, 3, 4, 5) + b"acspAPPL" + struct.pack(">I", 0)
    header += b"MAKEMODL" + SECRET[:8] + struct.pack(">I", 1) + D50 + b"CREA" + SECRET + bytes(31)
    header = header.ljust(124, b"\0")
    whole = header + table + data
    return struct.pack(">I", len(whole) + 4) + whole + SECRET


def xyz(*values: float) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *(round(one * 65536) for one in values)) + SECRET


def curve(*values: int) -> bytes:
    return struct.pack(f">4s4xI{len(values)}H", b"curv", len(values), *values) + SECRET


def power(gamma: float) -> bytes:
    return struct.pack(">4s4xHHi", b"para", 0, 0, round(gamma * 65536)) + SECRET


MATRIX = {
    b"wtpt": xyz(0.9642, 1.0, 0.8249),
    b"rXYZ": xyz(0.51512, 0.24120, -0.00105),
    b"gXYZ": xyz(0.29198, 0.69225, 0.04189),
    b"bXYZ": xyz(0.15710, 0.06657, 0.78407),
    b"rTRC": power(2.2),
    b"gTRC": power(2.2),
    b"bTRC": curve(0, 9000, 30000, 65535),
}


def table_16() -> bytes:
    """lut16Type of 3 to 3 channels: a grid of two points a side, channels mixed."""
    rng = np.random.default_rng(8)
    grid = rng.integers(0, 65536, 2**3 * 3)
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ends = [0, 65535] * 3
    values = struct.pack(f">{len(ends) * 2 + len(grid)}H", *ends, *grid, *ends)
    return struct.pack(">4s4x3Bx", b"mft2", 3, 3, 2) + matrix + struct.pack(">HH", 2, 2) + values


def table_of_parts() -> bytes:
    """lutAToBType of 3 to 3 channels with all its parts, and words between them."""
    rng = np.random.default_rng(9)
    bare = struct.pack(">4s4xI", b"curv", 0) * 3
    bent = b"".join(struct.pack(">4s4xHHi", b"para", 0, 0, one) for one in (60000, 70000, 90000))
    matrix = struct.pack(">12i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536, 0, 0, 0)
    grid = bytes([2, 2, 2]).ljust(16, b"X") + b"\x01XXX" + rng.bytes(2**3 * 3)
    places, parts = [], b""
    for part in (bare, matrix, bent, grid, bent):
        parts += SECRET + b"..."
        places.append(32 + len(parts))
        parts += part
    return struct.pack(">4s4x2B2x5I", b"mAB ", 3, 3, *places) + parts + SECRET


def linear_steps() -> bytes:
    """multiProcessElementsType: one matrix element."""
    matrix = struct.pack(">4s4xHH12f", b"matf", 3, 3, *np.eye(3).ravel(), 0, 0, 0)
    return (
        struct.pack(">4s4xHHIII", b"mpet", 3, 3, 1, 40, len(matrix))
        + b"SN-01234"
        + b"".ljust(8, b".")
        + matrix
        + SECRET
    )


WHITE = {b"wtpt": xyz(0.9642, 1.0, 0.8249)}
CURVES = dict.fromkeys([b"rTRC", b"gTRC", b"bTRC"], curve(563))
PROFILES = {
    "sRGB": ("RGB", SRGB),
    "Display P3": ("RGB", built("RGB", b"XYZ ", MATRIX)),
    "version 2": ("RGB", built("RGB", b"XYZ ", MATRIX | CURVES, b"\x02\x40")),
    "grey": ("L", built("L", b"XYZ ", WHITE | {b"kTRC": curve(0, 20000, 65535)})),
    "lut16": ("RGB", built("RGB", b"Lab ", WHITE | {b"A2B0": table_16() + SECRET}, kind=b"scnr")),
    "lutAToB": ("RGB", built("RGB", b"Lab ", WHITE | {b"A2B0": table_of_parts()}, kind=b"scnr")),
    "steps": ("RGB", built("RGB", b"XYZ ", {**MATRIX, b"D2B0": linear_steps()})),
}


def transformed(profile: bytes, mode: str, intent: int) -> np.ndarray:
    """Colours of all kinds as littleCMS makes sRGB of them."""
    rng = np.random.default_rng(1)
    shape = (32, 32) if mode == "L" else (32, 32, len(mode))
    colours = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
    to_srgb = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent(intent),
    )
    return np.asarray(to_srgb.apply(colours))


@pytest.mark.parametrize("name", list(PROFILES))
@pytest.mark.parametrize("intent", range(4))
def test_colours_are_transformed_as_before(name, intent):
    mode, profile = PROFILES[name]
    stripped = strip_icc(profile)
    assert stripped is not None
    before = transformed(profile, mode, intent)
    assert len(np.unique(before)) > 20
    assert np.array_equal(transformed(stripped, mode, intent), before)


def test_profiles_of_real_photographs(shared_data):
    """Adobe RGB, and HP's sRGB with its makers, measurements and device's description."""
    folder = shared_data / "photos" / "congress_pd_gray" / "img" / "200x250"
    for name, words in (("M001168.jpg", b"Hewlett-Packard"), ("L000571.jpg", b"Adobe")):
        with Image.open(folder / name) as picture:
            profile = picture.info["icc_profile"]
        stripped = strip_icc(profile)
        assert words in profile
        assert words not in stripped
        assert np.array_equal(transformed(stripped, "RGB", 0), transformed(profile, "RGB", 0))


@pytest.mark.parametrize("name", list(PROFILES))
def test_words_makers_and_dates_go(name):
    stripped = strip_icc(PROFILES[name][1])
    for trace in (
        SECRET,
        SECRET[:8],
        b"MAKE",
        b"MODL",
        b"CREA",
        b"lcms",
        b"appl",
        b"APPL",
        b"PAD!",
    ):
        assert trace not in stripped
    assert "built-in".encode("utf-16-be") not in stripped
    assert stripped[24:36] == bytes(12)
    assert struct.unpack_from(">I", stripped) == (len(stripped),)
    opened = ImageCms.ImageCmsProfile(io.BytesIO(stripped)).profile
    assert opened.profile_description in ("RGB", "Grey")
    assert opened.copyright == "Not stated"


@pytest.mark.parametrize("name", list(PROFILES))
def test_a_stripped_profile_stays_as_it_is(name):
    stripped = strip_icc(PROFILES[name][1])
    assert strip_icc(stripped) == stripped


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SECRET,
        SRGB[:200],
        SRGB.replace(b"acsp", b"text"),
        SRGB.replace(b"mntr", b"nmcl"),
        SRGB.replace(b"rTRC", b"rTRX"),
        SRGB.replace(b"para", b"text"),
        SRGB[:8] + b"\x05" + SRGB[9:],
        SRGB[:128] + b"\xff\xff\xff\xff" + SRGB[132:],
        built("RGB", b"XYZ ", WHITE),
        built("RGB", b"Lab ", WHITE | {b"A2B0": table_16()[:100]}),
    ],
)
def test_what_is_no_profile_goes(content):
    assert strip_icc(content) is None


@given(
    st.sampled_from(list(PROFILES)),
    st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 255)), max_size=6),
    st.integers(100, 2000),
)
def test_no_bytes_raise_anything(name, changes, length):
    profile = bytearray(PROFILES[name][1])
    for at, value in changes:
        profile[at % len(profile)] = value
    stripped = strip_icc(bytes(profile[:length]))
    assert stripped is None or strip_icc(stripped) == stripped


@given(st.binary(max_size=300))
def test_no_other_bytes_do(content):
    assert strip_icc(content) is None
