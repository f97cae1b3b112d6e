"""Device traces out of colour profiles: ICC.1:2022 (profiles of versions 2 and 4).

A profile is rebuilt from the tags that a colour transformation reads, each of the length that its
type asks for; the steps of a multiProcessElementsType, which few profiles have, stay whole.
Descriptions, serial numbers, calibration records, private tags and bytes that belong to no tag go,
as do the header's makers, models, dates and checksums. The colours that it describes stay: where a
screen or scanner was measured, they still are that device's.
"""

import math
import struct
from collections.abc import Callable

_HEADER_BYTES = 128
_TAG_TABLE_AT = 128
_CLASSES = frozenset([b"scnr", b"mntr", b"prtr", b"spac"])
_SPACES = {b"RGB ": "RGB", b"GRAY": "Grey", b"CMYK": "CMYK"}
_D50 = bytes.fromhex("0000f6d6000100000000d32d")
_INTENTS = 4
_MOST_CHANNELS = 15
# Parameters of a parametric curve by its function (10.18).
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
_LUTS = frozenset([b"mft1", b"mft2", b"mAB ", b"mBA "])
_TAGS: dict[bytes, frozenset[bytes]] = {
    **dict.fromkeys(
        [b"wtpt", b"bkpt", b"rXYZ", b"gXYZ", b"bXYZ"],
        frozenset([b"XYZ "]),
    ),
    **dict.fromkeys([b"rTRC", b"gTRC", b"bTRC", b"kTRC"], frozenset([b"curv", b"para"])),
    **dict.fromkeys([b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2"], _LUTS),
    **dict.fromkeys(
        [b"D2B0", b"D2B1", b"D2B2", b"D2B3", b"B2D0", b"B2D1", b"B2D2", b"B2D3"],
        frozenset([b"mpet"]),
    ),
    b"chad": frozenset([b"sf32"]),
    b"cicp": frozenset([b"cicp"]),
}
_MATRIX_TAGS = frozenset([b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"])


def strip_icc(profile: bytes) -> bytes | None:
    """`profile` without its traces, of the same colours; None where it is no valid profile.

    The answer to a stripped profile is that profile.
    """
    try:
        return _rebuilt(profile)
    except (struct.error, IndexError, ValueError):
        return None


def _rebuilt(profile: bytes) -> bytes:
    (size,) = struct.unpack_from(">I", profile)
    if size > len(profile) or profile[36:40] != b"acsp":
        raise ValueError("no profile")
    major, minor, space = profile[8], profile[9], profile[16:20]
    if major not in {2, 4} or profile[12:16] not in _CLASSES or space not in _SPACES:
        raise ValueError("no profile of a picture")
    if profile[20:24] not in {b"XYZ ", b"Lab "}:
        raise ValueError("no profile connection space")
    tags = _tags(profile[:size])
    if not (
        b"A2B0" in tags
        or (space == b"RGB " and tags.keys() >= _MATRIX_TAGS)
        or (space == b"GRAY" and b"kTRC" in tags)
    ):
        raise ValueError("a profile without its colours")
    text = _text_of_version_2 if major == 2 else _text_of_version_4
    described = {
        b"desc": text(b"desc", _SPACES[space]),
        b"cprt": text(b"text", "Not stated"),
        **tags,
    }
    (intent,) = struct.unpack_from(">I", profile, 64)
    header = struct.pack(
        ">8x2B2x4s4s4s12x4s24xI12s48x",
        *(major, minor, profile[12:16], space, profile[20:24]),
        *(b"acsp", intent if intent < _INTENTS else 0, _D50),
    )
    return _laid_out(header, described)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The kept tags' elements, rebuilt, in their order; the first of each name."""
    (count,) = struct.unpack_from(">I", profile, _TAG_TABLE_AT)
    tags: dict[bytes, bytes] = {}
    if count > (len(profile) - _TAG_TABLE_AT - 4) // 12:
        raise ValueError("a tag table beyond the profile's end")
    for number in range(count):
        name, at, length = struct.unpack_from(">4sII", profile, _TAG_TABLE_AT + 4 + 12 * number)
        if name not in _TAGS or name in tags:
            continue
        if at + length > len(profile):
            raise ValueError("a tag beyond the profile's end")
        element = profile[at : at + length]
        if element[:4] not in _TAGS[name]:
            raise ValueError("a tag of a type that it cannot have")
        tags[name] = _ELEMENTS[element[:4]](element)
    return tags


def _laid_out(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    """The profile: tags of equal content share their bytes, and begin at multiples of 4."""
    table = struct.pack(">I", len(tags))
    start = _HEADER_BYTES + 4 + 12 * len(tags)
    data = bytearray()
    places: dict[bytes, int] = {}
    for name, element in tags.items():
        if element not in places:
            places[element] = start + len(data)
            data += _padded(element)
        table += struct.pack(">4sII", name, places[element], len(element))
    whole = header + table + data
    return struct.pack(">I", len(whole)) + whole[4:]


def _padded(element: bytes) -> bytes:
    return element + bytes(-len(element) % 4)


def _text_of_version_2(kind: bytes, text: str) -> bytes:
    """textDescriptionType, of ICC.1:2001 (6.5.17), or textType; ASCII alone."""
    ascii_text = text.encode() + b"\0"
    if kind == b"text":
        return struct.pack(">4s4x", kind) + ascii_text
    return struct.pack(">4s4xI", kind, len(ascii_text)) + ascii_text + bytes(4 + 4 + 2 + 1 + 67)


def _text_of_version_4(_: bytes, text: str) -> bytes:
    """multiLocalizedUnicodeType of one record (10.15)."""
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(encoded), 28) + encoded


# --- Elements: a signature, four bytes of zero, and what follows by type -------------------------


def _first(element: bytes, length: int) -> bytes:
    """`length` bytes of the element, those that are reserved zeroed."""
    if length > len(element):
        raise ValueError("an element is cut short")
    return element[:4] + bytes(4) + element[8:length]


def _curve(element: bytes) -> bytes:
    """curveType (10.6) or parametricCurveType (10.18) at the beginning of `element`."""
    if element[:4] == b"curv":
        (count,) = struct.unpack_from(">I", element, 8)
        return _first(element, 12 + 2 * count)
    if element[:4] != b"para":
        raise ValueError("no curve")
    (function,) = struct.unpack_from(">H", element, 8)
    if function not in _PARAMETERS:
        raise ValueError("no parametric curve")
    whole = _first(element, 12 + 4 * _PARAMETERS[function])
    return whole[:10] + bytes(2) + whole[12:]


def _lut(element: bytes) -> bytes:
    """lut8Type (10.10) or lut16Type (10.11)."""
    inputs, outputs, grid = element[8:11]
    if element[:4] == b"mft1":
        length = 48 + 256 * inputs + grid**inputs * outputs + 256 * outputs
    else:
        (before, after) = struct.unpack_from(">HH", element, 48)
        length = 52 + 2 * (before * inputs + grid**inputs * outputs + after * outputs)
    whole = _first(element, length)
    return whole[:11] + bytes(1) + whole[12:]


def _lut_of_parts(element: bytes) -> bytes:
    """lutAToBType (10.12) or lutBToAType (10.13): B curves, matrix, M curves, CLUT, A curves."""
    inputs, outputs = element[8:10]
    if max(inputs, outputs) > _MOST_CHANNELS:
        raise ValueError("a table of too many channels")
    near, far = (outputs, inputs) if element[:4] == b"mAB " else (inputs, outputs)
    readers: list[Callable[[bytes], bytes]] = [
        lambda part: _curves(part, near),
        lambda part: _exactly(part, 48),
        lambda part: _curves(part, near),
        lambda part: _grid(part, inputs, outputs),
        lambda part: _curves(part, far),
    ]
    places = []
    parts = bytearray()
    for read, at in zip(readers, struct.unpack_from(">5I", element, 12), strict=True):
        places.append(32 + len(parts) if at else 0)
        parts += _padded(read(element[at:])) if at else b""
    return struct.pack(">4s4x2B2x5I", element[:4], inputs, outputs, *places) + parts


def _exactly(part: bytes, length: int) -> bytes:
    if length > len(part):
        raise ValueError("an element is cut short")
    return part[:length]


def _curves(part: bytes, count: int) -> bytes:
    curves = bytearray()
    for _ in range(count):
        # Rebuilt curves are as long as they were, each from a multiple of 4 on.
        curves += _padded(_curve(part[len(curves) :]))
    return bytes(curves)


def _grid(part: bytes, inputs: int, outputs: int) -> bytes:
    """CLUT (10.12.3): 16 numbers of points, bytes a value, the values."""
    points, width = _exactly(part, 20)[:inputs], part[16]
    if width not in {1, 2}:
        raise ValueError("no CLUT")
    values = _exactly(part[20:], math.prod(points) * outputs * width)
    return points.ljust(16, b"\0") + bytes([width, 0, 0, 0]) + values


def _steps(element: bytes) -> bytes:
    """multiProcessElementsType (10.16): the elements that its table names, as they are."""
    (count,) = struct.unpack_from(">I", element, 12)
    spans = [struct.unpack_from(">II", element, 16 + 8 * number) for number in range(count)]
    if sum(length for _, length in spans) > len(element):
        raise ValueError("elements that overlap")
    table = bytearray()
    steps = bytearray()
    for at, length in spans:
        table += struct.pack(">II", 16 + 8 * count + len(steps), length)
        steps += _padded(_exactly(element[at:], length))
    return _first(element, 16) + bytes(table) + bytes(steps)


_ELEMENTS: dict[bytes, Callable[[bytes], bytes]] = {
    b"XYZ ": lambda element: _first(element, 20),
    b"sf32": lambda element: _first(element, 8 + 9 * 4),
    b"cicp": lambda element: _first(element, 12),
    b"curv": _curve,
    b"para": _curve,
    b"mft1": _lut,
    b"mft2": _lut,
    b"mAB ": _lut_of_parts,
    b"mBA ": _lut_of_parts,
    b"mpet": _steps,
}
