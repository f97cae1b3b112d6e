"""Columns: what has to be known of every image at once, at a few bytes for each.

A step that needs ids, keys or hashes of all images keeps them packed in arrays; as Python objects
they would take ten times the memory.
"""

import hashlib
from collections.abc import Hashable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: sha256 each, (N,) "S32". numpy takes trailing zeros off a single element: `hex_ids` does not.
Ids = NDArray[np.bytes_]
#: `key_of` each, (N,) "S16".
Keys = NDArray[np.bytes_]

_BLOCK = 10_000
_KEY_BYTES = 16


class IdColumn:
    """A growing column of ids, 32 bytes each."""

    def __init__(self) -> None:
        self._packed = bytearray()

    def append(self, image_id: str) -> None:
        """Add an id of 64 hex digits."""
        self._packed += bytes.fromhex(image_id)

    def array(self) -> Ids:
        """All of it (N,), without a copy; nothing may be added any more."""
        return np.frombuffer(self._packed, dtype="S32")


class KeyColumn:
    """A growing column of what is only compared, 16 bytes each."""

    def __init__(self) -> None:
        self._packed = bytearray()

    def append(self, value: Hashable) -> None:
        """Add a text, or a tuple of texts."""
        self._packed += key_of(value)

    def array(self) -> Keys:
        """All of it (N,), as it is now."""
        return np.frombuffer(bytes(self._packed), dtype=f"S{_KEY_BYTES}")


class TextColumn:
    """A growing column of short texts, each of which takes as many bytes as the longest."""

    def __init__(self) -> None:
        self._blocks: list[NDArray[np.bytes_]] = []
        self._texts: list[bytes] = []

    def append(self, text: str) -> None:
        """Add a text."""
        self._texts.append(text.encode())
        if len(self._texts) == _BLOCK:
            self._pack()

    def array(self) -> NDArray[np.bytes_]:
        """All of it (N,)."""
        self._pack()
        return np.concatenate(self._blocks)

    def _pack(self) -> None:
        self._blocks.append(np.array(self._texts, dtype="S" if self._texts else "S1"))
        self._texts = []


def key_of(value: Hashable) -> bytes:
    """16 bytes that stand for a text, or a tuple of texts: two of a billion are never the same."""
    return hashlib.blake2b(repr(value).encode(), digest_size=_KEY_BYTES).digest()


def hex_ids(ids: Ids) -> Iterator[str]:
    """The ids as 64 hex digits each, in their order."""
    for start in range(0, len(ids), _BLOCK):
        digits = ids[start : start + _BLOCK].tobytes().hex()
        yield from (digits[at : at + 64] for at in range(0, len(digits), 64))


def runs(values: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Where each run of equal values of the sorted (N,) `values` begins and ends."""
    bounds = run_starts(values)
    for start in range(0, len(bounds), _BLOCK):
        here = bounds[start : start + _BLOCK + 1].tolist()
        if len(here) <= _BLOCK:
            here.append(len(values))
        yield from pairwise(here)


def run_starts(values: NDArray[Any]) -> NDArray[np.int64]:
    """Where each run of equal values of the sorted (N,) `values` begins."""
    if not len(values):
        return np.empty(0, dtype=np.int64)
    return np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])


def in_several(things: Keys, places: NDArray[np.uint8]) -> int:
    """How many of the `things` (N,) are in more than one of the `places` (N,)."""
    order = np.lexsort((places, things))
    things, places = things[order], places[order]
    starts = run_starts(things)
    if not len(starts):
        return 0
    ends = np.append(starts[1:], len(things)) - 1
    return int((places[starts] != places[ends]).sum())


class IdSet:
    """Ids of images, to be asked for: 32 bytes each."""

    def __init__(self, image_ids: Iterable[str]) -> None:
        column = IdColumn()
        for image_id in image_ids:
            column.append(image_id)
        self._ids = np.sort(column.array())

    def __contains__(self, image_id: str) -> bool:
        return position(self._ids, image_id) is not None

    def __len__(self) -> int:
        return len(self._ids)


def position(ids: Ids, image_id: str) -> int | None:
    """Where the sorted `ids` hold `image_id`; None where they do not."""
    wanted = np.frombuffer(bytes.fromhex(image_id), dtype="S32")
    place = int(np.searchsorted(ids, wanted)[0])
    return place if place < len(ids) and ids[place] == wanted[0] else None
