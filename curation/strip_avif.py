"""Traces out of AVIF, in place: ISO/IEC 14496-12 and 23008-12 find items by offsets into the file.

What is no part of the picture becomes zeros of the same length, so that nothing moves: boxes and
properties that no decoder needs turn into `free` ones, items that do not make the picture (EXIF,
XMP, thumbnails, further pictures) into items of type `free`, and every byte of data outside the
picture's own items into zero. A colour profile is rebuilt where it lies (`strip_icc`), with zeros
behind it.
"""

from collections.abc import Iterator

from curation.strip_icc import strip_icc
from mirrorset.anatomy import boxes, dissect

_META_KEPT = frozenset(b"hdlr pitm iloc iinf iprp iref idat".split())
_PROPERTIES_KEPT = frozenset(
    b"ispe pixi av1C colr irot imir clap pasp auxC a1op lsel a1lx clli mdcv cclv".split()
)
# Bytes of the properties that have a fixed number of them.
_PROPERTY_BYTES = {
    b"ispe": 12,
    b"irot": 1,
    b"imir": 1,
    b"clap": 32,
    b"pasp": 8,
    b"a1op": 1,
    b"lsel": 2,
    b"clli": 4,
    b"mdcv": 24,
}
_NUMBERED_COLOURS_BYTES = 11
_PROFILE_FORMS = frozenset([b"prof", b"rICC"])
_PICTURE_ITEMS = frozenset([b"av01", b"grid", b"iovl", b"iden"])
Span = tuple[int, int]


def strip_avif(content: bytes) -> bytes:
    """`content` up to its picture's end, of the same decoded pixels.

    Raises ValueError where the bytes are not built as AVIF is.
    """
    end = dissect(content, "image/avif").end
    if content[4:8] != b"ftyp" or end is None:
        raise ValueError("no whole ISO media file")
    stripped = bytearray(content[:end])
    top = list(boxes(content, 0, end))
    metas = [(start, stop) for kind, start, stop in top if kind == b"meta"]
    if len(metas) != 1:
        raise ValueError("not one meta box")
    ((start, stop),) = metas
    inner = {kind: (at, until) for kind, at, until in boxes(content, start + 4, stop)}
    if missing := {b"pitm", b"iloc", b"iinf", b"iprp"} - set(inner):
        raise ValueError(f"no {missing.pop().decode()} box")
    kept = _kept_items(content, inner)
    _free_items(stripped, inner[b"iinf"], kept)
    _free_others(stripped, (start + 4, stop), _META_KEPT)
    for kind, at, until in boxes(content, *inner[b"iprp"]):
        if kind == b"ipco":
            _free_others(stripped, (at, until), _PROPERTIES_KEPT)
            _strip_colours(stripped, (at, until))
            _zero_behind(stripped, (at, until))
    if b"hdlr" in inner:  # ends in a name for people, after 24 bytes
        _zero(stripped, inner[b"hdlr"][0] + 24, inner[b"hdlr"][1])
    _free_others(stripped, (0, end), frozenset([b"ftyp", b"meta", b"mdat"]))
    idat = inner.get(b"idat", (0, 0))
    extents = sorted(
        extent for item, extent in _extents(content, inner[b"iloc"], idat) if item in kept
    )
    for span in [(at, until) for kind, at, until in top if kind == b"mdat"] + [idat]:
        _zero_outside(stripped, span, extents)
    return bytes(stripped)


def _zero(stripped: bytearray, start: int, stop: int) -> None:
    stripped[start:stop] = bytes(max(0, stop - start))


def _zero_outside(stripped: bytearray, span: Span, extents: list[Span]) -> None:
    at, stop = span
    for start, end in extents:
        _zero(stripped, at, min(start, stop))
        at = max(at, min(end, stop))
    _zero(stripped, at, stop)


def _free_others(stripped: bytearray, span: Span, kept: frozenset[bytes]) -> None:
    """Every box of `span` whose type is not in `kept` becomes an empty-looking `free` box."""
    at = span[0]
    for kind, start, stop in list(boxes(bytes(stripped), *span)):
        if stop > span[1]:
            raise ValueError(f"a {kind!r} box is longer than what holds it")
        if kind not in kept:
            stripped[at + 4 : at + 8] = b"free"
            _zero(stripped, start, stop)
        at = stop
    _zero(stripped, at, span[1])


