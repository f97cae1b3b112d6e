"""Looking for vectors in files: as bytes of floats, base64, hex or decimal numbers, unpacked."""

import base64
import gzip
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float32]

_WINDOW = 16  # bytes of a vector that count as a trace of it
_TEXT_WINDOW = 18  # of those that are written in base64, whose groups are of three
_NUMBERS = 6  # of a vector, one after the other in a text
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
# A unit vector's numbers may have been cut to four decimals, or scaled and rounded.
_TOLERANCE = 2e-4


class VectorTraces:
    """What there is to be found of `vectors`, each (D,), of any length."""

    def __init__(self, vectors: Iterable[Floats]) -> None:
        found = [np.asarray(one, dtype=np.float64) for one in vectors]
        raws = [one.astype(kind).tobytes() for one in found for kind in ("<f2", "<f4", "<f8")]
        packed = {window for raw in raws for window in _windows(raw, _WINDOW)}
        texts = {
            write(window)
            for raw in raws
            for window in _windows(raw, _TEXT_WINDOW)
            for write in (base64.b64encode, base64.urlsafe_b64encode, _hex)
        }
        by_size: dict[int, set[bytes]] = {}
        for one in packed | texts:
            by_size.setdefault(len(one), set()).add(one)
        self._sought = [(size, _starts(ones), ones) for size, ones in by_size.items()]
        self._numbers = cKDTree(
            np.concatenate(
                [sliding_window_view(one, _NUMBERS) for one in found if len(one) >= _NUMBERS]
            )
        )

    def are_in(self, content: bytes) -> bool:
        """Whether `content` holds any stretch of any vector."""
        return any(self._has_bytes(content, *sought) for sought in self._sought) or (
            self._has_numbers(content)
        )

    def _has_bytes(self, content: bytes, size: int, starts: NDArray, ones: set[bytes]) -> bool:
        """Eight bytes at every place are held against the windows' first eight, then all."""
        for shift in range(8):
            words = np.frombuffer(content[shift : shift + (len(content) - shift) // 8 * 8], "<u8")
            nearest = starts[np.searchsorted(starts[:-1], words)]
            places = np.flatnonzero(nearest == words) * 8 + shift
            if any(content[place : place + size] in ones for place in places.tolist()):
                return True
        return False

    def _has_numbers(self, content: bytes) -> bool:
        numbers = np.array([float(one) for one in _NUMBER.findall(content)])
        if len(numbers) < _NUMBERS:
            return False
        rows = sliding_window_view(np.clip(numbers, -1e6, 1e6), _NUMBERS)
        distances, _ = self._numbers.query(rows, p=np.inf, distance_upper_bound=_TOLERANCE)
        return bool(np.isfinite(distances).any())


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below `folder` by name, and what is packed or tabled in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield from _unpacked(str(path.relative_to(folder)), path.read_bytes(), path)


def _unpacked(name: str, content: bytes, path: Path | None = None) -> Iterator[tuple[str, bytes]]:
    yield name, content
    if content[:4] == b"PAR1":
        table = pq.read_table(pa.BufferReader(content))
        yield f"{name} as text", repr(table.to_pydict()).encode()
        for field, column in zip(table.column_names, table.columns, strict=True):
            for chunk in column.chunks:
                buffers = [buffer.to_pybytes() for buffer in chunk.buffers() if buffer]
                yield f"{name} column {field}", b"|".join(buffers)
    elif content[:2] == b"\x1f\x8b":
        yield from _unpacked(f"{name} unpacked", gzip.decompress(content))
    elif content[:2] == b"PK" and path:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                yield from _unpacked(f"{name}#{member}", archive.read(member))
    elif content[:15] == b"SQLite format 3" and path:
        yield from _tables(name, path)
    elif content[:1] == b"\x78":  # as git keeps its objects
        with suppress(zlib.error):
            yield from _unpacked(f"{name} inflated", zlib.decompressobj().decompress(content))


def _tables(name: str, path: Path) -> Iterator[tuple[str, bytes]]:
    """Every cell, since a database spreads a large one over pages."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        kinds = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'"
        for (table,) in database.execute(kinds).fetchall():
            rows = database.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608
            cells = [
                one if isinstance(one, bytes) else str(one).encode() for r in rows for one in r
            ]
            yield f"{name} table {table}", b"\n".join(cells)


def _windows(raw: bytes, size: int) -> Iterator[bytes]:
    return (raw[start : start + size] for start in range(len(raw) - size + 1))


def _starts(ones: Iterable[bytes]) -> NDArray:
    return np.unique(np.frombuffer(b"".join(one[:8] for one in ones), "<u8"))


def _hex(raw: bytes) -> bytes:
    return raw.hex().encode()