def _strip_colours(stripped: bytearray, span: Span) -> None:
    """A colour box holds numbers, or a profile: one that is none, or finds no room, goes."""
    at = span[0]
    for kind, start, stop in list(boxes(bytes(stripped), *span)):
        form = bytes(stripped[start : start + 4])
        if kind == b"colr" and form == b"nclx":
            _zero(stripped, start + _NUMBERED_COLOURS_BYTES, stop)
        elif kind == b"colr":
            profile = strip_icc(bytes(stripped[start + 4 : stop]))
            if form in _PROFILE_FORMS and profile and start + 4 + len(profile) <= stop:
                stripped[start + 4 : stop] = profile.ljust(stop - start - 4, b"\0")
            else:
                stripped[at + 4 : at + 8] = b"free"
                _zero(stripped, start, stop)
        at = stop


def _zero_behind(stripped: bytearray, span: Span) -> None:
    """Zeros behind the last byte that a property of fixed length has."""
    for kind, start, stop in list(boxes(bytes(stripped), *span)):
        _zero(stripped, start + _PROPERTY_BYTES.get(kind, stop - start), stop)


def _kept_items(content: bytes, inner: dict[bytes, Span]) -> set[int]:
    """The primary item, the items it is made of, and what is auxiliary to them (its alpha)."""
    at, stop = inner[b"pitm"]
    is_short = content[at] == 0
    kept = {_number(content, at + 4, 2 if is_short else 4, stop)}
    references = list(_references(content, inner.get(b"iref", (0, 0))))
    size = 0
    while len(kept) > size:
        size = len(kept)
        for kind, source, targets in references:
            if kind == b"dimg" and source in kept:
                kept |= targets
            if kind == b"auxl" and targets & kept:
                kept.add(source)
    return kept


def _references(content: bytes, span: Span) -> Iterator[tuple[bytes, int, set[int]]]:
    start, stop = span
    if start == stop:
        return
    width = 2 if content[start] == 0 else 4
    for kind, at, until in boxes(content, start + 4, stop):
        count = _number(content, at + width, 2, until)
        places = range(at + width + 2, at + width + 2 + count * width, width)
        targets = {_number(content, place, width, until) for place in places}
        yield kind, _number(content, at, width, until), targets


def _free_items(stripped: bytearray, iinf: Span, kept: set[int]) -> None:
    """Items that are not kept, or are no pictures, get the type `free`; all lose their names."""
    start, stop = iinf
    entries = start + (6 if stripped[start] == 0 else 8)
    for _, at, until in list(boxes(bytes(stripped), entries, stop)):
        version = stripped[at]
        if version not in {2, 3}:
            raise ValueError(f"an item's entry is of version {version}")
        width = 2 if version == 2 else 4
        item = _number(stripped, at + 4, width, until)
        kind = at + 4 + width + 2
        if kind + 4 > until:
            raise ValueError("an item's entry is cut short")
        if item not in kept or bytes(stripped[kind : kind + 4]) not in _PICTURE_ITEMS:
            if item in kept:
                raise ValueError(f"the picture is of type {bytes(stripped[kind : kind + 4])!r}")
            stripped[kind : kind + 4] = b"free"
        _zero(stripped, kind + 4, until)


def _extents(content: bytes, iloc: Span, idat: Span) -> Iterator[tuple[int, Span]]:
    """(item id, where its bytes lie) from the item location box, versions 0 to 2."""
    at, stop = iloc
    version = content[at]
    sizes = _number(content, at + 4, 2, stop)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    id_size = 4 if version == 2 else 2
    count = _number(content, at + 6, id_size, stop)
    at += 6 + id_size
    for _ in range(count):
        item = _number(content, at, id_size, stop)
        at += id_size
        method = 0
        if version:
            method = _number(content, at, 2, stop) & 15
            at += 2
        base = _number(content, at + 2, base_size, stop) + (idat[0] if method == 1 else 0)
        at += 2 + base_size
        if method > 1:
            raise ValueError("items that are built from others' bytes are not read")
        extents = _number(content, at, 2, stop)
        at += 2
        if extents > 1 and not offset_size + length_size:
            raise ValueError("extents that take no bytes")
        for _ in range(extents):
            at += index_size
            start = base + _number(content, at, offset_size, stop)
            length = _number(content, at + offset_size, length_size, stop)
            at += offset_size + length_size
            # A length of 0 means all that there is.
            yield item, (start, start + length if length else len(content))


def _number(content: bytes | bytearray, at: int, size: int, stop: int) -> int:
    if at + size > stop:
        raise ValueError("a box is cut short")
    return int.from_bytes(content[at : at + size], "big")
